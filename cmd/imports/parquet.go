package imports

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/extensions"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// parquetRows is how many rows are decoded at once.
const parquetRows = 4096

// parquet is a Parquet file.
type parquet struct {
	file  *file.Reader
	rows  pqarrow.RecordReader
	batch arrow.RecordBatch
	at    int   // the next row of batch
	row   int64 // rows given so far
}

func openParquet(ctx context.Context, path string) (_ *parquet, err error) {
	f, err := file.OpenParquetFile(path, false)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
		}
	}()
	r, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{BatchSize: parquetRows}, memory.DefaultAllocator)
	if err != nil {
		return nil, err
	}
	rows, err := r.GetRecordReader(ctx, nil, nil)
	if err != nil {
		return nil, err
	}
	return &parquet{file: f, rows: rows}, nil
}

func (p *parquet) share() float64 {
	if p.file.NumRows() == 0 {
		return 1
	}
	return float64(p.row) / float64(p.file.NumRows())
}

func (p *parquet) close() error {
	p.rows.Release()
	return p.file.Close()
}

func (p *parquet) next() (map[string]any, int64, []byte, error) {
	for p.batch == nil || p.at >= int(p.batch.NumRows()) {
		if !p.rows.Next() {
			if err := p.rows.Err(); err != nil && !errors.Is(err, io.EOF) {
				return nil, 0, nil, err
			}
			return nil, 0, nil, io.EOF
		}
		p.batch, p.at = p.rows.RecordBatch(), 0
	}
	fields := map[string]any{}
	for i, f := range p.batch.Schema().Fields() {
		v, err := cell(p.batch.Column(i), p.at)
		if err != nil {
			return nil, 0, nil, fmt.Errorf("column %s of row %d: %w", f.Name, p.row+1, err)
		}
		if v != nil && v != "" {
			fields[f.Name] = v
		}
	}
	p.at++
	p.row++
	raw, err := json.Marshal(fields)
	return fields, p.row, raw, err
}

// cell gives a value as JSON knows it.
func cell(a arrow.Array, i int) (any, error) {
	if a.IsNull(i) {
		return nil, nil //nolint:nilnil // null is a value
	}
	switch a := a.(type) {
	case array.StringLike:
		return a.Value(i), nil
	case *array.Boolean:
		return a.Value(i), nil
	case *array.Timestamp:
		unit := a.DataType().(*arrow.TimestampType).Unit //nolint:forcetypeassert // of a timestamp
		return a.Value(i).ToTime(unit).UTC().Format(time.RFC3339Nano), nil
	case *array.Date32:
		return a.Value(i).ToTime().Format(time.DateOnly), nil
	case *extensions.UUIDArray:
		return a.Value(i).String(), nil
	case interface{ Value(i int) []byte }: // of fixed or any length
		return bytesText(a.Value(i)), nil
	}
	raw, err := json.Marshal(a.GetOneForMarshal(i))
	if err != nil {
		return nil, err
	}
	return value(raw)
}

// bytesText is a text, or base64 where the bytes are none.
func bytesText(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return base64.StdEncoding.EncodeToString(b)
}
