package lakehouse

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"path/filepath"
	"strings"
	"time"

	iceio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"

	"github.com/headlessly/headlessly"
)

// stray is a data file that no snapshot names: of a process that died before its
// commit or before it removed what it had replaced, or of one that is about to
// commit it.
type stray struct {
	path    string
	name    string // the last part of path
	written time.Time
}

// sweep removes the strays of a tenant, or of all when tenant is "", from a table.
// For those of the table's era, which somebody may be about to commit, and which
// are at least as old as age, the era ends: who wrote them, if he lives, writes
// anew. left are those that stay: of an unknown era and younger than
// Maintenance.OrphanAge, of this era and younger than age, or of a table that
// forbids it.
func (l *Lake) sweep(ctx context.Context, one *layout, tenant string, age time.Duration) (gone, left int, err error) {
	t, err := l.load(ctx, one.name)
	if err != nil {
		return 0, 0, err
	}
	found, err := l.strays(ctx, t, tenant)
	if err != nil || len(found) == 0 {
		return 0, 0, err
	}
	era, err := eraOf(t)
	if err != nil {
		return 0, 0, err
	}
	if !collects(t) {
		return 0, len(found), nil
	}
	now := headlessly.SystemClock() // files have the time of the machine
	var dead []stray
	ends := false
	for _, s := range found {
		its, known := eraOfFile(s.name)
		switch {
		case known && its < era, !known && now.Sub(s.written) >= l.cfg.Maintenance.OrphanAge:
			dead = append(dead, s)
		case known && its == era && (age <= 0 || now.Sub(s.written) >= age):
			dead, ends = append(dead, s), true
		default:
			left++
		}
	}
	if ends {
		if err := l.nextEra(ctx, one); err != nil {
			return 0, left, err
		}
	}
	if len(dead) == 0 {
		return 0, left, nil
	}
	if t, err = l.load(ctx, one.name); err != nil { // what has landed meanwhile is none
		return 0, left, err
	}
	named, err := namedFiles(ctx, t)
	if err != nil {
		return 0, left, err
	}
	wfs, _, err := warehouse(ctx, t)
	if err != nil {
		return 0, left, err
	}
	for _, s := range dead {
		if named[s.name] {
			continue
		}
		if err := errors.Join(l.cache.drop(s.path), wfs.Remove(s.path)); err != nil {
			return gone, left, fmt.Errorf("remove %s: %w", s.path, err)
		}
		gone++
	}
	return gone, left, nil
}

// strays lists the data files in a table's folders that no snapshot names.
func (l *Lake) strays(ctx context.Context, t *table.Table, tenant string) ([]stray, error) {
	wfs, loc, err := warehouse(ctx, t)
	if err != nil {
		return nil, err
	}
	list, ok := wfs.(iceio.ListableIO)
	if !ok {
		return nil, fmt.Errorf("warehouse %s can't be listed", t.Location())
	}
	root := strings.TrimSuffix(loc.NewDataLocation("tenant=x/x"), "/tenant=x/x")
	if tenant != "" {
		root = strings.TrimSuffix(loc.NewDataLocation(tenantFolder(tenant)+"/x"), "/x")
	}
	var all []stray
	err = list.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return ignoreGone(err) // removed meanwhile, or nothing was ever written
		}
		base := path.Base(filepath.ToSlash(name))
		if d.IsDir() || path.Ext(base) != ".parquet" {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return ignoreGone(err)
		}
		all = append(all, stray{name, base, info.ModTime()})
		return nil
	})
	if err != nil || len(all) == 0 {
		return nil, err
	}
	named, err := namedFiles(ctx, t)
	if err != nil {
		return nil, err
	}
	var found []stray
	for _, s := range all {
		if !named[s.name] {
			found = append(found, s)
		}
	}
	return found, nil
}

// tenantFolder is the folder of a tenant's files in a table.
func tenantFolder(tenant string) string { return "tenant=" + url.PathEscape(tenant) }

// namedFiles are the names of the data files of all snapshots of a table. A name
// is given once.
func namedFiles(ctx context.Context, t *table.Table) (map[string]bool, error) {
	from, err := t.FS(ctx)
	if err != nil {
		return nil, fmt.Errorf("open warehouse: %w", err)
	}
	named, seen := map[string]bool{}, map[string]bool{}
	for _, s := range t.Metadata().Snapshots() {
		manifests, err := s.Manifests(from)
		if err != nil {
			return nil, fmt.Errorf("read snapshot %d of %s: %w", s.SnapshotID, t.Identifier()[1], err)
		}
		for _, m := range manifests {
			if seen[m.FilePath()] {
				continue
			}
			seen[m.FilePath()] = true
			for e, err := range m.Entries(from, true) {
				if err != nil {
					return nil, fmt.Errorf("read %s: %w", m.FilePath(), err)
				}
				named[path.Base(e.DataFile().FilePath())] = true
			}
		}
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
	}
	return named, nil
}
