package lakehouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/compute"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"
	"github.com/google/uuid"
)

// Forgotten says what [Lake.Forget] took out of one table.
type Forgotten struct {
	Table     string `json:"table"`
	Rows      int64  `json:"rows"`      // deleted
	Files     int    `json:"files"`     // that held them, all gone now
	Rewritten int64  `json:"rewritten"` // rows of other people in those files, written anew
	Snapshots int    `json:"snapshots"` // forgotten, so that nothing names the files
	Snapshot  int64  `json:"snapshot"`  // the table's newest snapshot afterwards
	// Strays are the removed files of the tenant that nothing named: what a merge
	// or a commit left that was killed, with anybody's rows. Unswept are those
	// that had to stay; see [Lake.RemoveOrphans].
	Strays  int `json:"strays,omitempty"`
	Unswept int `json:"unswept,omitempty"`
}

// forgetKey is in the summary of a deletion's snapshot, and tells that it landed
// where the catalog's answer does not.
const forgetKey = "headlessly.forget"

// forgetTries is how often a table is gone through anew because another writer
// changed the same files.
const forgetTries = 10

// Forget deletes a person's rows from every table: files that hold some are
// written anew without them, and the old files are removed with all snapshots
// that name them, so that neither time travel nor the disk has the rows. It
// covers what is committed: [Writer.Flush] first. It may be run again after a
// failure, with the same person; what it did before is told beside the error.
// Events go last, since they are what the rest is found by.
func (l *Lake) Forget(ctx context.Context, p Person, progress func(done, known int)) ([]Forgotten, error) {
	l.rewriting.Lock() // not beside a compaction of the same files
	defer l.rewriting.Unlock()
	messages, err := l.messages(ctx, &p)
	if err != nil {
		return nil, fmt.Errorf("find the person's events: %w", err)
	}
	var out []Forgotten
	for i := range l.layouts {
		one := l.layouts[len(l.layouts)-1-i] // events are first of all
		r, err := l.forgetIn(ctx, one, &p, messages, progress)
		out = append(out, r)
		if err != nil {
			return out, fmt.Errorf("forget in %s: %w", one.name, err)
		}
	}
	return out, l.trimCache(ctx) // also of files that a compaction has replaced before
}

// Remaining counts a person's rows in each table, what is not committed yet
// among them for events. An empty map is the proof that nobody is there.
func (l *Lake) Remaining(ctx context.Context, p Person) (map[string]int64, error) {
	messages, err := l.messages(ctx, &p)
	if err != nil {
		return nil, err
	}
	left := map[string]int64{}
	if len(messages) > 0 {
		left[TableEvents] = int64(len(messages))
	}
	for _, one := range l.layouts {
		if one.name == TableEvents {
			continue
		}
		t, err := l.load(ctx, one.name)
		if err != nil {
			return nil, err
		}
		files, err := l.holding(ctx, one, t, &p, messages, nil)
		if err != nil {
			return nil, fmt.Errorf("search %s: %w", one.name, err)
		}
		for _, f := range files {
			left[one.name] += f.rows
		}
	}
	return left, nil
}

// holder is a file with rows of a person.
type holder struct {
	task table.FileScanTask
	rows int64
}

// holding finds the files of a table that hold the person's rows.
func (l *Lake) holding(ctx context.Context, one *layout, t *table.Table, p *Person, messages map[string]bool, progress func(done, known int)) ([]holder, error) {
	if t.CurrentSnapshot() == nil {
		return nil, nil
	}
	tasks, err := t.Scan(table.WithRowFilter(iceberg.EqualTo(iceberg.Reference("tenant"), p.Tenant))).PlanFiles(ctx)
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	var out []holder
	tasks = wholeFiles(tasks)
	for i, task := range tasks {
		if progress != nil {
			progress(i, len(tasks))
		}
		if hasDeletes(task) {
			return nil, fmt.Errorf("%s has delete files of another program; compact the table with that first", task.File.FilePath())
		}
		h := holder{task: task}
		for rec, err := range recordsOf(ctx, t, task, matchColumns(one.name)...) {
			if err != nil {
				return nil, err
			}
			match, err := p.rowMatcher(one.name, rec, messages)
			if err != nil {
				return nil, err
			}
			for row := range int(rec.NumRows()) {
				if match(row) {
					h.rows++
				}
			}
			rec.Release()
		}
		if h.rows > 0 {
			out = append(out, h)
		}
	}
	return out, nil
}

