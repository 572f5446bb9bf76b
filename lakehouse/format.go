package lakehouse

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// Format is a way to write a result.
type Format string

// Formats of a result.
const (
	FormatTable   Format = "table"   // aligned text for people
	FormatJSON    Format = "json"    // {"columns":[…],"rows":[{…}],"rowCount":n,"truncated":false,"elapsedMs":n}
	FormatNDJSON  Format = "ndjson"  // one object a line
	FormatCSV     Format = "csv"     // RFC 4180 with a header; null is an empty field
	FormatParquet Format = "parquet" // one file
	FormatArrow   Format = "arrow"   // IPC stream
)

// Formats lists every format.
func Formats() []Format {
	return []Format{FormatTable, FormatJSON, FormatNDJSON, FormatCSV, FormatParquet, FormatArrow}
}

// ParseFormat finds a format by its name.
func ParseFormat(name string) (Format, error) {
	for _, f := range Formats() {
		if string(f) == name {
			return f, nil
		}
	}
	return "", fmt.Errorf("format %q is not one of %v", name, Formats())
}

// ContentType is the format's media type.
func (f Format) ContentType() string {
	switch f {
	case FormatJSON:
		return "application/json"
	case FormatNDJSON:
		return "application/x-ndjson"
	case FormatCSV:
		return "text/csv; charset=utf-8; header=present"
	case FormatParquet:
		return "application/vnd.apache.parquet"
	case FormatArrow:
		return "application/vnd.apache.arrow.stream"
	}
	return "text/plain; charset=utf-8"
}

// Write writes the whole result in a format, batch by batch, as fast as w
// takes it. FormatTable uses [TableOptions]'s defaults.
func (r *Rows) Write(ctx context.Context, w io.Writer, f Format) error {
	buf := bufio.NewWriterSize(w, 64<<10)
	var err error
	switch f {
	case FormatTable:
		err = r.WriteTable(ctx, buf, TableOptions{})
	case FormatJSON:
		err = r.writeJSON(ctx, buf)
	case FormatNDJSON:
		err = r.writeNDJSON(ctx, buf)
	case FormatCSV:
		err = r.writeCSV(ctx, buf)
	case FormatParquet:
		err = r.writeParquet(ctx, buf)
	case FormatArrow:
		err = r.writeArrow(ctx, buf)
	default:
		_, err = ParseFormat(string(f))
	}
	if err = errors.Join(err, buf.Flush()); err != nil {
		return fmt.Errorf("write result as %s: %w", f, err)
	}
	return nil
}

func (r *Rows) writeNDJSON(ctx context.Context, w *bufio.Writer) error {
	keys := r.jsonKeys()
	var line []byte
	for rec, err := range r.Batches(ctx) {
		if err != nil {
			return err
		}
		for i := range int(rec.NumRows()) {
			line = append(r.appendObject(line[:0], keys, rec, i), '\n')
			if _, err := w.Write(line); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Rows) writeJSON(ctx context.Context, w *bufio.Writer) error {
	keys := r.jsonKeys()
	line := []byte(`{"columns":[`)
	for i, c := range r.Columns {
		if i > 0 {
			line = append(line, ',')
		}
		line = append(line, `{"name":`...)
		line = append(line, keys[i]...)
		line = append(line, `,"type":`...)
		line = append(appendJSONText(line, c.Type), '}')
	}
	line = append(line, `],"rows":[`...)
	if _, err := w.Write(line); err != nil {
		return err
	}
	first := true
	for rec, err := range r.Batches(ctx) {
		if err != nil {
			return err
		}
		for i := range int(rec.NumRows()) {
			line = line[:0]
			if !first {
				line = append(line, ',')
			}
			first = false
			line = r.appendObject(append(line, '\n'), keys, rec, i)
			if _, err := w.Write(line); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(w, "\n],\"rowCount\":%d,\"truncated\":%t,\"elapsedMs\":%d}\n", r.Count, r.Truncated, r.Elapsed.Milliseconds())
	return err
}

// jsonKeys are the columns' names as JSON texts.
func (r *Rows) jsonKeys() [][]byte {
	keys := make([][]byte, len(r.Columns))
	for i, c := range r.Columns {
		keys[i] = appendJSONText(nil, c.Name)
	}
	return keys
}

func (r *Rows) appendObject(b []byte, keys [][]byte, rec arrow.RecordBatch, row int) []byte {
	b = append(b, '{')
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, k...), ':')
		b = appendJSON(b, rec.Column(i), row, r.Columns[i].Type)
	}
	return append(b, '}')
}

func (r *Rows) writeCSV(ctx context.Context, w io.Writer) error {
	out := csv.NewWriter(w)
	fields := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		fields[i] = c.Name
	}
	if err := out.Write(fields); err != nil {
		return err
	}
	for rec, err := range r.Batches(ctx) {
		if err != nil {
			return err
		}
		for row := range int(rec.NumRows()) {
			for i, c := range r.Columns {
				fields[i], _ = cellText(rec.Column(i), row, c.Type)
			}
			if err := out.Write(fields); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

func (r *Rows) writeParquet(ctx context.Context, w io.Writer) error {
	if !r.Truncated {
		f, err := os.Open(r.path)
		if err != nil {
			return err
		}
		_, err = io.Copy(w, f)
		return errors.Join(err, f.Close())
	}
	schema, err := r.Schema()
	if err != nil {
		return err
	}
	out, err := pqarrow.NewFileWriter(schema, keepOpen{w}, parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Snappy)), pqarrow.DefaultWriterProps())
	if err != nil {
		return err
	}
	for rec, err := range r.Batches(ctx) {
		if err == nil {
			err = out.WriteBuffered(rec)
		}
		if err != nil {
			return errors.Join(err, out.Close())
		}
	}
	return errors.Join(out.AppendKeyValueMetadata(TruncatedKey, "true"), out.Close())
}

// keepOpen hides a writer's Close.
type keepOpen struct{ io.Writer }

// TruncatedKey is the key in the metadata of an Arrow stream's schema, or of a
// Parquet file, that says that there were more rows than an answer may have.
// The formats ndjson and csv have no place to say it: their callers look at
// [Rows.Truncated].
const TruncatedKey = "headlessly.truncated"

func (r *Rows) writeArrow(ctx context.Context, w io.Writer) error {
	schema, err := r.Schema()
	if err != nil {
		return err
	}
	if r.Truncated {
		said := schema.Metadata().ToMap()
		said[TruncatedKey] = "true"
		more := arrow.MetadataFrom(said)
		schema = arrow.NewSchema(schema.Fields(), &more)
	}
	out := ipc.NewWriter(w, ipc.WithSchema(schema))
	for rec, err := range r.Batches(ctx) {
		if err == nil {
			err = out.Write(rec)
		}
		if err != nil {
			return errors.Join(err, out.Close())
		}
	}
	return out.Close()
}
