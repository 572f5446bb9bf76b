package lakehouse

import (
	"context"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/headlessly/headlessly"
)

// ReadColumns are the columns that Events reads.
func ReadColumns() []string { return slices.Collect(maps.Keys(eventFields(&headlessly.Event{}))) }

// Drop removes a table from the catalog.
func (l *Lake) Drop(ctx context.Context, name string) error {
	return l.cat.DropTable(ctx, identifierOf(name))
}

// DropColumns takes columns out of a table, so that it looks like one of an
// older version.
func (l *Lake) DropColumns(ctx context.Context, name string, gone ...string) error {
	t, err := l.load(ctx, name)
	if err != nil {
		return err
	}
	fields := slices.DeleteFunc(slices.Clone(t.Schema().Fields()), func(f iceberg.NestedField) bool { return slices.Contains(gone, f.Name) })
	_, _, err = l.cat.CommitTable(ctx, t.Identifier(), nil, []table.Update{
		table.NewAddSchemaUpdate(iceberg.NewSchema(t.Schema().ID+1, fields...)), table.NewSetCurrentSchemaUpdate(-1),
	})
	return err
}

// PeriodsOf is what a query's text is guessed to read, by column.
func PeriodsOf(sql string, args []any, now time.Time) map[string][2]int64 {
	out := map[string][2]int64{}
	for column, p := range periodsOf(sql, args, now) {
		out[column] = [2]int64{p.from, p.to}
	}
	return out
}

// EventsFile makes what encodes events into one file, again and again as a
// writer's worker does.
func EventsFile(records []headlessly.Record) (encode func(w io.Writer) error, err error) {
	one, err := eventsLayout(nil)
	if err != nil {
		return nil, err
	}
	rows := make([]row, len(records))
	sorted := make([]*row, len(records))
	for i, rec := range records {
		at := place{seq: int64(i + 1)}
		key, err := one.key(rec, at)
		if err != nil {
			return nil, err
		}
		rows[i] = row{rowKey: key, seq: at.seq, data: rec.Data}
		sorted[i] = &rows[i]
	}
	slices.SortFunc(sorted, compareRows)
	b := one.newBuilder(memory.DefaultAllocator)
	return func(w io.Writer) error {
		_, err := one.encodeWith(context.Background(), b, w, sorted, compress.Codecs.Zstd)
		return err
	}, nil
}
