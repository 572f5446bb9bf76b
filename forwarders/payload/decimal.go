package payload

import (
	"strconv"
	"strings"
)

// Decimal writes ten-thousandths as a decimal number.
func Decimal(e4 int64) string {
	sign := ""
	u := uint64(e4) //nolint:gosec // negative numbers are turned below
	if e4 < 0 {
		sign, u = "-", -u
	}
	text := sign + strconv.FormatUint(u/10_000, 10)
	if rest := u % 10_000; rest > 0 {
		text += "." + strings.TrimRight(strconv.FormatUint(10_000+rest, 10)[1:], "0")
	}
	return text
}