// forgetIn deletes the person's rows from one table.
func (l *Lake) forgetIn(ctx context.Context, one *layout, p *Person, messages map[string]bool, progress func(done, known int)) (Forgotten, error) {
	report := Forgotten{Table: one.name}
	for try := 1; ; try++ {
		t, err := l.load(ctx, one.name)
		if err != nil {
			return report, err
		}
		files, err := l.holding(ctx, one, t, p, messages, progress)
		if err != nil {
			return report, err
		}
		report.Rows, report.Files, report.Rewritten = 0, len(files), 0
		if len(files) > 0 {
			mark := uuid.NewString()
			err = l.replaceWithout(ctx, one, t, p, messages, files, mark, &report)
			if err != nil && l.landed(ctx, one, mark) {
				err = nil // its answer was lost, or told of the second of two
			}
			if refused(err) && try < forgetTries {
				if err := pause(ctx, time.Duration(try)*50*time.Millisecond); err != nil {
					return report, err
				}
				continue
			}
			if err != nil {
				return Forgotten{Table: one.name}, err // nothing is known to be gone
			}
		}
		// Also where nothing was found: an earlier run may have died just here.
		if report.Snapshots, report.Snapshot, err = l.expireAll(ctx, one); err != nil {
			return report, err
		}
		if err := l.gone(ctx, t, files); err != nil {
			return report, err
		}
		if report.Strays, report.Unswept, err = l.sweep(ctx, one, p.Tenant, 0); err != nil {
			return report, fmt.Errorf("remove what no snapshot names: %w", err)
		}
		n := 0 // an era may have begun
		n, report.Snapshot, err = l.expireAll(ctx, one)
		report.Snapshots += n
		return report, err
	}
}

// landed says whether a table has a snapshot with a deletion's mark.
func (l *Lake) landed(ctx context.Context, one *layout, mark string) bool {
	t, err := l.load(ctx, one.name)
	return err == nil && slices.ContainsFunc(t.Metadata().Snapshots(), func(s table.Snapshot) bool {
		return s.Summary != nil && s.Summary.Properties[forgetKey] == mark
	})
}

// replaceWithout writes the files anew without the person's rows and commits
// the exchange as one change, whose snapshot bears the mark.
func (l *Lake) replaceWithout(ctx context.Context, one *layout, t *table.Table, p *Person, messages map[string]bool, files []holder, mark string, report *Forgotten) error {
	var old, fresh []iceberg.DataFile
	for _, h := range files {
		old = append(old, h.task.File)
		report.Rows += h.rows
		if h.rows == h.task.File.Count() {
			continue // nobody else is in it
		}
		f, err := l.writeWithout(ctx, one, t, p, messages, h)
		if err != nil {
			return err
		}
		fresh = append(fresh, f)
		report.Rewritten += f.Count()
	}
	return l.exchange(ctx, one, t, old, fresh, func(t *table.Table, txn *table.Transaction) error {
		if err := beginEra(t, txn); err != nil { // for who has read the rows before and not committed them
			return err
		}
		return txn.ReplaceDataFilesWithDataFiles(ctx, old, fresh, iceberg.Properties{"headlessly.operation": "forget", forgetKey: mark}, table.WithoutAutoNameMapping())
	})
}

