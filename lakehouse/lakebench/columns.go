//go:build cgo

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/headlessly/headlessly"
)

// codecs are what pages can be compressed with.
var codecs = []struct { //nolint:gochecknoglobals // a constant
	name  string
	codec compress.Compression
	level int
}{
	{"none", compress.Codecs.Uncompressed, 0},
	{"snappy", compress.Codecs.Snappy, 0},
	{"lz4", compress.Codecs.Lz4Raw, 0},
	{"zstd1", compress.Codecs.Zstd, 1},
	{"zstd3", compress.Codecs.Zstd, 3},
	{"zstd7", compress.Codecs.Zstd, 7},
}

// tries is how often a column is encoded each way; the least time counts, which
// hardly depends on what else the machine does.
const tries = 7

// columnRows is how many rows are measured: a full row group.
const columnRows = 64 << 10

// columns measures every column of a tenant's sorted rows each way it can be
// written: bytes a row, and nanoseconds a row to write.
func columns(ctx context.Context, out io.Writer, dir string) error {
	r := &rows{tenants: 1, count: columnRows, path: filepath.Join(dir, "log")}
	if err := r.make(); err != nil {
		return fmt.Errorf("make rows: %w", err)
	}
	written, err := spawn(ctx, task{Do: "iceberg", Rows: r.path, Count: r.count, Tenants: 1, Dir: filepath.Join(dir, "lake")})
	if err != nil {
		return err
	}
	var batches []arrow.RecordBatch
	rows := int64(0)
	for _, path := range written.Files {
		some, err := readBatches(ctx, path)
		if err != nil {
			return err
		}
		batches = append(batches, some...)
	}
	for _, b := range batches {
		rows += b.NumRows()
	}
	schema := batches[0].Schema()
	fmt.Fprintf(out, "columns of %d rows: bytes a row / ns a row to write, * the least of bytes + ns/100\n  %-16s %-9s", rows, "", "")
	for _, c := range codecs {
		fmt.Fprintf(out, " %14s", c.name)
	}
	fmt.Fprintln(out)
	for i, f := range schema.Fields() {
		chunks := make([]arrow.Array, len(batches))
		for b, rec := range batches {
			chunks[b] = rec.Column(i)
		}
		whole, err := array.Concatenate(chunks, memory.DefaultAllocator)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		if whole.NullN() < whole.Len() {
			if err := column(out, f, whole); err != nil {
				return fmt.Errorf("%s: %w", f.Name, err)
			}
		}
	}
	return nil
}

// column prints a column's lines, one an encoding.
func column(out io.Writer, f arrow.Field, values arrow.Array) error {
	rec := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{f}, nil), []arrow.Array{values}, int64(values.Len()))
	defer rec.Release()
	rows := float64(values.Len())
	type cell struct{ bytes, ns float64 }
	best := cell{math.Inf(1), 0}
	var table [][]cell
	kinds := encodings(f.Type)
	for _, e := range kinds {
		var line []cell
		for _, c := range codecs {
			size, took, err := encoded(rec, e, c.codec, c.level)
			if err != nil {
				return err
			}
			one := cell{float64(size) / rows, float64(took.Nanoseconds()) / rows}
			if one.bytes+one.ns/100 < best.bytes+best.ns/100 {
				best = one
			}
			line = append(line, one)
		}
		table = append(table, line)
	}
	name := f.Name
	for i, line := range table {
		fmt.Fprintf(out, "  %-16s %-9s", name, kinds[i].name)
		for _, c := range line {
			mark := " "
			if c == best {
				mark = "*"
			}
			fmt.Fprintf(out, " %7.2f/%5.0f%s", c.bytes, c.ns, mark)
		}
		fmt.Fprintln(out)
		name = ""
	}
	return nil
}

// encodedAs is a way to encode a column before it is compressed.
type encodedAs struct {
	name       string
	dictionary bool
	encoding   parquet.Encoding
}

// encodings are the ways that a type has.
func encodings(t arrow.DataType) []encodedAs {
	e := parquet.Encodings
	out := []encodedAs{{"dict", true, e.Plain}, {"plain", false, e.Plain}}
	if x, ok := t.(arrow.ExtensionType); ok {
		t = x.StorageType()
	}
	switch t.ID() {
	case arrow.INT64, arrow.TIMESTAMP, arrow.INT32:
		return append(out, encodedAs{"delta", false, e.DeltaBinaryPacked}, encodedAs{"split", false, e.ByteStreamSplit})
	case arrow.FLOAT64, arrow.FIXED_SIZE_BINARY:
		return append(out, encodedAs{"split", false, e.ByteStreamSplit})
	case arrow.STRING, arrow.BINARY:
		return append(out, encodedAs{"lengths", false, e.DeltaLengthByteArray}, encodedAs{"prefix", false, e.DeltaByteArray})
	}
	return out
}

// encoded writes a record batch of one column and gives the size of its pages
// and the least time that it took.
func encoded(rec arrow.RecordBatch, e encodedAs, codec compress.Compression, level int) (size int64, least time.Duration, err error) {
	opts := []parquet.WriterProperty{
		parquet.WithVersion(parquet.V2_LATEST), parquet.WithDictionaryDefault(e.dictionary), parquet.WithCompression(codec),
		parquet.WithStats(false), parquet.WithStoreDecimalAsInteger(true),
	}
	if !e.dictionary {
		opts = append(opts, parquet.WithEncoding(e.encoding))
	}
	if level > 0 {
		opts = append(opts, parquet.WithCompressionLevel(level))
	}
	var took []time.Duration
	for range tries {
		var file bytes.Buffer
		began := headlessly.SystemClock()
		w, err := pqarrow.NewFileWriter(rec.Schema(), &file, parquet.NewWriterProperties(opts...), pqarrow.DefaultWriterProps())
		if err != nil {
			return 0, 0, err
		}
		if err := errors.Join(w.WriteBuffered(rec), w.Close()); err != nil {
			return 0, 0, err
		}
		took = append(took, headlessly.SystemClock().Sub(began))
		meta, err := w.FileMetadata()
		if err != nil {
			return 0, 0, err
		}
		size = 0
		for g := range meta.NumRowGroups() {
			c, err := meta.RowGroup(g).ColumnChunk(0)
			if err != nil {
				return 0, 0, err
			}
			size += c.TotalCompressedSize()
		}
	}
	return size, slices.Min(took), nil
}
