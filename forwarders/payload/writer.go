package payload

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// Writer builds a JSON object member by member, without reflection: mapping
// stands on the path of every event. Empty texts and zero numbers are left
// out.
type Writer struct {
	B    []byte
	more []bool // whether the object at this depth has a member already
}

// Open begins an object.
func (w *Writer) Open() {
	w.B = append(w.B, '{')
	w.more = append(w.more, false)
}

// Close ends the object that was begun last.
func (w *Writer) Close() {
	w.B = append(w.B, '}')
	w.more = w.more[:len(w.more)-1]
}

// Reset empties the writer and keeps its memory.
func (w *Writer) Reset() { w.B, w.more = w.B[:0], w.more[:0] }

// Key begins a member; its value must be appended next.
func (w *Writer) Key(key string) {
	if last := len(w.more) - 1; w.more[last] {
		w.B = append(w.B, ',')
	} else {
		w.more[last] = true
	}
	w.B = append(AppendString(w.B, key), ':')
}

// Object begins a member that is an object.
func (w *Writer) Object(key string) {
	w.Key(key)
	w.Open()
}

// Text writes a text that is not empty.
func (w *Writer) Text(key, v string) {
	if v != "" {
		w.Key(key)
		w.B = AppendString(w.B, v)
	}
}

// Int writes a number that is not zero.
func (w *Writer) Int(key string, v int64) {
	if v != 0 {
		w.Key(key)
		w.B = strconv.AppendInt(w.B, v, 10)
	}
}

// Bool writes a truth value, false as well.
func (w *Writer) Bool(key string, v bool) {
	w.Key(key)
	w.B = strconv.AppendBool(w.B, v)
}

// Raw writes a member whose value is JSON already.
func (w *Writer) Raw(key, v string) {
	w.Key(key)
	w.B = append(w.B, v...)
}

// Value writes any value as encoding/json does; one that it cannot write
// becomes null.
func (w *Writer) Value(key string, v any) {
	w.Key(key)
	b, err := json.Marshal(v)
	if err != nil {
		b = []byte("null")
	}
	w.B = append(w.B, b...)
}

// AppendString appends s as a JSON string. What is not UTF-8 becomes U+FFFD.
func AppendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return appendEscaped(b, s)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func appendEscaped(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range s { // a byte that is not UTF-8 comes as U+FFFD
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, '\\', 'n')
		case r == '\t':
			b = append(b, '\\', 't')
		case r < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
