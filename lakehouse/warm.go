package lakehouse

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/extensions"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
)

// newest is the time of a file's newest row, as far as the table knows. When the
// file was written does not tell: a compaction writes old rows anew.
func (l *layout) newest(f iceberg.DataFile) int64 {
	field, _ := l.schema.FindFieldByName(l.day)
	if at := f.UpperBoundValues()[field.ID]; len(at) == 8 {
		return int64(binary.LittleEndian.Uint64(at)) //nolint:gosec // as Iceberg writes it
	}
	return int64(dayOf(f)) * dayMicros
}

// warm fills the window of known ids from the files of a table that hold the
// newest rows, and returns how many it read.
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
	tasks = wholeFiles(tasks)
	slices.SortStableFunc(tasks, func(a, b table.FileScanTask) int { return cmp.Compare(one.newest(b.File), one.newest(a.File)) })
	room := int64(r.room())
	n := 0
	for n < len(tasks) && room > 0 {
		room -= tasks[n].File.Count()
		n++
	}
	tasks = tasks[:n]
	slices.Reverse(tasks) // oldest first, so that the newest stay longest
	read := 0
	var faults []error // of some files; the others' ids are known
	for _, task := range tasks {
		for rec, err := range recordsOf(ctx, t, task, "tenant", one.id) {
			if err != nil {
				faults = append(faults, err)
				break
			}
			n, err := r.addAll(rec, one.id)
			rec.Release()
			read += n
			if err != nil {
				faults = append(faults, fmt.Errorf("read %s: %w", task.File.FilePath(), err))
				break
			}
		}
		if ctx.Err() != nil {
			break
		}
	}
	return read, errors.Join(faults...)
}

// addAll adds a record batch's ids, and returns how many.
func (r *recent) addAll(rec arrow.RecordBatch, id string) (int, error) {
	ids, ok1 := rec.Column(rec.Schema().FieldIndices(id)[0]).(*extensions.UUIDArray)
	tenants, ok2 := rec.Column(rec.Schema().FieldIndices("tenant")[0]).(array.StringLike)
	if !ok1 || !ok2 {
		return 0, fmt.Errorf("ids have types %s", rec.Schema())
	}
	for i := range int(rec.NumRows()) {
		r.add(tenants.Value(i), ids.Value(i))
	}
	return int(rec.NumRows()), nil
}
