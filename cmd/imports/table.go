package imports

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
)

// table is a file of delimited values with a header.
type table struct {
	in     *text
	kept   *keeper
	csv    *csv.Reader
	header []string
}

// keeper keeps what the reader of values has taken in and not yet given as a
// row, so that a bad row can be shown as it came.
type keeper struct {
	r     io.Reader
	bytes []byte
	start int64 // of bytes in the text
}

var errEndless = fmt.Errorf("a row is longer than %d bytes: perhaps a quote is not closed", maxRow)

func (k *keeper) Read(p []byte) (int, error) {
	if len(k.bytes) > maxRow {
		return 0, errEndless
	}
	n, err := k.r.Read(p)
	k.bytes = append(k.bytes, p[:n]...)
	return n, err
}

// upTo takes the text before an offset.
func (k *keeper) upTo(offset int64) []byte {
	n := offset - k.start
	out := k.bytes[:n]
	k.bytes, k.start = k.bytes[n:], offset
	if len(k.bytes) < 1<<16 { // do not drag what was given along
		k.bytes = append([]byte(nil), k.bytes...)
	}
	return out
}

func openTable(in *text, format string) (*table, error) {
	t := &table{in: in, kept: &keeper{r: in}}
	t.csv = csv.NewReader(t.kept)
	if format == FormatTSV {
		t.csv.Comma = '\t'
	}
	header, err := t.csv.Read()
	if errors.Is(err, io.EOF) {
		return t, nil // an empty file has no rows
	}
	if err != nil {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	seen := map[string]bool{}
	for i, name := range header {
		if i == 0 && len(name) > 2 && name[:3] == "\uFEFF" {
			name = name[3:]
		}
		if name == "" || seen[name] {
			return nil, fmt.Errorf("column %d of the header has no name of its own: %q", i+1, name)
		}
		seen[name] = true
		t.header = append(t.header, name)
	}
	t.kept.upTo(t.csv.InputOffset())
	return t, nil
}

func (t *table) share() float64 { return t.in.share() }
func (t *table) close() error   { return t.in.close() }

func (t *table) next() (map[string]any, int64, []byte, error) {
	if t.header == nil {
		return nil, 0, nil, io.EOF
	}
	values, err := t.csv.Read()
	var parse *csv.ParseError
	switch {
	case errors.As(err, &parse):
		line := parse.StartLine
		if errors.Is(err, csv.ErrFieldCount) {
			parse.Err = fmt.Errorf("has %d columns, the header has %d", len(values), len(t.header))
		}
		return nil, int64(line), t.kept.upTo(t.csv.InputOffset()), faultf("wrong_columns", "", "%v", parse.Err)
	case err != nil:
		return nil, 0, nil, err
	}
	line, _ := t.csv.FieldPos(0)
	fields := make(map[string]any, len(values))
	for i, v := range values {
		if v != "" {
			fields[t.header[i]] = v
		}
	}
	return fields, int64(line), t.kept.upTo(t.csv.InputOffset()), nil
}
