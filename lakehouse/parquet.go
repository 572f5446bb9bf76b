package lakehouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/headlessly/headlessly"
)

// groupRows is the most rows of a row group, which is built in memory: large
// enough to compress well, small enough to prune by.
const groupRows = 64 << 10

// zstdLevel is where a higher level begins to cost more than it saves: measured
// (FILES.md), 1 takes less time than 3 for at most 2 % more bytes.
const zstdLevel = 1

// createdBy has the form that readers take apart: parquet-java trusts no bounds
// of a writer whose name and version it cannot read
// (https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift).
const createdBy = "headlessly version " + headlessly.Version + " (build release)"

// writerProperties is how a table's files are encoded, by the measurement in
// FILES.md.
func (l *layout) writerProperties(codec compress.Compression) *parquet.WriterProperties {
	opts := []parquet.WriterProperty{
		parquet.WithVersion(parquet.V2_LATEST),
		parquet.WithDataPageVersion(parquet.DataPageV1),
		parquet.WithCompression(codec),
		parquet.WithCompressionLevel(level(codec)),
		parquet.WithDictionaryDefault(true),
		parquet.WithStoreDecimalAsInteger(true),
		parquet.WithMaxRowGroupLength(groupRows),
		parquet.WithCreatedBy(createdBy),
	}
	for _, col := range l.plain {
		opts = append(opts, parquet.WithDictionaryFor(col, false))
		if f, _ := l.arrow.FieldsByName(col); len(f) == 1 && isWhole(f[0].Type) {
			opts = append(opts, parquet.WithEncodingFor(col, parquet.Encodings.DeltaBinaryPacked)) // neighbours are near each other
		}
	}
	for _, f := range l.arrow.Fields() {
		if !slices.Contains(l.bounded, f.Name) { // bounds of long texts cost more than they prune
			opts = append(opts, parquet.WithStatsFor(f.Name, false))
		}
	}
	return parquet.NewWriterProperties(opts...)
}

func level(codec compress.Compression) int {
	if codec == compress.Codecs.Zstd {
		return zstdLevel
	}
	return compress.DefaultCompressionLevel
}

func isWhole(t arrow.DataType) bool { return t.ID() == arrow.INT64 || t.ID() == arrow.TIMESTAMP }

func (l *layout) newParquetFile(schema *arrow.Schema, w io.Writer, codec compress.Compression) (*pqarrow.FileWriter, error) {
	fw, err := pqarrow.NewFileWriter(schema, w, l.writerProperties(codec), pqarrow.NewArrowWriterProperties(pqarrow.WithAllocator(memory.DefaultAllocator)))
	if err != nil {
		return nil, fmt.Errorf("parquet of %s: %w", l.name, err)
	}
	return fw, nil
}

// encode writes rows to w, and closes it if it is a closer.
func (l *layout) encode(ctx context.Context, w io.Writer, rows []*row, codec compress.Compression) (*metadata.FileMetaData, error) {
	return l.encodeWith(ctx, l.newBuilder(memory.DefaultAllocator), w, rows, codec)
}

func (l *layout) encodeWith(ctx context.Context, b *rowBuilder, w io.Writer, rows []*row, codec compress.Compression) (*metadata.FileMetaData, error) {
	f, err := l.newParquetFile(l.arrow, w, codec)
	if err != nil {
		return nil, err
	}
	for len(rows) > 0 && err == nil {
		n := min(groupRows, len(rows))
		if err = context.Cause(ctx); err == nil {
			err = b.group(f, rows[:n])
		}
		rows = rows[n:]
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return f.FileMetadata()
}

// encodeRecord writes one record batch to w and closes it.
func (l *layout) encodeRecord(w io.Writer, rec arrow.RecordBatch) (*metadata.FileMetaData, error) {
	f, err := l.newParquetFile(rec.Schema(), w, compress.Codecs.Zstd)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.WriteBuffered(rec), f.Close()); err != nil {
		return nil, err
	}
	return f.FileMetadata()
}

// encodeRecords writes the record batches that each gives to its argument, in a
// row group apiece, and closes w.
func (l *layout) encodeRecords(w io.Writer, schema *arrow.Schema, each func(write func(arrow.RecordBatch) error) error) (*metadata.FileMetaData, error) {
	f, err := l.newParquetFile(schema, w, compress.Codecs.Zstd)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(each(f.WriteBuffered), f.Close()); err != nil {
		return nil, err
	}
	return f.FileMetadata()
}

// group writes rows as one row group.
func (b *rowBuilder) group(f *pqarrow.FileWriter, rows []*row) error {
	for _, r := range rows {
		if err := b.add(r); err != nil {
			b.finish().Release()
			return fmt.Errorf("log record %d: %w", r.seq, err)
		}
	}
	rec := b.finish()
	defer rec.Release()
	if err := f.NewBufferedRowGroupChecked(); err != nil {
		return err
	}
	return f.WriteBuffered(rec)
}

// countingFile tells how large a file has become.
type countingFile struct {
	io.WriteCloser
	n int64
}

func (c *countingFile) Write(p []byte) (int, error) {
	n, err := c.WriteCloser.Write(p)
	c.n += int64(n)
	return n, err
}
