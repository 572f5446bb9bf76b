package lakehouse

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
)

const (
	// compactRows is the most rows of a compacted file, and compactBytes what they
	// may take: they are sorted in memory.
	compactRows  = 256 << 10
	compactBytes = 128 << 20
	// fullRows or fullBytes make a file large enough to be left alone.
	fullRows  = compactRows / 2
	fullBytes = compactBytes / 2
	// tierFiles is how many files of like size are merged into one. Each row
	// is rewritten about log₈(fullRows) = 6 times in its life.
	tierFiles = 8
	// dayClosed is how long after a day's end its files are merged without
	// waiting for more.
	dayClosed = time.Hour
	// mergeTries is how often a merge is made anew when an era of the table ends
	// before its commit.
	mergeTries = 3
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
// not only what is due. A group that can't be merged is in the error, and the
// others are merged.
func (l *Lake) Compact(ctx context.Context, all bool, progress func(done, known int)) (CompactReport, error) {
	var report CompactReport
	var faults []error
	for _, one := range l.layouts {
		t, err := l.load(ctx, one.name)
		if err != nil {
			return report, errors.Join(append(faults, err)...)
		}
		groups, err := l.compactionGroups(ctx, t, all)
		if err != nil {
			return report, errors.Join(append(faults, err)...)
		}
		for i, g := range groups {
			if progress != nil {
				progress(i, len(groups))
			}
			err := l.compactAll(ctx, one, g, &report)
			if err == nil {
				continue
			}
			faults = append(faults, fmt.Errorf("compact %s: %w", one.name, err))
			// A file that can't be read must not keep the others as they are; a store that can't be reached does.
			if _, err := l.load(ctx, one.name); err != nil || ctx.Err() != nil {
				return report, errors.Join(append(faults, err)...)
			}
		}
	}
	return report, errors.Join(faults...)
}

// compactAll merges a group's files; what is too much for one file goes on into
// the next.
func (l *Lake) compactAll(ctx context.Context, one *layout, group []table.FileScanTask, report *CompactReport) error {
	for len(group) > 1 {
		r, used, err := l.compactGroup(ctx, one, group)
		if err != nil {
			return err
		}
		report.add(r)
		group = group[max(used, 1):]
	}
	return nil
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
	weights := l.weights.of(t.Identifier()[1], seen)
	for k, files := range byPartition {
		groups = append(groups, mergeable(files, weights, all || k.day < today)...)
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
// size, or, when final, everything that is not full. weights are known bytes of
// files.
func mergeable(files []table.FileScanTask, weights map[string]int64, final bool) [][]table.FileScanTask {
	tiers := map[int][]table.FileScanTask{}
	for _, f := range files {
		rows := f.File.Count()
		if rows >= fullRows || weights[f.File.FilePath()] >= fullBytes {
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
		rows, bytes := int64(0), int64(0)
		for _, f := range tier {
			weight := weights[f.File.FilePath()]
			if rows+f.File.Count() > compactRows || bytes+weight > compactBytes {
				if len(group) > 1 {
					groups = append(groups, group)
				}
				group, rows, bytes = nil, 0, 0
			}
			group = append(group, f)
			rows, bytes = rows+f.File.Count(), bytes+weight
		}
		if len(group) > 1 {
			groups = append(groups, group)
		}
	}
	return groups
}

// compactGroup rewrites files of one partition as one: as many of the first ones
// as memory may hold, which is told. Files that somebody has exchanged since
// they were chosen, such as a deletion, are left to the next round.
func (l *Lake) compactGroup(ctx context.Context, one *layout, group []table.FileScanTask) (report CompactReport, used int, err error) {
	l.rewriting.Lock()
	defer l.rewriting.Unlock()
	for try := 1; ; try++ {
		report, used, err = l.merge(ctx, one, group)
		if err == nil || context.Cause(ctx) != nil {
			return report, used, err
		}
		there, fault := l.named(ctx, one, group)
		if fault == nil && !there {
			break
		}
		if fault != nil || !refused(err) || try == mergeTries {
			return report, 0, errors.Join(err, fault)
		}
	}
	l.cfg.Logger.Info("lakehouse_compaction_left", "table", one.name, "files", len(group), "error", err)
	return report, len(group), nil
}

func (l *Lake) merge(ctx context.Context, one *layout, group []table.FileScanTask) (report CompactReport, used int, err error) {
	t, err := l.load(ctx, one.name)
	if err != nil {
		return report, 0, err
	}
	rows, err := gather(ctx, t, group)
	if err != nil {
		return report, 0, err
	}
	defer rows.release(0)
	for i, n := range rows.weights {
		l.weights.note(one.name, group[i].File.FilePath(), n)
	}
	if rows.files < 2 {
		return report, rows.files, nil
	}
	group = group[:rows.files]
	rec, err := rows.sorted(ctx, one)
	if err != nil {
		return report, 0, err
	}
	defer rec.Release()
	tenant, _ := group[0].File.Partition()[partitionTenantID].(string)
	file, err := l.writeRecord(ctx, t, one, tenant, dayOf(group[0].File), rec)
	if err != nil {
		return report, 0, err
	}
	l.weights.note(one.name, file.FilePath(), recordBytes(rec))
	var old []iceberg.DataFile
	for _, f := range group {
		old = append(old, f.File)
	}
	err = l.exchange(ctx, one, t, old, []iceberg.DataFile{file}, func(_ *table.Table, txn *table.Transaction) error {
		rewrite := txn.NewRewrite(iceberg.Properties{"headlessly.operation": "compact"})
		for _, f := range old {
			rewrite.DeleteFile(f)
		}
		return rewrite.AddDataFile(file).Commit(ctx) // it stages
	})
	if err != nil {
		return report, 0, err // what was written is an orphan, if it has not landed and is not removed
	}
	return CompactReport{Groups: 1, Removed: len(group), Added: 1, Rows: rec.NumRows(), Bytes: file.FileSizeBytes()}, len(group), nil
}

// refused says whether a commit has certainly not landed.
func refused(err error) bool {
	return errors.Is(err, table.ErrCommitFailed) || errors.Is(err, table.ErrCommitDiverged)
}

// removeUnnamed removes files that were written for a commit that was refused.
// Those that a snapshot names all the same stay: a proxy before a catalog that
// sends a commit twice answers with the conflict of the second, and what landed
// may have been merged since.
func (l *Lake) removeUnnamed(ctx context.Context, one *layout, written ...iceberg.DataFile) error {
	t, err := l.load(ctx, one.name)
	if err != nil {
		return err
	}
	named, err := namedFiles(ctx, t)
	if err != nil {
		return err
	}
	wfs, _, err := warehouse(ctx, t)
	for _, f := range written {
		if err == nil && !named[path.Base(f.FilePath())] {
			err = wfs.Remove(f.FilePath())
		}
	}
	return err
}

// named says whether the newest state of a table has all of these files.
func (l *Lake) named(ctx context.Context, one *layout, group []table.FileScanTask) (bool, error) {
	t, err := l.load(ctx, one.name)
	if err != nil {
		return false, err
	}
	files := make([]iceberg.DataFile, len(group))
	for i, f := range group {
		files[i] = f.File
	}
	return hasFiles(ctx, t, files)
}