func (l *Lake) writeWithout(ctx context.Context, one *layout, t *table.Table, p *Person, messages map[string]bool, h holder) (iceberg.DataFile, error) {
	schema, err := table.SchemaToArrowSchema(t.Schema(), nil, true, false) // with field ids
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	wfs, loc, err := warehouse(ctx, t)
	if err != nil {
		return nil, err
	}
	tenant, _ := h.task.File.Partition()[partitionTenantID].(string)
	kept := int64(0)
	file, err := writeDataFile(ctx, t, wfs, loc, one, tenant, dayOf(h.task.File), func(w io.Writer) (*metadata.FileMetaData, error) {
		return one.encodeRecords(w, schema, func(write func(arrow.RecordBatch) error) error {
			for rec, err := range recordsOf(ctx, t, h.task) {
				if err != nil {
					return err
				}
				n, err := keepOthers(ctx, rec, schema, one, p, messages, write)
				rec.Release()
				if err != nil {
					return err
				}
				kept += n
			}
			return nil
		})
	})
	if err == nil && kept != h.task.File.Count()-h.rows {
		err = fmt.Errorf("%s: %d rows were kept of %d, %d are the person's", h.task.File.FilePath(), kept, h.task.File.Count(), h.rows)
	}
	return file, err
}

// keepOthers writes the rows of a batch that are not the person's.
func keepOthers(ctx context.Context, rec arrow.RecordBatch, schema *arrow.Schema, one *layout, p *Person, messages map[string]bool, write func(arrow.RecordBatch) error) (int64, error) {
	match, err := p.rowMatcher(one.name, rec, messages)
	if err != nil {
		return 0, err
	}
	b := array.NewBooleanBuilder(memory.DefaultAllocator)
	defer b.Release()
	for row := range int(rec.NumRows()) {
		b.Append(!match(row))
	}
	mask := b.NewArray()
	defer mask.Release()
	left, err := compute.FilterRecordBatch(ctx, rec, mask, compute.DefaultFilterOptions())
	if err != nil {
		return 0, fmt.Errorf("filter rows: %w", err)
	}
	defer left.Release()
	if left.NumRows() == 0 {
		return 0, nil
	}
	out := array.NewRecordBatch(schema, left.Columns(), left.NumRows())
	defer out.Release()
	return out.NumRows(), write(out)
}

// expireAll forgets every snapshot but the newest, with the files that only
// older ones name.
func (l *Lake) expireAll(ctx context.Context, one *layout) (n int, newest int64, err error) {
	for try := 1; ; try++ {
		t, err := l.load(ctx, one.name)
		if err != nil {
			return 0, 0, err
		}
		if t.CurrentSnapshot() == nil {
			return 0, 0, nil
		}
		before := len(t.Metadata().Snapshots())
		if before == 1 {
			return 0, t.CurrentSnapshot().SnapshotID, nil
		}
		txn := t.NewTransaction()
		if err := txn.ExpireSnapshots(table.WithOlderThan(0), table.WithRetainLast(1)); err != nil {
			return 0, 0, fmt.Errorf("expire: %w", err)
		}
		after, err := txn.Commit(ctx)
		switch {
		case err == nil:
			return before - len(after.Metadata().Snapshots()), after.CurrentSnapshot().SnapshotID, nil
		case !errors.Is(err, table.ErrCommitFailed) || try == forgetTries:
			return 0, 0, fmt.Errorf("expire: %w", err)
		}
		if err := pause(ctx, time.Duration(try)*50*time.Millisecond); err != nil {
			return 0, 0, err
		}
	}
}

// gone makes sure that files are not there any more, here or in the cache.
func (l *Lake) gone(ctx context.Context, t *table.Table, files []holder) error {
	if len(files) == 0 {
		return nil
	}
	wfs, _, err := warehouse(ctx, t)
	if err != nil {
		return err
	}
	for _, h := range files {
		path := h.task.File.FilePath()
		if err := l.cache.drop(path); err != nil {
			return err
		}
		var f iceio.File
		if f, err = wfs.Open(path); err != nil {
			continue // it is gone
		}
		if err := errors.Join(f.Close(), wfs.Remove(path)); err != nil {
			return fmt.Errorf("remove %s: %w", path, err)
		}
	}
	return nil
}
