package lakehouse

import (
	"strings"
	"unicode/utf8"
)

// validText replaces what is not UTF-8. The collector refuses such input; one
// bad string in a file would make every query over it fail, so this is the
// second lock.
func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
