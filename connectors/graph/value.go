package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/headlessly/headlessly"
)

// timeFormat writes times with a fixed number of digits, so that texts sort as
// the times do.
const timeFormat = "2006-01-02T15:04:05.000000Z"

// dateFormat is the other form that a time field takes.
const dateFormat = "2006-01-02"

// FormatTime writes microseconds since the Unix epoch as every face shows them.
func FormatTime(µs int64) string { return time.UnixMicro(µs).UTC().Format(timeFormat) }

// parseTime reads a time field's text and gives its canonical form.
func parseTime(s string) (string, error) {
	if _, err := time.Parse(dateFormat, s); err == nil {
		return s, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return "", err
	}
	t = t.UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		return "", errors.New("year out of range")
	}
	return t.Format(timeFormat), nil
}

// microseconds reads a canonical time.
func microseconds(canonical string) int64 {
	t, err := time.Parse(time.RFC3339Nano, canonical)
	if err != nil {
		t, _ = time.Parse(dateFormat, canonical)
	}
	return t.UnixMicro()
}

// decodeObject reads one JSON object, numbers as written.
func decodeObject(raw []byte) (map[string]any, error) {
	var v map[string]any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more follows the object")
	}
	if v == nil {
		return nil, errors.New("want an object, got null")
	}
	return v, nil
}

// unmarshal reads JSON into v, numbers as written.
func unmarshal(raw []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return dec.Decode(v)
}

// encode writes a value as JSON, keys sorted.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}

// plain turns a value of Go's into what JSON decodes to: string, number, bool,
// nil, []any or map[string]any.
func plain(v any) (any, error) {
	switch v := v.(type) {
	case nil, string, bool:
		return v, nil
	case number:
		return v, nil
	case int:
		return number(strconv.Itoa(v)), nil
	case int64:
		return number(strconv.FormatInt(v, 10)), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, errors.New("is no finite number")
		}
		return number(strconv.FormatFloat(v, 'g', -1, 64)), nil
	case time.Time:
		return v.UTC().Format(timeFormat), nil
	case headlessly.Secret:
		return v.Reveal(), nil
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			var err error
			if out[i], err = plain(e); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			p, err := plain(e)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
			out[k] = p
		}
		return out, nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var out any
	err = dec.Decode(&out)
	return out, err
}

// equal compares two plain values; numbers by their text.
func equal(a, b any) bool {
	switch a := a.(type) {
	case []any:
		bs, ok := b.([]any)
		if !ok || len(a) != len(bs) {
			return false
		}
		for i := range a {
			if !equal(a[i], bs[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		bs, ok := b.(map[string]any)
		if !ok || len(a) != len(bs) {
			return false
		}
		for k, v := range a {
			w, ok := bs[k]
			if !ok || !equal(v, w) {
				return false
			}
		}
		return true
	}
	switch b.(type) {
	case []any, map[string]any:
		return false
	}
	return a == b
}

// integer gives a number's text without fraction or exponent, if it is one.
func integer(n number) (number, bool) {
	s := string(n)
	if !strings.ContainsAny(s, ".eE") {
		_, err := strconv.ParseInt(s, 10, 64)
		return n, err == nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return n, false
	}
	return number(strconv.FormatInt(int64(f), 10)), true
}
