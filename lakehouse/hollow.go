package lakehouse

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	iceio "github.com/apache/iceberg-go/io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/apache/arrow-go/v18/parquet/schema"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
)

// source is where one query's files of one table come from.
type source struct {
	fsys  iceio.IO
	dir   string // the query's own folder
	want  wanted
	shape func() (*schema.Schema, error) // of files as the table's schema is now
}

func newSource(ctx context.Context, t *table.Table, dir string, want wanted) (source, error) {
	fsys, err := t.FS(ctx)
	if err != nil {
		return source{}, fmt.Errorf("open warehouse: %w", err)
	}
	return source{fsys, dir, want, sync.OnceValues(func() (*schema.Schema, error) {
		fields, err := table.SchemaToArrowSchema(t.Schema(), nil, true, false) // with field ids
		if err != nil {
			return nil, fmt.Errorf("arrow schema: %w", err)
		}
		return hollowSchema(fields)
	})}, nil
}

func hollowSchema(fields *arrow.Schema) (*schema.Schema, error) {
	sc, err := pqarrow.ToParquet(fields, parquet.NewWriterProperties(parquet.WithVersion(parquet.V2_LATEST), parquet.WithStoreDecimalAsInteger(true)), pqarrow.DefaultWriterProps())
	if err != nil {
		return nil, fmt.Errorf("parquet schema: %w", err)
	}
	return sc, nil
}

const (
	parquetMagic = "PAR1"
	hollowBytes  = 64 // of nothing, where every column is said to be
)

// hollow writes a file that stands for one of the object store whose rows lie
// apart from the wanted time: its footer says how many rows there are and when,
// and each column is a hole. The engine passes over it without a byte from the
// store; should it want a row after all, it meets the hole.
func (s source) hollow(f iceberg.DataFile) (string, error) {
	sc, err := s.shape()
	if err != nil {
		return "", err
	}
	b := metadata.NewFileMetadataBuilder(sc, parquet.NewWriterProperties(), nil)
	group := b.AppendRowGroup()
	group.SetNumRows(int(f.Count()))
	times := s.want.stated(f)
	for i := range sc.NumColumns() {
		c := group.NextColumnChunk()
		if at, ok := times[int(sc.Column(i).SchemaNode().FieldID())]; ok {
			c.SetStats(metadata.EncodedStatistics{HasMin: true, HasMax: true, Signed: true, Min: instantBytes(at.from), Max: instantBytes(at.to)})
		}
		at := metadata.ChunkMetaInfo{NumValues: f.Count(), IndexPageOffset: -1, DataPageOffset: int64(len(parquetMagic)), CompressedSize: hollowBytes, UncompressedSize: hollowBytes}
		if err := c.Finish(at, false, false, metadata.EncodingStats{}); err != nil {
			return "", fmt.Errorf("describe column: %w", err)
		}
	}
	if err := group.Finish(0, 0); err != nil {
		return "", fmt.Errorf("describe rows: %w", err)
	}
	meta, err := b.Finish()
	if err != nil {
		return "", fmt.Errorf("make footer: %w", err)
	}
	file := bytes.NewBufferString(parquetMagic + strings.Repeat("\x00", hollowBytes))
	n, err := meta.WriteTo(file, nil)
	if err != nil {
		return "", fmt.Errorf("write footer: %w", err)
	}
	file.Write(binary.LittleEndian.AppendUint32(nil, uint32(n))) //nolint:gosec // a footer is small
	file.WriteString(parquetMagic)
	out, err := os.CreateTemp(s.dir, "hollow-*.parquet")
	if err != nil {
		return "", err
	}
	_, err = out.Write(file.Bytes())
	return filepath.Join(s.dir, filepath.Base(out.Name())), errors.Join(err, out.Close())
}

func instantBytes(us int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(us)) } //nolint:gosec // the same bits
