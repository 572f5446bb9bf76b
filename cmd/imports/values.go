package imports

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// value reads JSON, with its numbers as they are written.
func value(raw []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	err := dec.Decode(&v)
	return v, err
}

// inner is an object, also where a text holds it; nil for anything else.
func inner(v any) map[string]any {
	switch v := v.(type) {
	case map[string]any:
		return v
	case string:
		if m, fault := object([]byte(v)); fault == nil {
			return m
		}
	}
	return nil
}

// word is a scalar as text, "" for anything else.
func word(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// timeForms are the ways in which programs write a time. One without a zone is
// UTC, which is what warehouses mean by it.
func timeForms() []string {
	return []string{
		time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999Z07", "2006-01-02 15:04:05.999999999 UTC",
		"2006-01-02 15:04:05.999999999 Z07:00", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999", time.DateOnly,
	}
}

// moment is a time as the gateway takes it.
func moment(v any, field string) (string, *Fault) {
	s := strings.TrimSpace(word(v))
	for _, form := range timeForms() {
		if t, err := time.Parse(form, s); err == nil {
			return t.UTC().Format(time.RFC3339Nano), nil
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || f <= 0 {
		return "", faultf("bad_time", field, "%q is no time: it must look like 2026-01-31T12:00:00Z, or be seconds, milliseconds or microseconds since 1970", s)
	}
	for f < 1e14 { // seconds and milliseconds until the year 5138
		f *= 1e3
	}
	return time.UnixMicro(int64(f)).UTC().Format(time.RFC3339Nano), nil
}

// tidy drops what says nothing.
func tidy(m map[string]any) {
	for k, v := range m {
		switch v := v.(type) {
		case nil:
			delete(m, k)
		case string:
			if v == "" {
				delete(m, k)
			}
		case map[string]any:
			if len(v) == 0 {
				delete(m, k)
			}
		}
	}
}

// put sets a value at a path of objects.
func put(m map[string]any, v any, path ...string) {
	if v == nil || v == "" {
		return
	}
	for _, k := range path[:len(path)-1] {
		next, ok := m[k].(map[string]any)
		if !ok {
			next = map[string]any{}
			m[k] = next
		}
		m = next
	}
	m[path[len(path)-1]] = v
}

// whole is a number of pixels, or nil.
func whole(v any) any {
	if f, err := strconv.ParseFloat(word(v), 64); err == nil {
		return int64(f)
	}
	return nil
}

// first is the first value that says anything.
func first(values ...any) any {
	for _, v := range values {
		if v != nil && v != "" {
			return v
		}
	}
	return nil
}
