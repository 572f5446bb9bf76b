package lakehouse

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/headlessly/headlessly"
)

// Config says where the lake is and how it behaves. The zero value of a field
// means its default.
type Config struct {
	// Dir holds the catalog (catalog.db) and, under warehouse/, the tables.
	Dir string
	// Catalog is where tables are registered and S3 how their warehouse is
	// reached; by default a SQLite file and a folder, both in Dir.
	Catalog CatalogConfig
	S3      S3Config
	// CacheBytes bounds the copies of an object store's files that queries
	// read, under Dir/cache. Default 4 GiB.
	CacheBytes int64
	// Shard names the part of the log this lake's writer follows; it is part
	// of the key under which a commit notes its log range. Default "00".
	Shard string
	// ReadOnly opens an existing lake without making or changing anything.
	ReadOnly bool

	// CommitInterval is the longest that an event waits for its commit;
	// default 10 s. Queries see it before.
	CommitInterval time.Duration
	// MaxBatchBytes bounds the encoded events of the open batch; a full batch
	// is committed at once. While one batch is being committed another may fill
	// to the half of it, so memory holds at most one and a half times this.
	// Default 128 MiB.
	MaxBatchBytes int64
	// DedupeWindow is how many of the newest message ids are remembered to
	// drop copies. Default 524,288 (about 25 MB).
	DedupeWindow int
	// Parallel is how many files are encoded at once; default is the number of
	// processors.
	Parallel int

	// Promote makes columns of properties.
	Promote []Promotion

	// Maintenance is what [Lake.Maintain] does.
	Maintenance Maintenance

	// Query bounds what one query may use.
	Query QueryLimits
	// Worker is the command line of the SQL worker process; default is this
	// binary with the argument "sql-worker".
	Worker []string
	// SpareWorker has a worker started for the next query beside each query, and
	// kept for a minute: who asks several does not wait for a process each time.
	SpareWorker bool
	// TempDir holds query results and the not yet committed rows while a query
	// runs; default Dir/tmp.
	TempDir string

	Clock  headlessly.Clock // default headlessly.SystemClock
	Logger *slog.Logger     // default discards
	Tracer trace.Tracer     // makes spans of commits and queries; nil makes none
}

// CatalogConfig names an Iceberg REST catalog, such as Cloudflare R2 Data
// Catalog, Lakekeeper, Polaris, Nessie or Glue's REST endpoint. The zero value
// is the SQLite catalog.
type CatalogConfig struct {
	URI       string            // "" for SQLite
	Warehouse string            // name or location that the catalog knows the warehouse by
	Prefix    string            // path prefix, where the catalog does not tell it
	Token     headlessly.Secret // bearer token
	// Credential is "<client id>:<client secret>" for catalogs that want
	// OAuth 2; AuthURI is where, and Scope what for.
	Credential headlessly.Secret
	AuthURI    string
	Scope      string
	// SigV4 signs requests for AWS in S3Config.Region: "glue" or "s3tables",
	// with the credentials of the process's AWS environment.
	SigV4 string
}

// S3Config reaches an S3 object store. What is empty comes from the catalog
// (vended credentials) or the process's AWS environment.
type S3Config struct {
	Endpoint        string // for stores other than AWS; path style follows from it
	Region          string
	AccessKeyID     string
	SecretAccessKey headlessly.Secret
	SessionToken    headlessly.Secret
}

// Maintenance keeps the cost of commits and queries from growing with the
// tables' age.
type Maintenance struct {
	Every time.Duration // pause between rounds; default 1 min, with a REST catalog 10 min
	// KeepSnapshots is how long a superseded state of a table can still be
	// queried, and how long its files stay; it must exceed the longest query.
	// Default 1 h: every commit writes the list of all kept snapshots.
	KeepSnapshots time.Duration
	// OrphanAge is how old a file that no snapshot names must be to be
	// removed; it must exceed the longest commit. Default 24 h.
	OrphanAge time.Duration
	// Retention removes old days of tables; none by default.
	Retention []Retention
}

// Retention is how long rows are kept.
type Retention struct {
	Table  string // [TableEvents], …
	Tenant string // "" for every tenant without a rule of its own
	Days   int    // whole days of receipt that are kept beside today
}

// QueryLimits bounds one query's use of the machine.
type QueryLimits struct {
	Timeout     time.Duration // wall clock; default 60 s
	MemoryBytes int64         // DuckDB's memory; default 512 MiB
	TempBytes   int64         // spilled to disk; default 2 GiB
	ResultBytes int64         // result as Parquet; default 256 MiB
	MaxRows     int64         // rows of the result; default 1,000,000
	Threads     int           // default 2
	Concurrent  int           // queries at once; more wait; default 4
}

