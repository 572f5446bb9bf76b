package lakehouse

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/apache/iceberg-go"
	icecat "github.com/apache/iceberg-go/catalog"
	icesql "github.com/apache/iceberg-go/catalog/sql"
	iceio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"
	_ "modernc.org/sqlite" // the catalog's driver, without cgo
)

// catalog is Iceberg's catalog with two faults mended: a lost race is told as
// one, and a commit is durable before anybody hears of it.
type catalog struct {
	icecat.Catalog

	fs   *durableFS   // for tables in a folder
	step func(string) // see WithSteps
}

// CommitTable implements table.CatalogIO. The SQL catalog reports a branch
// that moved between its read and its write as a plain error that Iceberg's
// retry loop does not know as a conflict.
func (c *catalog) CommitTable(ctx context.Context, id table.Identifier, reqs []table.Requirement, updates []table.Update) (table.Metadata, string, error) {
	if err := c.fs.settle(); err != nil {
		return nil, "", fmt.Errorf("%w: %w", table.ErrCommitFailed, err)
	}
	c.step("catalog")
	meta, loc, err := c.Catalog.CommitTable(ctx, id, reqs, updates)
	if err != nil {
		if strings.Contains(err.Error(), "requirement failed: branch") {
			err = fmt.Errorf("%w: %w", table.ErrCommitFailed, err)
		}
		return nil, "", err
	}
	c.step("recorded")
	if inFolder(loc) {
		if err := syncMetadata(loc); err != nil {
			return nil, "", err
		}
	}
	return meta, loc, nil
}

// inFolder says whether a location is on this machine's disk.
func inFolder(location string) bool {
	return strings.HasPrefix(location, "file:") || !strings.Contains(location, "://")
}

// syncMetadata makes the metadata file that the catalog wrote durable.
func syncMetadata(loc string) error {
	path, err := localPath(loc)
	if err != nil {
		return err
	}
	for _, p := range []string{path, filepath.Dir(path)} {
		if err := syncPath(p); err != nil {
			return fmt.Errorf("sync table metadata %s: %w", p, err)
		}
	}
	return nil
}

// LoadTable implements table.CatalogIO. The table commits through this
// catalog and writes through the durable filesystem.
func (c *catalog) LoadTable(ctx context.Context, id table.Identifier) (*table.Table, error) {
	t, err := c.Catalog.LoadTable(ctx, id)
	if err != nil {
		return nil, err
	}
	fsF := t.FS
	if inFolder(t.Location()) {
		fsF = func(context.Context) (iceio.IO, error) { return c.fs, nil }
	}
	return table.New(t.Identifier(), t.Metadata(), t.MetadataLocation(), fsF, c), nil
}

// openSQLite opens the catalog's database. Readers and one writer work side by
// side (WAL), and a commit is on disk before it returns (synchronous FULL).
func openSQLite(path string, readOnly bool) (*sql.DB, error) {
	q := url.Values{"_pragma": {"busy_timeout(10000)"}}
	if readOnly {
		q.Set("mode", "ro")
	} else {
		q["_pragma"] = append(q["_pragma"], "journal_mode(WAL)", "synchronous(FULL)")
		q.Set("_txlock", "immediate")
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("open catalog %s: %w", path, err)
	}
	return db, nil
}

func newSQLCatalog(db *sql.DB, warehouse string, readOnly bool) (*catalog, error) {
	props := iceberg.Properties{"warehouse": fileURL(warehouse)}
	if readOnly {
		props["init_catalog_tables"] = "false"
	}
	inner, err := icesql.NewCatalog("headlessly", db, icesql.SQLite, props)
	if err != nil {
		return nil, fmt.Errorf("open catalog: %w", err)
	}
	return &catalog{Catalog: inner, fs: newDurableFS(), step: func(string) {}}, nil
}
