package lakehouse

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/headlessly/headlessly"
)

// orphanEvery is the pause between searches for orphans, which list every
// file.
const orphanEvery = 6 * time.Hour

// keepLast is how many snapshots stay whatever their age.
const keepLast = 5

// Maintain compacts, expires, removes what is past its retention, and now and
// then orphans, in rounds until ctx is done. What fails is logged and tried
// again in the next round. Run it beside the writer; one per lake is enough.
func (l *Lake) Maintain(ctx context.Context) {
	nextOrphans := l.cfg.Clock().Add(l.cfg.Maintenance.Every)
	for pause(ctx, l.cfg.Maintenance.Every) == nil {
		l.maintainOnce(ctx, &nextOrphans)
	}
}

func (l *Lake) maintainOnce(ctx context.Context, nextOrphans *time.Time) {
	told := func(what string, err error) {
		if err != nil && ctx.Err() == nil {
			l.cfg.Logger.Error("lakehouse_maintenance_failed", "step", what, "error", err)
		}
	}
	r, err := l.Compact(ctx, false, nil)
	told("compact", err)
	if r.Groups > 0 {
		l.cfg.Logger.Info("lakehouse_compacted", "groups", r.Groups, "files_before", r.Removed, "files_after", r.Added, "rows", r.Rows)
	}
	_, err = l.Retain(ctx)
	told("retention", err)
	_, err = l.Expire(ctx)
	told("expire", err)
	told("cache", l.trimCache(ctx))
	if now := l.cfg.Clock(); !now.Before(*nextOrphans) {
		*nextOrphans = now.Add(orphanEvery)
		removed, err := l.RemoveOrphans(ctx)
		told("orphans", err)
		if removed > 0 {
			l.cfg.Logger.Info("lakehouse_orphans_removed", "files", removed)
		}
	}
}

// Expire forgets the snapshots that are older than Maintenance.KeepSnapshots,
// but for the one that was the newest then, and removes the files that only they
// named. It returns how many snapshots went.
func (l *Lake) Expire(ctx context.Context) (int, error) {
	n := 0
	for _, one := range l.layouts {
		t, err := l.load(ctx, one.name)
		if err != nil {
			return n, err
		}
		if !collects(t) {
			continue
		}
		before := len(t.Metadata().Snapshots())
		keep := max(keepLast, youngerThan(t, l.cfg.Maintenance.KeepSnapshots)+1)
		txn := t.NewTransaction()
		if err := txn.ExpireSnapshots(table.WithOlderThan(l.cfg.Maintenance.KeepSnapshots), table.WithRetainLast(keep)); err != nil {
			return n, fmt.Errorf("expire %s: %w", one.name, err)
		}
		after, err := txn.Commit(ctx)
		if errors.Is(err, table.ErrCommitFailed) {
			continue // the writer was faster; the next round comes
		}
		if err != nil {
			return n, fmt.Errorf("expire %s: %w", one.name, err)
		}
		n += before - len(after.Metadata().Snapshots())
	}
	return n, nil
}

// youngerThan counts the newest snapshots up to an age. The one before them is
// the table's state at that age.
func youngerThan(t *table.Table, age time.Duration) (n int) {
	since := headlessly.SystemClock().Add(-age).UnixMilli() // snapshots have the time of the machine
	for s := t.CurrentSnapshot(); s != nil && s.TimestampMs > since; n++ {
		if s.ParentSnapshotID == nil {
			return n + 1
		}
		s = t.SnapshotByID(*s.ParentSnapshotID)
	}
	return n
}

// trimCache removes what is kept of files that the tables do not name any
// more, so that no row outlives its deletion there. Time travel reads them again.
func (l *Lake) trimCache(ctx context.Context) error {
	if there, err := l.cache.there(); !there || err != nil {
		return err
	}
	named := map[string]bool{}
	for _, one := range l.layouts {
		t, err := l.load(ctx, one.name)
		if err != nil {
			return err
		}
		files, err := dataFiles(ctx, t)
		if err != nil {
			return err
		}
		for _, f := range files {
			named[f.FilePath()] = true
		}
	}
	return l.cache.only(named)
}

// collects says whether files and snapshots of a table may be removed that its
// newest state does not name. Nessie forbids it: other branches may name them,
// and its own collector does the work.
func collects(t *table.Table) bool { return t.Properties()["gc.enabled"] != "false" }

// RemoveOrphans removes files under the tables' folders that no snapshot names
// and that are older than Maintenance.OrphanAge: what crashes left behind. Data
// files that were written before a deletion, which can't be committed any more,
// go at any age. It returns how many went.
func (l *Lake) RemoveOrphans(ctx context.Context) (int, error) {
	n := 0
	for _, one := range l.layouts {
		t, err := l.load(ctx, one.name)
		if err != nil {
			return n, err
		}
		if !collects(t) {
			continue
		}
		swept, _, err := l.sweep(ctx, one, "", l.cfg.Maintenance.OrphanAge)
		n += swept
		if err != nil {
			return n, fmt.Errorf("remove orphans of %s: %w", one.name, err)
		}
		if t, err = l.load(ctx, one.name); err != nil {
			return n, err
		}
		r, err := t.DeleteOrphanFiles(ctx, table.WithFilesOlderThan(l.cfg.Maintenance.OrphanAge), table.WithEqualSchemes(map[string]string{"": "file"}))
		n += len(r.DeletedFiles)
		if err != nil {
			return n, fmt.Errorf("remove orphans of %s: %w", one.name, err)
		}
	}
	return n, nil
}

