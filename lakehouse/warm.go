package lakehouse

import (
	"context"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/extensions"
	"github.com/apache/iceberg-go/table"
)

// warm fills the window of known ids from the newest files of a table, and
// returns how many it read.
func (l *Lake) warm(ctx context.Context, one *layout, r *recent) (int, error) {
	t, err := l.load(ctx, one.name)
	if err != nil {
		return 0, err
	}
	if t.CurrentSnapshot() == nil {
		return 0, nil
	}
	tasks, err := t.Scan().PlanFiles(ctx)
	if err != nil {
		return 0, fmt.Errorf("plan %s: %w", one.name, err)
	}
	newest := func(x table.FileScanTask) int64 {
		if x.DataSequenceNumber == nil {
			return 0
		}
		return *x.DataSequenceNumber
	}
	slices.SortStableFunc(tasks, func(a, b table.FileScanTask) int { return int(newest(b) - newest(a)) })
	room := int64(r.room())
	n := 0
	for n < len(tasks) && room > 0 {
		room -= tasks[n].File.Count()
		n++
	}
	tasks = tasks[:n]
	slices.Reverse(tasks) // oldest first, so that the newest stay longest
	_, records, err := t.Scan(table.WithSelectedFields("tenant", one.id), table.WithMaxConcurrency(1)).ReadTasks(ctx, tasks)
	if err != nil {
		return 0, fmt.Errorf("read newest ids: %w", err)
	}
	read := 0
	for rec, err := range records {
		if err != nil {
			return read, fmt.Errorf("read newest ids: %w", err)
		}
		ids, ok1 := rec.Column(rec.Schema().FieldIndices(one.id)[0]).(*extensions.UUIDArray)
		tenants, ok2 := rec.Column(rec.Schema().FieldIndices("tenant")[0]).(array.StringLike)
		if !ok1 || !ok2 {
			rec.Release()
			return read, fmt.Errorf("ids have types %s", rec.Schema())
		}
		for i := range int(rec.NumRows()) {
			r.add(tenants.Value(i), ids.Value(i))
			read++
		}
		rec.Release()
	}
	return read, nil
}
