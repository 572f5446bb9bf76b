package lakehouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"
)

// recordsOf yields the rows of a data file as record batches of the table's
// schema, of the named columns or, without names, of all. The caller releases
// them. Its values are decoded once before: iceberg-go reads columns in
// goroutines of their own, and what makes the Parquet library panic there, one
// flipped bit of a page's header, would end the process. Here it is an error
// that names the file.
func recordsOf(ctx context.Context, t *table.Table, task table.FileScanTask, fields ...string) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		fail := func(err error) { yield(nil, fmt.Errorf("read %s: %w", task.File.FilePath(), err)) }
		if err := decodable(ctx, t, task.File, fields); err != nil {
			fail(err)
			return
		}
		scan := []table.ScanOption{table.WithMaxConcurrency(1)}
		if len(fields) > 0 {
			scan = append(scan, table.WithSelectedFields(fields...))
		}
		_, records, err := t.Scan(scan...).ReadTasks(ctx, []table.FileScanTask{task})
		if err != nil {
			fail(err)
			return
		}
		for rec, err := range records {
			if err != nil {
				fail(err)
				return
			}
			if !yield(rec, nil) {
				return
			}
		}
	}
}

// decodable reads the values of a data file's named columns, or of all.
func decodable(ctx context.Context, t *table.Table, f iceberg.DataFile, fields []string) (err error) {
	fsys, err := t.FS(ctx)
	if err != nil {
		return err
	}
	in, err := fsys.Open(f.FilePath())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if len(fields) == 0 {
		return decode(ctx, in, nil)
	}
	ids := map[int32]bool{}
	for _, name := range fields {
		if field, ok := t.Schema().FindFieldByName(name); ok {
			ids[int32(field.ID)] = true //nolint:gosec // a field id of Iceberg is an int32
		}
	}
	return decode(ctx, in, ids)
}

// decode reads every value of a Parquet file's columns, of those with the given
// field ids or, without any, of all: each block's checksum is compared by it.
// The Parquet library panics over some damage, and would take the process along
// from a goroutine of its own, so the columns are read one after the other in
// this one.
func decode(ctx context.Context, f iceio.File, ids map[int32]bool) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("can't be decoded: %v", p)
		}
	}()
	r, err := file.NewParquetReader(f)
	if err != nil {
		return err
	}
	var leaves []int // nil: all
	if ids != nil {
		leaves = []int{}
		schema := r.MetaData().Schema
		for i := range schema.NumColumns() {
			if ids[schema.ColumnRoot(i).FieldID()] {
				leaves = append(leaves, i)
			}
		}
		if len(leaves) == 0 {
			return nil
		}
	}
	columns, err := pqarrow.NewFileReader(r, pqarrow.ArrowReadProperties{BatchSize: 4096, Parallel: false}, memory.DefaultAllocator)
	if err != nil {
		return err
	}
	records, err := columns.GetRecordReader(ctx, leaves, nil)
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
