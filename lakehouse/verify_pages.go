package lakehouse

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	iceio "github.com/apache/iceberg-go/io"
)

// decodeAll reads every value of a Parquet file: each block's checksum is
// compared by it. The Parquet library panics over some damage, and would take
// the process along from a goroutine of its own, so the columns are read one
// after the other in this one.
func decodeAll(ctx context.Context, f iceio.File) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("can't be decoded: %v", p)
		}
	}()
	r, err := file.NewParquetReader(f)
	if err != nil {
		return err
	}
	columns, err := pqarrow.NewFileReader(r, pqarrow.ArrowReadProperties{BatchSize: 4096, Parallel: false}, memory.DefaultAllocator)
	if err != nil {
		return err
	}
	records, err := columns.GetRecordReader(ctx, nil, nil)
	if err != nil {
		return err
	}
	defer records.Release()
	rows := int64(0)
	for records.Next() {
		rows += records.RecordBatch().NumRows()
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
	if err := records.Err(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if rows != r.NumRows() {
		return fmt.Errorf("has values for %d rows and says that it has %d", rows, r.NumRows())
	}
	return nil
}
