package lakehouse

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
)

// eraKey is the table property that counts a table's eras. A data file has in its
// name the era in which its writer read the table, a commit adds files of the
// table's era alone, and an era begins with a snapshot, so that every commit
// begun before fails. A file of an earlier era that no snapshot names will
// therefore never be named: whoever finds it may remove it, though a process of
// which he knows nothing wrote it and perhaps runs.
const eraKey = "headlessly.era"

// eraOf is the era of a table.
func eraOf(t *table.Table) (uint64, error) {
	text := t.Properties()[eraKey]
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("table %s: property %s is %q, which is no number", t.Identifier()[1], eraKey, text)
	}
	return n, nil
}

// sameEra says whether files written when the table was as it is in one may be
// added to what it is in the other.
func sameEra(one, other *table.Table) bool {
	return one.Properties()[eraKey] == other.Properties()[eraKey]
}

// dataFileName is the name of a new data file.
func dataFileName(id fmt.Stringer, era uint64) string {
	return fmt.Sprintf("%s-era%d.parquet", id, era)
}

var eraInName = regexp.MustCompile(`-era([0-9]+)\.parquet$`)

// eraOfFile is the era of a data file, and false for one of a program, or version,
// that knows none.
func eraOfFile(location string) (uint64, bool) {
	m := eraInName.FindStringSubmatch(path.Base(location))
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseUint(m[1], 10, 64)
	return n, err == nil
}

// beginEra makes a transaction's snapshot the first of the table's next era.
func beginEra(t *table.Table, txn *table.Transaction) error {
	era, err := eraOf(t)
	if err != nil {
		return err
	}
	return txn.SetProperties(iceberg.Properties{eraKey: strconv.FormatUint(era+1, 10)})
}

// nextEra begins an era by itself, with a snapshot that changes no row.
func (l *Lake) nextEra(ctx context.Context, one *layout) error {
	for try := 1; ; try++ {
		t, err := l.load(ctx, one.name)
		if err != nil {
			return err
		}
		err = l.commitEra(ctx, t)
		if err == nil {
			return nil
		}
		if !refused(err) || try == commitTries {
			return fmt.Errorf("begin an era of %s: %w", one.name, err)
		}
		if err := pause(ctx, time.Duration(try)*20*time.Millisecond); err != nil {
			return err
		}
	}
}

func (l *Lake) commitEra(ctx context.Context, t *table.Table) error {
	txn := t.NewTransaction()
	if err := txn.AssertRefSnapshotID(table.MainBranch); err != nil {
		return err
	}
	if err := beginEra(t, txn); err != nil {
		return err
	}
	schema, err := table.SchemaToArrowSchema(t.Schema(), nil, true, false)
	if err != nil {
		return err
	}
	none, err := array.NewRecordReader(schema, nil)
	if err != nil {
		return err
	}
	defer none.Release()
	if err := txn.Append(ctx, none, iceberg.Properties{"headlessly.operation": "era"}); err != nil {
		return err
	}
	_, err = txn.Commit(ctx)
	return err
}

// exchange commits that fresh files take the place of old ones, which stage puts
// into a transaction. Commits of others between are no hindrance while the
// table has all of the old files and its era lasts. The fresh files of a commit
// that has certainly not landed are removed: they may hold rows that a deletion
// has looked for.
func (l *Lake) exchange(ctx context.Context, one *layout, t *table.Table, old, fresh []iceberg.DataFile, stage func(*table.Table, *table.Transaction) error) error {
	for try := 1; ; try++ {
		txn := t.NewTransaction()
		err := txn.AssertRefSnapshotID(table.MainBranch)
		if err == nil {
			err = stage(t, txn)
		}
		if err == nil {
			_, err = txn.Commit(ctx)
			if err == nil || !refused(err) {
				return err // perhaps it landed
			}
			if try < commitTries && pause(ctx, time.Duration(try)*20*time.Millisecond) == nil {
				next, fault := l.load(ctx, one.name)
				there := false
				if fault == nil && sameEra(t, next) {
					there, fault = hasFiles(ctx, next, old)
				}
				if there {
					t = next
					continue
				}
				err = errors.Join(err, fault)
			}
		}
		return errors.Join(err, l.removeUnnamed(ctx, one, fresh...))
	}
}

// hasFiles says whether the newest state of a table has all of these files.
func hasFiles(ctx context.Context, t *table.Table, files []iceberg.DataFile) (bool, error) {
	all, err := dataFiles(ctx, t)
	if err != nil {
		return false, err
	}
	has := map[string]bool{}
	for _, f := range all {
		has[f.FilePath()] = true
	}
	return !slices.ContainsFunc(files, func(f iceberg.DataFile) bool { return !has[f.FilePath()] }), nil
}
