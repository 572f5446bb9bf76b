package lakehouse

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/apache/iceberg-go"
	icecat "github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"
)

// Namespace is the catalog namespace of all tables.
const Namespace = "headlessly"

// Lake is an open catalog with its tables. Safe for concurrent use.
type Lake struct {
	cfg     Config
	db      *sql.DB // nil with a REST catalog
	cat     *catalog
	cache   *objectCache
	layouts []*layout
	slots   chan struct{} // one per query that may run
	spare   spare

	rewriting sync.Mutex // one exchange of files at a time: compaction, retention, deletion
	weights   weights
	promoted  []promoted
	conflicts []atomic.Int64 // by promotion

	tailsMu sync.Mutex
	tails   map[string]tailSource // by the log's name
}

// ErrNotFound says that there is no lake in the folder.
var ErrNotFound = errors.New("no lakehouse here")

// Open opens the lake in cfg.Dir, making catalog and tables that are not there
// yet. With cfg.ReadOnly nothing is made, and a folder without a catalog gives
// ErrNotFound. Close it after use.
func Open(ctx context.Context, cfg Config) (*Lake, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w", cfg.Dir, err)
	}
	cfg.Dir = dir
	cfg = cfg.withDefaults()
	if cfg.TempDir, err = filepath.Abs(cfg.TempDir); err != nil { // the worker runs elsewhere
		return nil, fmt.Errorf("temporary folder: %w", err)
	}
	path := filepath.Join(dir, "catalog.db")
	if cfg.ReadOnly && cfg.Catalog.URI == "" {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("%s: %w", dir, ErrNotFound)
		}
	} else if err := os.MkdirAll(filepath.Join(dir, "warehouse"), 0o755); err != nil { //nolint:gosec // tables are for other programs to read, as far as the data folder lets them
		return nil, fmt.Errorf("make warehouse: %w", err)
	}
	l := &Lake{cfg: cfg, slots: make(chan struct{}, cfg.Query.Concurrent), tails: map[string]tailSource{}}
	for _, make := range layoutMakers() {
		one, err := make()
		if err != nil {
			return nil, err
		}
		l.layouts = append(l.layouts, one)
	}
	l.cache = newObjectCache(filepath.Join(dir, "cache"), cfg.CacheBytes, cfg.Logger)
	if cfg.Catalog.URI == "" {
		if l.db, err = openSQLite(path, cfg.ReadOnly); err != nil {
			return nil, err
		}
		l.cat, err = newSQLCatalog(l.db, filepath.Join(dir, "warehouse"), cfg.ReadOnly)
	} else {
		l.cat, err = newRESTCatalog(ctx, cfg)
	}
	if err == nil {
		err = l.prepare(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, l.closeAll())
	}
	return l, nil
}

// Close releases the catalog. Running queries fail.
func (l *Lake) Close() error {
	if err := l.closeAll(); err != nil {
		return fmt.Errorf("close catalog: %w", err)
	}
	return nil
}

func (l *Lake) closeAll() error {
	l.spare.close()
	var errs []error
	if l.cat != nil {
		if c, ok := l.cat.Catalog.(icecat.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	if l.db != nil {
		errs = append(errs, l.db.Close())
	}
	return errors.Join(errs...)
}

// prepare makes what is missing in the catalog.
func (l *Lake) prepare(ctx context.Context) error {
	if l.cfg.ReadOnly {
		if err := l.dropMissing(ctx); err != nil {
			return err
		}
		return l.promote(ctx)
	}
	ns := table.Identifier{Namespace}
	if err := l.cat.CreateNamespace(ctx, ns, nil); err != nil && !errors.Is(err, icecat.ErrNamespaceAlreadyExists) {
		return fmt.Errorf("make namespace %s: %w", Namespace, err)
	}
	for _, one := range l.layouts {
		if err := l.ensureTable(ctx, one); err != nil {
			return err
		}
		if _, err := l.evolve(ctx, one, one.schema.Fields()); err != nil {
			return err
		}
	}
	return l.promote(ctx)
}

// promote gives the events table its promoted columns.
func (l *Lake) promote(ctx context.Context) error {
	at := slices.IndexFunc(l.layouts, func(one *layout) bool { return one.name == TableEvents })
	if len(l.cfg.Promote) == 0 || at < 0 {
		return nil
	}
	wanted := make([]iceberg.NestedField, len(l.cfg.Promote))
	for i, p := range l.cfg.Promote {
		p = p.withDefaults()
		wanted[i] = iceberg.NestedField{Name: p.Column, Type: promotedTypes[p.Type], Doc: p.From + "." + p.Property}
	}
	ids, err := l.evolve(ctx, l.layouts[at], wanted)
	if err != nil {
		return err
	}
	for _, p := range l.cfg.Promote {
		p = p.withDefaults()
		l.promoted = append(l.promoted, promoted{Promotion: p, id: ids[p.Column], path: strings.Split(p.Property, ".")})
	}
	l.conflicts = make([]atomic.Int64, len(l.promoted))
	l.layouts[at], err = eventsLayout(l.promoted)
	return err
}

// dropMissing leaves out the tables that a lake of an older version lacks.
func (l *Lake) dropMissing(ctx context.Context) error {
	var there []*layout
	for _, one := range l.layouts {
		_, err := l.load(ctx, one.name)
		if err != nil && !errors.Is(err, icecat.ErrNoSuchTable) {
			return err
		}
		if err == nil {
			there = append(there, one)
		}
	}
	l.layouts = there
	return nil
}

func (l *Lake) ensureTable(ctx context.Context, one *layout) error {
	_, err := l.load(ctx, one.name)
	if err == nil || !errors.Is(err, icecat.ErrNoSuchTable) {
		return err
	}
	_, err = l.cat.CreateTable(ctx, identifierOf(one.name), one.schema,
		icecat.WithPartitionSpec(&one.partition), icecat.WithSortOrder(one.order), icecat.WithProperties(one.properties()))
	if err != nil && !errors.Is(err, icecat.ErrTableAlreadyExists) {
		return fmt.Errorf("make table %s: %w", one.name, err)
	}
	return l.cat.fs.settle()
}

// boundedMetrics keeps a column's bounds in the manifest.
const boundedMetrics = "truncate(32)"

// properties are the table's settings, chosen so that the cost of a commit
// does not grow with the table's age.
func (l *layout) properties() iceberg.Properties {
	p := iceberg.Properties{
		table.PropertyFormatVersion:               "2",
		table.ParquetCompressionKey:               "zstd",
		table.ManifestMergeEnabledKey:             "true",
		table.MetadataDeleteAfterCommitEnabledKey: "true",
		table.MetadataPreviousVersionsMaxKey:      "20",
		table.CommitNumRetriesKey:                 "20",
		table.CommitMinRetryWaitMsKey:             "20",
		table.CommitMaxRetryWaitMsKey:             "2000",
		table.DefaultWriteMetricsModeKey:          "counts",
		table.WriteDeleteModeKey:                  table.WriteModeCopyOnWrite,
		"owner":                                   "headlessly",
	}
	for _, col := range l.bounded {
		p[table.MetricsModeColumnConfPrefix+"."+col] = boundedMetrics
	}
	return p
}

func identifierOf(name string) table.Identifier { return table.Identifier{Namespace, name} }

func (l *Lake) load(ctx context.Context, name string) (*table.Table, error) {
	t, err := l.cat.LoadTable(ctx, identifierOf(name))
	if err != nil {
		return nil, fmt.Errorf("load table %s: %w", name, err)
	}
	return t, nil
}
