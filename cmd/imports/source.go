package imports

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

// maxRow is the longest row that is held whole; a longer one is bad. It is far
// above what a gateway takes, so that the row can be told.
const maxRow = 4 << 20

// Row is one row of a file. Event and Fault exclude each other.
type Row struct {
	Line  int64  // of a text its first line, of Parquet the row, from 1
	Raw   []byte // as it came; JSON for Parquet. Valid until the next call.
	Event Event
	Fault *Fault
}

// Event is an event in the gateway's native JSON form.
type Event map[string]any

// Fault is what is wrong with a row.
type Fault struct {
	Code    string `json:"error"`
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

func (f *Fault) Error() string { return f.Message }

func faultf(code, field, format string, args ...any) *Fault {
	return &Fault{Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
}

// container gives the rows of one file format.
type container interface {
	// next gives the next row as an object, its line and its text. The error is
	// io.EOF at the end, a *Fault for this row alone, or one that ends reading.
	next() (fields map[string]any, line int64, raw []byte, err error)
	// share is how much has been read, 0 to 1; below 0 where nobody knows.
	share() float64
	close() error
}

// Source reads a file. It is not safe for concurrent use.
type Source struct {
	rows    container
	convert shape
	name    string
	opts    Options
	set     []assignment
}

// Open opens a file; "-" is stdin.
func Open(ctx context.Context, path string, stdin io.Reader, opts Options) (*Source, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	format, err := opts.formatOf(path)
	if err != nil {
		return nil, err
	}
	s := &Source{name: filepath.Base(path), opts: opts, set: assignments(opts.Set)}
	s.convert = shapeOf(opts, format)
	if format == FormatParquet {
		s.rows, err = openParquet(ctx, path)
		return s, err
	}
	in, err := openText(path, stdin)
	if err != nil {
		return nil, err
	}
	switch {
	case format == FormatNDJSON:
		s.rows = &ndjson{lines: lines{in: in}}
	case opts.From == FromSnowplow:
		s.rows = &enriched{lines: lines{in: in}}
	default:
		s.rows, err = openTable(in, format)
	}
	if err != nil {
		return nil, errors.Join(err, in.close())
	}
	return s, nil
}

// Next gives the next row; the error is io.EOF at the end, and ends reading.
func (s *Source) Next() (Row, error) {
	fields, line, raw, err := s.rows.next()
	row := Row{Line: line, Raw: raw}
	if errors.As(err, &row.Fault) {
		return row, nil
	}
	if err != nil {
		return row, err
	}
	e, fault := s.convert(fields)
	if fault == nil {
		fault = s.complete(e, line)
	}
	if row.Event = e; fault != nil {
		row.Event, row.Fault = nil, fault
	}
	return row, nil
}

// skip leaves out the next row.
func (s *Source) skip() error {
	_, _, _, err := s.rows.next()
	var bad *Fault
	if errors.As(err, &bad) {
		return nil
	}
	return err
}

// Share is how much of the file has been read, 0 to 1; below 0 where nobody
// knows.
func (s *Source) Share() float64 { return s.rows.share() }

// Close closes the file.
func (s *Source) Close() error { return s.rows.close() }

// text is a file of text, unpacked.
type text struct {
	*bufio.Reader
	raw    *metered
	closed []func() error
}

// metered counts what was read of a file.
type metered struct {
	r          io.Reader
	read, size int64
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.read += int64(n)
	return n, err
}

func (t *text) share() float64 {
	if t.raw.size <= 0 {
		return -1
	}
	return float64(t.raw.read) / float64(t.raw.size)
}

func (t *text) close() error {
	var errs []error
	for _, c := range t.closed {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// openText opens a file and unpacks gzip and zstd, whatever its name.
func openText(path string, stdin io.Reader) (*text, error) {
	t := &text{raw: &metered{r: stdin}}
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		t.closed = append(t.closed, f.Close)
		info, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, t.close())
		}
		t.raw.r, t.raw.size = f, info.Size()
	}
	in := bufio.NewReaderSize(t.raw, 64<<10)
	magic, err := in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, t.close())
	}
	switch {
	case len(magic) > 1 && magic[0] == 0x1f && magic[1] == 0x8b:
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", path, err), t.close())
		}
		in = bufio.NewReaderSize(z, 64<<10)
	case string(magic) == "\x28\xb5\x2f\xfd":
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", path, err), t.close())
		}
		t.closed = append(t.closed, func() error { z.Close(); return nil })
		in = bufio.NewReaderSize(z, 64<<10)
	}
	t.Reader = in
	return t, nil
}
