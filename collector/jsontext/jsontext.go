// Package jsontext writes what fastjson parsed as valid JSON. The library
// escapes strings as Go source does (\x05, \a, \U000e0001), which JSON does not
// know; [AppendValue] and [AppendString] mend that.
package jsontext

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

// AppendValue appends a parsed value's text to b.
func AppendValue(b []byte, v *fastjson.Value) []byte {
	from := len(b)
	return mend(v.MarshalTo(b), from)
}

// Value gives a parsed value's text, in memory of its own.
func Value(v *fastjson.Value) []byte { return AppendValue(nil, v) }

const hex = "0123456789abcdef"

// AppendString appends s as a JSON string. What is not UTF-8 becomes U+FFFD.
func AppendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, s[start:i]...), "\uFFFD"...)
				start = i + n
			}
			i += n
			continue
		}
		if c >= 0x20 && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		if c == '"' || c == '\\' {
			b = append(b, '\\', c)
		} else {
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	return append(append(b, s[start:]...), '"')
}

// mend rewrites the escapes behind from that are none in JSON.
func mend(b []byte, from int) []byte {
	if !foreign(b[from:]) {
		return b
	}
	in := bytes.Clone(b[from:])
	b = b[:from]
	for i := 0; i < len(in); {
		if in[i] != '\\' || i+1 == len(in) {
			b = append(b, in[i])
			i++
			continue
		}
		digits := 0
		var r rune
		switch in[i+1] {
		case 'a':
			r = 7
		case 'v':
			r = 11
		case 'x':
			digits = 2
		case 'U':
			digits = 8
		default:
			b = append(b, in[i], in[i+1])
			i += 2
			continue
		}
		i += 2
		if digits > 0 && i+digits <= len(in) {
			n, err := strconv.ParseUint(string(in[i:i+digits]), 16, 32)
			if r = rune(n); err != nil || digits == 2 && n >= utf8.RuneSelf {
				r = utf8.RuneError // a byte that is no UTF-8
			}
			i += digits
		}
		b = appendEscaped(b, r)
	}
	return b
}

// foreign says whether a text holds an escape that JSON does not know.
func foreign(b []byte) bool {
	for {
		i := bytes.IndexByte(b, '\\')
		if i < 0 || i+1 >= len(b) {
			return false
		}
		switch b[i+1] {
		case 'a', 'v', 'x', 'U':
			return true
		}
		b = b[i+2:]
	}
}

func appendEscaped(b []byte, r rune) []byte {
	if r > 0xffff {
		high, low := utf16.EncodeRune(r)
		return appendEscaped(appendEscaped(b, high), low)
	}
	return append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}
