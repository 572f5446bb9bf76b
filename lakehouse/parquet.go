package lakehouse

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

const (
	// chunkRows is how many rows are turned into Arrow at once.
	chunkRows = 8 << 10
	// groupRows ends a row group: large enough to compress well, small enough
	// to prune by and to bound the encoder's memory.
	groupRows = 128 << 10
)

// writerProperties is how a table's files are encoded.
func (l *layout) writerProperties(codec compress.Compression) *parquet.WriterProperties {
	opts := []parquet.WriterProperty{
		parquet.WithVersion(parquet.V2_LATEST),
		parquet.WithDataPageVersion(parquet.DataPageV1),
		parquet.WithCompression(codec),
		parquet.WithDictionaryDefault(true),
		parquet.WithStoreDecimalAsInteger(true),
		parquet.WithMaxRowGroupLength(groupRows),
		parquet.WithCreatedBy("headlessly"),
	}
	for _, col := range l.plain {
		opts = append(opts, parquet.WithDictionaryFor(col, false))
	}
	return parquet.NewWriterProperties(opts...)
}

func (l *layout) newParquetFile(w io.Writer, codec compress.Compression) (*pqarrow.FileWriter, error) {
	fw, err := pqarrow.NewFileWriter(l.arrow, w, l.writerProperties(codec), pqarrow.NewArrowWriterProperties(pqarrow.WithAllocator(memory.DefaultAllocator)))
	if err != nil {
		return nil, fmt.Errorf("parquet of %s: %w", l.name, err)
	}
	return fw, nil
}

// encode writes rows to w, and closes it if it is a closer. Building Arrow and encoding Parquet overlap, one
// chunk ahead.
func (l *layout) encode(ctx context.Context, w io.Writer, rows []*row, codec compress.Compression) (*metadata.FileMetaData, error) {
	f, err := l.newParquetFile(w, codec)
	if err != nil {
		return nil, err
	}
	if len(rows) <= chunkRows {
		err = l.encodeDirect(f, rows)
	} else {
		err = l.encodeAhead(ctx, f, rows)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return f.FileMetadata()
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

func (l *layout) encodeDirect(f *pqarrow.FileWriter, rows []*row) error {
	b := l.newBuilder(memory.DefaultAllocator)
	defer b.Release()
	rec, err := b.build(rows)
	if err != nil {
		return err
	}
	defer rec.Release()
	return f.WriteBuffered(rec)
}

func (l *layout) encodeAhead(ctx context.Context, f *pqarrow.FileWriter, rows []*row) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	chunks := make(chan arrow.RecordBatch, 1)
	failed := make(chan error, 1)
	go func() {
		defer close(chunks)
		b := l.newBuilder(memory.DefaultAllocator)
		defer b.Release()
		for len(rows) > 0 {
			n := min(chunkRows, len(rows))
			rec, err := b.build(rows[:n])
			if err != nil {
				failed <- err
				return
			}
			select {
			case chunks <- rec:
			case <-ctx.Done():
				rec.Release()
				failed <- context.Cause(ctx)
				return
			}
			rows = rows[n:]
		}
		failed <- nil
	}()
	var err error
	for rec := range chunks {
		if err == nil {
			if err = f.WriteBuffered(rec); err != nil {
				cancel()
			}
		}
		rec.Release()
	}
	if built := <-failed; err == nil {
		err = built
	}
	return err
}

// build makes one record batch of rows.
func (b *rowBuilder) build(rows []*row) (arrow.RecordBatch, error) {
	b.Reserve(len(rows))
	for _, r := range rows {
		if err := b.add(r); err != nil {
			b.NewRecordBatch().Release() // drop what was begun
			return nil, fmt.Errorf("log record %d: %w", r.seq, err)
		}
	}
	return b.NewRecordBatch(), nil
}
