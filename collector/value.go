package collector

import (
	"fmt"
	"math"
	"strconv"
	"time"
	"unsafe"

	"github.com/valyala/fastjson"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/jsontext"
)

// Machine-readable reasons of a refused event.
const (
	codeWrongType = "wrong_type"
	codeTooLong   = "too_long"
	codeTooLarge  = "too_large"
	codeMissing   = "missing"
	codeBadTime   = "bad_time"
	codeBadUTF8   = "bad_utf8"
	codeTooMany   = "too_many"
	codeForgotten = "forgotten" // never kept as rejected

	codeRateLimited = "rate_limited"
	codeOverloaded  = "overloaded"
)

// view gives b's bytes as a string without copying. The string is valid while
// the parser is not used again, which the request's handler guarantees: it
// copies the event into its record before it gives the parser back.
func view(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // see above; the poison test watches it
}

func wrongType(field, want string, v *fastjson.Value) *headlessly.FieldError {
	return &headlessly.FieldError{Code: codeWrongType, Field: field, Message: fmt.Sprintf("must be %s, got %s", want, v.Type())}
}

// text reads an optional string.
func text(dst *string, v *fastjson.Value, field string, limit int) *headlessly.FieldError {
	switch v.Type() {
	case fastjson.TypeNull:
		return nil
	case fastjson.TypeString:
	default:
		return wrongType(field, "a string", v)
	}
	b := v.GetStringBytes()
	if len(b) > limit {
		return &headlessly.FieldError{Code: codeTooLong, Field: field, Message: fmt.Sprintf("has %d bytes, at most %d are allowed", len(b), limit)}
	}
	*dst = view(b)
	return nil
}

// id reads an optional id: a string or, as many server libraries send it, a
// number.
func id(dst *string, v *fastjson.Value, field string) *headlessly.FieldError {
	if v.Type() == fastjson.TypeNumber {
		*dst = string(jsontext.Value(v))
		return nil
	}
	return text(dst, v, field, headlessly.MaxIDBytes)
}

// object reads an optional JSON object as its text.
func (d *decoder) object(dst *string, v *fastjson.Value, field string) *headlessly.FieldError {
	switch v.Type() {
	case fastjson.TypeNull:
		return nil
	case fastjson.TypeObject:
		*dst = d.json(v)
		return nil
	default:
		return wrongType(field, "an object", v)
	}
}

// Bounds of a client's time: a reading outside of them is a mistake in the
// unit, not a wrong clock.
const (
	minTime = 946_684_800_000_000   // 2000-01-01 in µs
	maxTime = 4_102_444_800_000_000 // 2100-01-01 in µs
)

// instant reads an optional time: RFC 3339, or a number of seconds,
// milliseconds or microseconds since the epoch, told apart by size.
func instant(dst *int64, v *fastjson.Value, field string) *headlessly.FieldError {
	var us int64
	switch v.Type() {
	case fastjson.TypeNull:
		return nil
	case fastjson.TypeNumber:
		us = epochMicros(v.GetFloat64())
	case fastjson.TypeString:
		s := view(v.GetStringBytes())
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			f, ferr := strconv.ParseFloat(s, 64)
			if ferr != nil {
				return &headlessly.FieldError{Code: codeBadTime, Field: field, Message: "must be RFC 3339 (2026-01-31T12:00:00Z) or milliseconds since 1970"}
			}
			us = epochMicros(f)
		} else {
			us = t.UnixMicro()
		}
	default:
		return wrongType(field, "a time", v)
	}
	if us < minTime || us > maxTime {
		return &headlessly.FieldError{Code: codeBadTime, Field: field, Message: "is outside the years 2000 to 2100; send RFC 3339 or milliseconds since 1970"}
	}
	*dst = us
	return nil
}

func epochMicros(f float64) int64 {
	switch {
	case math.IsNaN(f) || f < 0 || f >= 1e17:
		return 0
	case f < 1e11: // seconds until the year 5138
		return int64(f * 1e6)
	case f < 1e14: // milliseconds until the year 5138
		return int64(f * 1e3)
	}
	return int64(f)
}

// number reads a finite number, or a string that holds one.
func number(v *fastjson.Value) (float64, bool) {
	if v == nil {
		return 0, false
	}
	var f float64
	switch v.Type() {
	case fastjson.TypeNumber:
		f = v.GetFloat64()
	case fastjson.TypeString:
		var err error
		if f, err = strconv.ParseFloat(view(v.GetStringBytes()), 64); err != nil {
			return 0, false
		}
	default:
		return 0, false
	}
	return f, !math.IsNaN(f) && !math.IsInf(f, 0)
}

// maxRevenue is what decimal(18,4) holds.
const maxRevenue = 1e14

func revenueE4(v *fastjson.Value) (int64, bool) {
	f, ok := number(v)
	if !ok || math.Abs(f) >= maxRevenue {
		return 0, false
	}
	return int64(math.Round(f * 1e4)), true
}

func lookString(dst *string, v *fastjson.Value, limit int) bool {
	if *dst != "" || v == nil || v.Type() != fastjson.TypeString {
		return false
	}
	b := v.GetStringBytes()
	if len(b) == 0 || len(b) > limit {
		return false
	}
	*dst = view(b)
	return true
}

func lookInt(dst *int64, v *fastjson.Value) {
	if *dst != 0 {
		return
	}
	if f, ok := number(v); ok && math.Abs(f) < 1<<53 {
		*dst = int64(f)
	}
}
