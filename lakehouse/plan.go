package lakehouse

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/headlessly/headlessly/lakehouse/internal/wire"
)

// sources is what a query reads from.
type sources struct {
	tables []wire.Table
	remote []string // the files of an object store among them
	partly bool     // of which something is missing that read did not name
	fewer  bool     // tables that read does not mean are missing
}

// vanished says whether a file of the plan has been removed since.
func (s sources) vanished() bool {
	for _, t := range s.tables {
		for _, path := range t.Files {
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				return true
			}
		}
	}
	return false
}

// plan lists, for every table, the files that a query of tenant may read. What
// is not yet committed is written to files in dir. Of files in an object store
// only what read names is there, and of the tables only those that read means.
func (l *Lake) plan(ctx context.Context, dir, tenant string, read reads, opts QueryOptions) (from sources, err error) {
	var tail tailReader
	if !opts.CommittedOnly && opts.AsOf.IsZero() && !opts.Describe && slices.ContainsFunc(Tables(), read.meant) {
		if tail, err = l.uncommitted(ctx); err != nil {
			return from, err
		}
	}
	loaded := map[string]*table.Table{}
	for _, one := range l.layouts {
		if !read.meant(one.name) {
			from.fewer = true
			continue
		}
		t, err := l.load(ctx, one.name)
		if err != nil {
			return from, err
		}
		loaded[one.name] = t
		out := wire.Table{Name: one.name}
		for _, f := range t.Schema().Fields() {
			name, err := duckType(f.Type)
			if err != nil {
				return from, fmt.Errorf("column %s.%s: %w", one.name, f.Name, err)
			}
			out.Columns = append(out.Columns, wire.Column{ID: f.ID, Name: f.Name, Type: name})
		}
		if out.Gone = gone(t, opts); out.Gone == "" {
			if out.Files, err = l.planFiles(ctx, t, dir, tenant, read.of(one.name, t.Schema()), opts, &from); err != nil {
				return from, err
			}
		}
		from.tables = append(from.tables, out)
	}
	if tail == nil {
		return from, nil
	}
	return from, tail(ctx, func(name string, b tailBatch) error {
		if loaded[name] == nil {
			return nil
		}
		through, err := committedThrough(loaded[name], b.key)
		if err != nil {
			return err
		}
		one := l.layouts[slices.IndexFunc(l.layouts, func(one *layout) bool { return one.name == name })]
		out := &from.tables[slices.IndexFunc(from.tables, func(t wire.Table) bool { return t.Name == name })]
		path := filepath.Join(dir, fmt.Sprintf("%s-%d.parquet", name, len(out.Files)))
		wrote, err := one.writeTail(ctx, path, tenant, b, through)
		if wrote {
			out.Files = append(out.Files, path)
		}
		return err
	})
}

// planFiles lists the data files of a tenant. What is wanted of those of an
// object store, if there are any, is brought into dir.
func (l *Lake) planFiles(ctx context.Context, t *table.Table, dir, tenant string, want wanted, opts QueryOptions, from *sources) (files []string, err error) {
	if t.CurrentSnapshot() == nil || opts.Describe {
		return nil, nil
	}
	var scan []table.ScanOption
	if tenant != "" {
		scan = append(scan, table.WithRowFilter(iceberg.EqualTo(iceberg.Reference("tenant"), tenant)))
	}
	if !opts.AsOf.IsZero() {
		if !existed(t, opts.AsOf.UnixMilli()) {
			return nil, nil
		}
		scan = append(scan, table.WithSnapshotAsOf(opts.AsOf.UnixMilli()))
	}
	tasks, err := t.Scan(scan...).PlanFiles(ctx)
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", t.Identifier()[1], err)
	}
	var remote []iceberg.DataFile
	seen := map[string]bool{}
	for _, task := range tasks {
		if seen[task.File.FilePath()] { // one task per range of a file
			continue
		}
		seen[task.File.FilePath()] = true
		if len(task.DeleteFiles)+len(task.EqualityDeleteFiles)+len(task.DeletionVectorFiles) > 0 {
			return nil, errors.New("the table has delete files, which queries here can't apply; compact it first")
		}
		// The partition says whose file it is; the plan is not trusted alone.
		if owner, ok := task.File.Partition()[partitionTenantID].(string); tenant != "" && (!ok || owner != tenant) {
			return nil, fmt.Errorf("plan of tenant %s holds file %s of another", tenant, task.File.FilePath())
		}
		if !inFolder(task.File.FilePath()) {
			remote = append(remote, task.File)
			continue
		}
		path, err := localPath(task.File.FilePath())
		if err != nil {
			return nil, err
		}
		files = append(files, path)
	}
	copies, partly, err := l.cache.bring(ctx, t, dir, remote, want)
	from.partly = from.partly || partly
	for _, f := range remote {
		from.remote = append(from.remote, f.FilePath())
	}
	return append(files, copies...), err
}

// gone says why the table can't be read as it was at the time that is asked for,
// "" if it can: its state of then is not kept any more. A query that reads it
// fails; one with no rows would be a lie.
func gone(t *table.Table, opts QueryOptions) string {
	if opts.AsOf.IsZero() || opts.Describe || t.CurrentSnapshot() == nil || existed(t, opts.AsOf.UnixMilli()) {
		return ""
	}
	oldest := t.CurrentSnapshot()
	for entry := range t.Metadata().SnapshotLogs() {
		if s := t.SnapshotByID(entry.SnapshotID); s != nil && s.TimestampMs < oldest.TimestampMs {
			oldest = s
		}
	}
	if oldest.SequenceNumber <= 1 {
		return "" // its first: there was nothing before
	}
	return fmt.Sprintf("the table %s is not kept as it was at %s: its oldest state is of %s",
		t.Identifier()[1], opts.AsOf.UTC().Format(time.RFC3339Nano), time.UnixMilli(oldest.TimestampMs).UTC().Format(time.RFC3339Nano))
}

// existed says whether the table had a snapshot at a time.
func existed(t *table.Table, ms int64) bool {
	for entry := range t.Metadata().SnapshotLogs() {
		if entry.TimestampMs <= ms {
			return true
		}
	}
	return false
}

// duckType is DuckDB's name of an Iceberg type.
func duckType(t iceberg.Type) (string, error) {
	switch t := t.(type) {
	case iceberg.BooleanType:
		return "BOOLEAN", nil
	case iceberg.Int32Type:
		return "INTEGER", nil
	case iceberg.Int64Type:
		return "BIGINT", nil
	case iceberg.Float32Type:
		return "FLOAT", nil
	case iceberg.Float64Type:
		return "DOUBLE", nil
	case iceberg.DateType:
		return "DATE", nil
	case iceberg.TimestampType:
		return "TIMESTAMP", nil
	case iceberg.TimestampTzType:
		return "TIMESTAMP WITH TIME ZONE", nil
	case iceberg.StringType:
		return "VARCHAR", nil
	case iceberg.UUIDType:
		return "UUID", nil
	case iceberg.BinaryType, iceberg.FixedType:
		return "BLOB", nil
	case iceberg.DecimalType:
		return fmt.Sprintf("DECIMAL(%d,%d)", t.Precision(), t.Scale()), nil
	}
	return "", fmt.Errorf("type %s has no name in SQL here", t)
}
