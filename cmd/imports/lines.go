package imports

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// lines cuts a text into lines.
type lines struct {
	in     *text
	number int64
	long   []byte
}

func (l *lines) share() float64 { return l.in.share() }
func (l *lines) close() error   { return l.in.close() }

// line gives the next line that holds anything. One that is too long comes cut
// and with a fault.
func (l *lines) line() ([]byte, error) {
	for {
		raw, err := l.read()
		var bad *Fault
		switch {
		case errors.As(err, &bad):
			return raw, bad
		case err != nil && !errors.Is(err, io.EOF):
			return nil, err
		case len(bytes.TrimSpace(raw)) > 0:
			return bytes.TrimRight(raw, "\r\n"), nil
		case err != nil:
			return nil, io.EOF
		}
	}
}

// read gives the next line, whatever it holds.
func (l *lines) read() ([]byte, error) {
	part, err := l.in.ReadSlice('\n')
	if len(part) > 0 || err == nil {
		l.number++
	}
	if !errors.Is(err, bufio.ErrBufferFull) {
		return part, err
	}
	l.long = append(l.long[:0], part...)
	tooLong := false
	for errors.Is(err, bufio.ErrBufferFull) {
		part, err = l.in.ReadSlice('\n')
		if tooLong = tooLong || len(l.long)+len(part) > maxRow; !tooLong {
			l.long = append(l.long, part...)
		}
	}
	if tooLong && (err == nil || errors.Is(err, io.EOF)) {
		return l.long, faultf("too_large", "", "is longer than %d bytes", maxRow)
	}
	return l.long, err
}

// ndjson is a file with one JSON object a line.
type ndjson struct{ lines }

func (n *ndjson) next() (map[string]any, int64, []byte, error) {
	raw, err := n.line()
	if err != nil {
		return nil, n.number, raw, err
	}
	fields, fault := object(raw)
	if fault == nil {
		return fields, n.number, raw, nil
	}
	if n.number == 1 && bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		return nil, n.number, raw, errors.New("the file is one JSON array; it must have one object a line (jq -c '.[]' makes that)")
	}
	return nil, n.number, raw, fault
}

// object reads a JSON object, with its numbers as they are written.
func object(raw []byte) (map[string]any, *Fault) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var fields map[string]any
	if err := dec.Decode(&fields); err != nil {
		return nil, faultf("invalid_json", "", "is not a JSON object: %v", err)
	}
	if fields == nil {
		return nil, faultf("invalid_json", "", "is null, not an object")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, faultf("invalid_json", "", "has more than one value on a line")
	}
	return fields, nil
}

// enriched is Snowplow's enriched events: tab-separated, without header and
// quotes.
type enriched struct{ lines }

func (s *enriched) next() (map[string]any, int64, []byte, error) {
	raw, err := s.line()
	if err != nil {
		return nil, s.number, raw, err
	}
	names := snowplowColumns()
	values := strings.Split(string(raw), "\t")
	if len(values) != len(names) {
		return nil, s.number, raw, faultf("wrong_columns", "", "has %d columns, an enriched event has %d", len(values), len(names))
	}
	fields := make(map[string]any, 48)
	for i, v := range values {
		if v != "" {
			fields[names[i]] = v
		}
	}
	return fields, s.number, raw, nil
}
