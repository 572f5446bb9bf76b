package lakehouse

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/compute"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
)

const (
	// compactRows is the most rows of a compacted file: they are sorted in
	// memory.
	compactRows = 256 << 10
	// fullRows makes a file large enough to be left alone.
	fullRows = compactRows / 2
	// tierFiles is how many files of like size are merged into one. Each row
	// is rewritten about log₈(fullRows) = 6 times in its life.
	tierFiles = 8
	// dayClosed is how long after a day's end its files are merged without
	// waiting for more.
	dayClosed = time.Hour
)

// CompactReport says what a compaction did.
type CompactReport struct {
	Groups  int   // sets of files merged
	Removed int   // files before
	Added   int   // files after
	Rows    int64 // rewritten
	Bytes   int64 // of the new files
}

func (r *CompactReport) add(o CompactReport) {
	r.Groups += o.Groups
	r.Removed += o.Removed
	r.Added += o.Added
	r.Rows += o.Rows
	r.Bytes += o.Bytes
}

// Compact merges small files of all tables into larger, sorted ones, one group
// of files and one commit at a time; progress, if not nil, is called before
// each with the groups done and known so far. It may be stopped and run again
// at any time, beside a writer and queries. all merges whatever can be merged,
// not only what is due.
func (l *Lake) Compact(ctx context.Context, all bool, progress func(done, known int)) (CompactReport, error) {
	var report CompactReport
	for _, one := range l.layouts {
		t, err := l.load(ctx, one.name)
		if err != nil {
			return report, err
		}
		groups, err := l.compactionGroups(ctx, t, all)
		if err != nil {
			return report, err
		}
		for i, g := range groups {
			if progress != nil {
				progress(i, len(groups))
			}
			r, err := l.compactGroup(ctx, one, g)
			if err != nil {
				return report, fmt.Errorf("compact %s: %w", one.name, err)
			}
			report.add(r)
		}
	}
	return report, nil
}

// compactionGroups plans which files of a table to merge.
func (l *Lake) compactionGroups(ctx context.Context, t *table.Table, all bool) ([][]table.FileScanTask, error) {
	if t.CurrentSnapshot() == nil {
		return nil, nil
	}
	tasks, err := t.Scan().PlanFiles(ctx)
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", t.Identifier()[1], err)
	}
	type key struct {
		tenant string
		day    int32
		spec   int32
	}
	byPartition := map[key][]table.FileScanTask{}
	seen := map[string]bool{}
	for _, task := range tasks {
		if seen[task.File.FilePath()] || hasDeletes(task) {
			continue
		}
		seen[task.File.FilePath()] = true
		task.Start, task.Length = 0, task.File.FileSizeBytes() // whole, however the plan cut it
		tenant, _ := task.File.Partition()[partitionTenantID].(string)
		k := key{tenant, dayOf(task.File), task.File.SpecID()}
		byPartition[k] = append(byPartition[k], task)
	}
	today := day(l.cfg.Clock().Add(-dayClosed).UnixMicro())
	var groups [][]table.FileScanTask
	for k, files := range byPartition {
		groups = append(groups, mergeable(files, all || k.day < today)...)
	}
	slices.SortFunc(groups, func(a, b []table.FileScanTask) int { // oldest first, so that a stopped run begins the same
		return strings.Compare(a[0].File.FilePath(), b[0].File.FilePath())
	})
	return groups, nil
}

func hasDeletes(t table.FileScanTask) bool {
	return len(t.DeleteFiles)+len(t.EqualityDeleteFiles)+len(t.DeletionVectorFiles) > 0
}

func dayOf(f iceberg.DataFile) int32 {
	switch d := f.Partition()[partitionDayID].(type) {
	case iceberg.Date:
		return int32(d)
	case int32:
		return d
	}
	return 0
}

// mergeable picks sets of files to merge from one partition: tierFiles of like
// size, or, when final, everything that is not full.
func mergeable(files []table.FileScanTask, final bool) [][]table.FileScanTask {
	tiers := map[int][]table.FileScanTask{}
	for _, f := range files {
		rows := f.File.Count()
		if rows >= fullRows {
			continue
		}
		tier := 0
		if !final {
			tier = bits.Len64(uint64(rows)) / 3 // eightfold steps
		}
		tiers[tier] = append(tiers[tier], f)
	}
	least := tierFiles
	if final {
		least = 2
	}
	var groups [][]table.FileScanTask
	for _, tier := range tiers {
		if len(tier) < least {
			continue
		}
		slices.SortFunc(tier, func(a, b table.FileScanTask) int { return strings.Compare(a.File.FilePath(), b.File.FilePath()) })
		var group []table.FileScanTask
		rows := int64(0)
		for _, f := range tier {
			if rows+f.File.Count() > compactRows && len(group) > 1 {
				groups = append(groups, group)
				group, rows = nil, 0
			}
			group = append(group, f)
			rows += f.File.Count()
		}
		if len(group) > 1 {
			groups = append(groups, group)
		}
	}
	return groups
}