// Default is a complete configuration for a lake in dir.
func Default(dir string) Config { return Config{Dir: dir}.withDefaults() }

func (c Config) withDefaults() Config {
	setDefault(&c.Shard, "00")
	setDefault(&c.CacheBytes, 4<<30)
	setDefault(&c.CommitInterval, 10*time.Second)
	setDefault(&c.MaxBatchBytes, 128<<20)
	setDefault(&c.DedupeWindow, 1<<19)
	setDefault(&c.Parallel, processors())
	setDefault(&c.Query.Timeout, time.Minute)
	setDefault(&c.Query.MemoryBytes, 512<<20)
	setDefault(&c.Query.TempBytes, 2<<30)
	setDefault(&c.Query.ResultBytes, 256<<20)
	setDefault(&c.Query.MaxRows, 1_000_000)
	setDefault(&c.Query.Threads, 2)
	setDefault(&c.Query.Concurrent, 4)
	if c.Catalog.URI != "" {
		setDefault(&c.Maintenance.Every, 10*time.Minute)
	}
	setDefault(&c.Maintenance.Every, time.Minute)
	setDefault(&c.Maintenance.KeepSnapshots, time.Hour)
	setDefault(&c.Maintenance.OrphanAge, 24*time.Hour)
	setDefault(&c.TempDir, filepath.Join(c.Dir, "tmp"))
	if c.Clock == nil {
		c.Clock = headlessly.SystemClock
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// Validate reports every fault of the configuration.
func (c Config) Validate() error {
	var errs []error
	fault := func(field, why string) { errs = append(errs, fmt.Errorf("lakehouse.%s: %s", field, why)) }
	if c.Dir == "" {
		fault("dir", "is empty; name the folder of the catalog")
	}
	for field, text := range map[string]string{"catalog.uri": c.Catalog.URI, "catalog.authUri": c.Catalog.AuthURI, "s3.endpoint": c.S3.Endpoint} {
		if u, err := url.Parse(text); text != "" && (err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil) {
			fault(field, "is not an http(s) URL without credentials")
		}
	}
	if c.S3.SecretAccessKey.Set() != (c.S3.AccessKeyID != "") {
		fault("s3", "has only one of accessKeyId and secretAccessKey")
	}
	if c.Catalog.SigV4 != "" && c.S3.Region == "" {
		fault("s3.region", "is empty; catalog.sigV4 signs for a region")
	}
	if c.Catalog.Token.Set() && c.Catalog.Credential.Set() {
		fault("catalog", "has both a token and a credential; keep one")
	}
	for i := range len(c.Shard) {
		if b := c.Shard[i]; (b < '0' || b > '9') && (b < 'a' || b > 'z') && b != '-' {
			fault("shard", "holds a character other than a-z, 0-9 and -")
			break
		}
	}
	for field, n := range map[string]int64{
		"commitInterval": int64(c.CommitInterval), "maxBatchBytes": c.MaxBatchBytes, "dedupeWindow": int64(c.DedupeWindow),
		"parallel": int64(c.Parallel), "cacheBytes": c.CacheBytes, "maintenance.every": int64(c.Maintenance.Every),
		"maintenance.keepSnapshots": int64(c.Maintenance.KeepSnapshots), "maintenance.orphanAge": int64(c.Maintenance.OrphanAge), "query.timeout": int64(c.Query.Timeout), "query.memoryBytes": c.Query.MemoryBytes,
		"query.tempBytes": c.Query.TempBytes, "query.resultBytes": c.Query.ResultBytes, "query.maxRows": c.Query.MaxRows,
		"query.threads": int64(c.Query.Threads), "query.concurrent": int64(c.Query.Concurrent),
	} {
		if n < 0 {
			fault(field, "is negative")
		}
	}
	for i, r := range c.Maintenance.Retention {
		if !slices.Contains(Tables(), r.Table) {
			fault(fmt.Sprintf("maintenance.retention[%d].table", i), fmt.Sprintf("%q is no table; known are %s", r.Table, strings.Join(Tables(), ", ")))
		}
		if r.Tenant != "" && !headlessly.ValidTenant(r.Tenant) {
			fault(fmt.Sprintf("maintenance.retention[%d].tenant", i), fmt.Sprintf("%q is not a tenant name", r.Tenant))
		}
		if r.Days < 1 {
			fault(fmt.Sprintf("maintenance.retention[%d].days", i), "is not at least 1")
		}
	}
	return errors.Join(append(errs, validatePromotions(c.Promote)...)...)
}
