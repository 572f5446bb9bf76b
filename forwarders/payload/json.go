package payload

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// Object gives the members of a JSON object as their texts, nil for anything
// else.
func Object(text string) map[string]json.RawMessage {
	if len(text) < 2 || text[0] != '{' {
		return nil
	}
	var m map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &m) != nil {
		return nil
	}
	return m
}

// Text gives a string or a number as text, "" for anything else.
func Text(raw json.RawMessage) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return ""
	}
	switch c := raw[0]; {
	case c == '"':
		var s string
		_ = json.Unmarshal(raw, &s)
		return s
	case c == '-' || c >= '0' && c <= '9':
		return string(raw)
	}
	return ""
}

// Number gives a number, or a string that is one.
func Number(raw json.RawMessage) (float64, bool) {
	f, err := strconv.ParseFloat(strings.TrimSpace(Text(raw)), 64)
	return f, err == nil && f == f && f-f == 0 //nolint:gocritic // f-f is NaN for the infinities
}

// Scalar gives a value as text for a place that takes flat values only:
// strings as they are, everything else as JSON; null gives "".
func Scalar(raw json.RawMessage) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return ""
	}
	if raw[0] == '"' {
		return Text(raw)
	}
	return string(raw)
}

// IsScalar says whether a value is a string, number or boolean.
func IsScalar(raw json.RawMessage) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) > 0 && raw[0] != '{' && raw[0] != '[' && !bytes.Equal(raw, []byte("null"))
}

// Cut shortens text to n characters.
func Cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	count := 0
	for i := range text {
		if count == n {
			return text[:i]
		}
		count++
	}
	return text
}