// compactGroup rewrites files of one partition as one.
func (l *Lake) compactGroup(ctx context.Context, one *layout, group []table.FileScanTask) (CompactReport, error) {
	l.rewriting.Lock()
	defer l.rewriting.Unlock()
	t, err := l.load(ctx, one.name)
	if err != nil {
		return CompactReport{}, err
	}
	rec, err := readSorted(ctx, t, one, group)
	if err != nil {
		return CompactReport{}, err
	}
	defer rec.Release()
	tenant, _ := group[0].File.Partition()[partitionTenantID].(string)
	file, err := l.writeRecord(ctx, t, one, tenant, dayOf(group[0].File), rec)
	if err != nil {
		return CompactReport{}, err
	}
	report := CompactReport{Groups: 1, Removed: len(group), Added: 1, Rows: rec.NumRows(), Bytes: file.FileSizeBytes()}
	txn := t.NewTransaction()
	rewrite := txn.NewRewrite(iceberg.Properties{"headlessly.operation": "compact"})
	for _, f := range group {
		rewrite.DeleteFile(f.File)
	}
	if err := rewrite.AddDataFile(file).Commit(ctx); err != nil {
		return CompactReport{}, err
	}
	if _, err := txn.Commit(ctx); err != nil {
		return CompactReport{}, err // what was written is an orphan, unless it landed
	}
	return report, nil
}

// readSorted reads files as one record batch in the table's order.
func readSorted(ctx context.Context, t *table.Table, one *layout, group []table.FileScanTask) (arrow.RecordBatch, error) {
	scanned, records, err := t.Scan(table.WithMaxConcurrency(1)).ReadTasks(ctx, group)
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	schema, err := table.SchemaToArrowSchema(t.Schema(), nil, true, false) // as scanned, with field ids
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	columns, got, err := joined(scanned, records)
	defer func() {
		for _, c := range columns {
			if c != nil {
				c.Release()
			}
		}
	}()
	if err != nil {
		return nil, err
	}
	want := int64(0)
	for _, f := range group {
		want += f.File.Count()
	}
	if got != want {
		return nil, fmt.Errorf("files hold %d rows where the table says %d", got, want)
	}
	order, err := sortOrder(schema, columns, one)
	if err != nil {
		return nil, err
	}
	defer order.Release()
	for i, c := range columns {
		sorted, err := compute.TakeArray(ctx, c, order)
		if err != nil {
			return nil, fmt.Errorf("sort column %s: %w", schema.Field(i).Name, err)
		}
		c.Release()
		columns[i] = sorted
	}
	return array.NewRecordBatch(schema, columns, got), nil
}

// joined reads all rows and gives them as whole columns. What was read of a
// column goes as soon as it is joined: the rows are in memory once, not twice.
// The columns are the caller's to release, also with an error.
func joined(schema *arrow.Schema, records iter.Seq2[arrow.RecordBatch, error]) (columns []arrow.Array, rows int64, err error) {
	chunks := make([][]arrow.Array, schema.NumFields())
	forget := func(i int) {
		for _, c := range chunks[i] {
			c.Release()
		}
		chunks[i] = nil
	}
	defer func() {
		for i := range chunks {
			forget(i)
		}
	}()
	for rec, err := range records {
		if err != nil {
			return nil, 0, fmt.Errorf("read: %w", err)
		}
		rows += rec.NumRows()
		for i := range chunks {
			c := rec.Column(i)
			c.Retain()
			chunks[i] = append(chunks[i], c)
		}
		rec.Release()
	}
	columns = make([]arrow.Array, len(chunks))
	for i := range chunks {
		if len(chunks[i]) == 0 {
			chunks[i] = []arrow.Array{array.MakeArrayOfNull(memory.DefaultAllocator, schema.Field(i).Type, 0)}
		}
		if columns[i], err = array.Concatenate(chunks[i], memory.DefaultAllocator); err != nil {
			return columns, 0, fmt.Errorf("join column %s: %w", schema.Field(i).Name, err)
		}
		forget(i)
	}
	return columns, rows, nil
}

// sortOrder is the rows' numbers in the table's order.
func sortOrder(schema *arrow.Schema, columns []arrow.Array, one *layout) (arrow.Array, error) {
	find := func(name string) arrow.Array {
		if i := schema.FieldIndices(name); len(i) == 1 {
			return columns[i[0]]
		}
		return nil
	}
	when, ok1 := find(one.sortTime).(*array.Timestamp)
	seq, ok2 := find("log_seq").(*array.Int64)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("sort columns have types that are not known: %s", schema)
	}
	var name array.StringLike
	if one.sortEvent != "" {
		var ok bool
		if name, ok = find(one.sortEvent).(array.StringLike); !ok {
			return nil, fmt.Errorf("sort column %s is no text", one.sortEvent)
		}
	}
	rows := make([]int64, seq.Len())
	for i := range rows {
		rows[i] = int64(i)
	}
	slices.SortFunc(rows, func(a, b int64) int {
		i, j := int(a), int(b)
		if name != nil {
			if c := strings.Compare(name.Value(i), name.Value(j)); c != 0 { // null is "": first
				return c
			}
		}
		return cmp.Or(cmp.Compare(when.Value(i), when.Value(j)), cmp.Compare(seq.Value(i), seq.Value(j)))
	})
	b := array.NewInt64Builder(memory.DefaultAllocator)
	defer b.Release()
	b.AppendValues(rows, nil)
	return b.NewArray(), nil
}
