package lakehouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/headlessly/headlessly/lakehouse/internal/wire"
)

// Column is a column of a result: its name and DuckDB's name of its type.
type Column struct{ Name, Type string }

// Rows is the result of a query, held in a file until Close. It may be read
// any number of times, by one goroutine at a time.
type Rows struct {
	Columns   []Column
	Count     int64         // rows
	Truncated bool          // there were more rows than a result may have
	Elapsed   time.Duration // from the call to the complete result
	// Parameters are DuckDB's names of the types of the statement's parameters,
	// "" for one of any type. Only a described query has them.
	Parameters []string

	dir, path string
	file      *file.Reader
	arrow     *pqarrow.FileReader
}

func openRows(dir, path string, done *wire.Done, maxRows int64) (*Rows, error) {
	f, err := file.OpenParquetFile(path, false)
	if err != nil {
		return nil, fmt.Errorf("open result: %w", err)
	}
	r, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{BatchSize: 4096}, memory.DefaultAllocator)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read result: %w", err), f.Close())
	}
	rows := &Rows{Count: min(f.NumRows(), maxRows), Truncated: f.NumRows() > maxRows, Parameters: done.Parameters, dir: dir, path: path, file: f, arrow: r}
	for _, c := range done.Columns {
		rows.Columns = append(rows.Columns, Column(c))
	}
	return rows, nil
}

// Close frees the result.
func (r *Rows) Close() error {
	return errors.Join(r.file.Close(), os.RemoveAll(r.dir))
}

// Schema is the result's Arrow schema.
func (r *Rows) Schema() (*arrow.Schema, error) {
	s, err := r.arrow.Schema()
	if err != nil {
		return nil, fmt.Errorf("read result: %w", err)
	}
	return s, nil
}

// Batches yields the rows as Arrow record batches. A batch is valid until the
// next is asked for.
func (r *Rows) Batches(ctx context.Context) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		reader, err := r.arrow.GetRecordReader(ctx, nil, nil)
		if err != nil {
			yield(nil, fmt.Errorf("read result: %w", err))
			return
		}
		defer reader.Release()
		left := r.Count
		for left > 0 && reader.Next() {
			rec := reader.RecordBatch()
			if rec.NumRows() > left {
				rec = rec.NewSlice(0, left)
				defer rec.Release()
			}
			left -= rec.NumRows()
			if !yield(rec, nil) {
				return
			}
		}
		if err := reader.Err(); err != nil && !errors.Is(err, io.EOF) {
			yield(nil, fmt.Errorf("read result: %w", err))
		}
	}
}