// Retain removes the days that Maintenance.Retention no longer keeps. The
// files go with the snapshots that still name them. It returns how many files
// were taken out of the tables.
func (l *Lake) Retain(ctx context.Context) (int, error) {
	n := 0
	today := day(l.cfg.Clock().UnixMicro())
	for _, one := range l.layouts {
		own := map[string]bool{}
		for _, r := range l.cfg.Maintenance.Retention {
			if r.Table == one.name && r.Tenant != "" {
				own[r.Tenant] = true
			}
		}
		for _, r := range l.cfg.Maintenance.Retention {
			if r.Table != one.name {
				continue
			}
			gone, err := l.retainTable(ctx, one, today-int32(r.Days), func(tenant string) bool {
				return tenant == r.Tenant || (r.Tenant == "" && !own[tenant])
			})
			n += gone
			if err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// retainTable takes out the files of days before first.
func (l *Lake) retainTable(ctx context.Context, one *layout, first int32, whose func(tenant string) bool) (int, error) {
	l.rewriting.Lock()
	defer l.rewriting.Unlock()
	t, err := l.load(ctx, one.name)
	if err != nil || t.CurrentSnapshot() == nil {
		return 0, err
	}
	limit := iceberg.Timestamp(int64(first) * dayMicros)
	tasks, err := t.Scan(table.WithRowFilter(iceberg.LessThan(iceberg.Reference(one.day), limit))).PlanFiles(ctx)
	if err != nil {
		return 0, fmt.Errorf("plan %s: %w", one.name, err)
	}
	var old []iceberg.DataFile
	seen := map[string]bool{}
	for _, task := range tasks {
		tenant, _ := task.File.Partition()[partitionTenantID].(string)
		if seen[task.File.FilePath()] || dayOf(task.File) >= first || !whose(tenant) {
			continue
		}
		seen[task.File.FilePath()] = true
		old = append(old, task.File)
	}
	if len(old) == 0 {
		return 0, nil
	}
	txn := t.NewTransaction()
	if err := txn.ReplaceDataFilesWithDataFiles(ctx, old, nil, iceberg.Properties{"headlessly.operation": "retention"}, table.WithoutAutoNameMapping()); err != nil {
		return 0, fmt.Errorf("retention of %s: %w", one.name, err)
	}
	if _, err := txn.Commit(ctx); err != nil {
		return 0, fmt.Errorf("retention of %s: %w", one.name, err)
	}
	l.cfg.Logger.Info("lakehouse_retention", "table", one.name, "files", len(old))
	return len(old), nil
}

// TableStatus is the state of one table.
type TableStatus struct {
	Name       string
	Rows       int64
	Files      int
	SmallFiles int   // that compaction has yet to merge
	Bytes      int64 // of the data files
	Tenants    int
	Snapshots  int
	Through    uint64    // newest log frame in the table
	LastCommit time.Time // zero for none
	Location   string
}

// Status tells the state of every table from its metadata alone.
func (l *Lake) Status(ctx context.Context) ([]TableStatus, error) {
	var all []TableStatus
	for _, one := range l.layouts {
		t, err := l.load(ctx, one.name)
		if err != nil {
			return nil, err
		}
		s := TableStatus{Name: one.name, Snapshots: len(t.Metadata().Snapshots()), Location: t.Location()}
		if s.Through, err = committedThrough(t, logKey("", l.cfg.Shard)); err != nil {
			return nil, err
		}
		tenants := map[string]bool{}
		if snap := t.CurrentSnapshot(); snap != nil {
			s.LastCommit = time.UnixMilli(snap.TimestampMs).UTC()
			files, err := dataFiles(ctx, t)
			if err != nil {
				return nil, err
			}
			for _, f := range files {
				s.Files++
				s.Rows += f.Count()
				s.Bytes += f.FileSizeBytes()
				if f.Count() < fullRows {
					s.SmallFiles++
				}
				tenant, _ := f.Partition()[partitionTenantID].(string)
				tenants[strings.Clone(tenant)] = true
			}
		}
		s.Tenants = len(tenants)
		all = append(all, s)
	}
	return all, nil
}

// dataFiles lists the data files of the newest snapshot, each once.
func dataFiles(ctx context.Context, t *table.Table) ([]iceberg.DataFile, error) {
	if t.CurrentSnapshot() == nil {
		return nil, nil
	}
	tasks, err := t.Scan().PlanFiles(ctx)
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", t.Identifier()[1], err)
	}
	var files []iceberg.DataFile
	seen := map[string]bool{}
	for _, task := range tasks {
		if !seen[task.File.FilePath()] {
			seen[task.File.FilePath()] = true
			files = append(files, task.File)
		}
	}
	return files, nil
}
