package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	_ "embed"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"

	_ "modernc.org/sqlite" // the driver

	"github.com/headlessly/headlessly"
)

//go:embed schema.sql
var schema string

// Config is what a Store needs.
type Config struct {
	Dir    string // folder of control.db and seal.key
	Clock  headlessly.Clock
	Logger *slog.Logger
	// SealKey wraps the file seal.key: 32 bytes in base64, which come from the
	// environment, where a secret manager or KMS puts them. Without it the file
	// is in clear. A file that is wrapped with SealKeyBefore, or in clear, is
	// wrapped with SealKey when it is opened.
	SealKey, SealKeyBefore headlessly.Secret
	// Point is called at named points of [Store.RotateSeal], so that tests can
	// kill the process there. Nil for nothing.
	Point func(name string)
}

func (c *Config) point(name string) {
	if c.Point != nil {
		c.Point(name)
	}
}

// Store is the open database. Safe for concurrent use.
type Store struct {
	cfg  Config
	db   *sql.DB
	seal *seal

	mu          sync.RWMutex
	tenants     map[string]bool
	changing    sync.Mutex          // held while a key changes
	keys        map[string]*heldKey // by id
	doors       map[[sha256.Size]byte]door
	noted       map[string]int64 // last uses that are stored
	onRevoke    []func(id string)
	shared      Shared // nil unless keys are shared
	stale       error
	credentials map[string]map[string]headlessly.Secret // by integration and field
	forget      forgetting
}

// Open opens or makes the database in cfg.Dir.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	seal, err := openSeal(filepath.Join(cfg.Dir, "seal.key"), cfg.SealKey, cfg.SealKeyBefore)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(cfg.Dir, "control.db")
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)")
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	s := &Store{
		cfg: cfg, db: db, seal: seal,
		tenants: map[string]bool{}, keys: map[string]*heldKey{}, doors: map[[sha256.Size]byte]door{}, noted: map[string]int64{},
		credentials: map[string]map[string]headlessly.Secret{},
	}
	if _, err := db.ExecContext(ctx, schema); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("prepare %s: %w", path, err)
	}
	if err := s.migrate(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("prepare %s: %w", path, err)
	}
	if err := s.load(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return s, nil
}

// Close closes the database.
func (s *Store) Close() error {
	s.mu.Lock()
	for _, h := range s.keys {
		if h.end != nil {
			h.end.Stop()
		}
	}
	s.mu.Unlock()
	return s.db.Close()
}

// migrate adds the columns that a file of an earlier version lacks.
func (s *Store) migrate(ctx context.Context) error {
	for _, c := range []string{"name text", "scopes text", "last_used_at integer", "old_hash blob", "old_until integer"} {
		name, _, _ := strings.Cut(c, " ")
		var n int
		if err := s.db.QueryRowContext(ctx, `select count(*) from pragma_table_info('keys') where name = ?`, name).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		if _, err := s.db.ExecContext(ctx, `alter table keys add column `+c); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) load(ctx context.Context) error {
	if err := s.loadTenants(ctx); err != nil {
		return err
	}
	if err := s.loadKeys(ctx); err != nil {
		return err
	}
	if err := s.loadForgetting(ctx); err != nil {
		return err
	}
	return s.loadCredentials(ctx)
}

// query calls scan for each row.
func (s *Store) query(ctx context.Context, scan func(*sql.Rows) error, q string, args ...any) error {
	rows, err := s.db.QueryContext(ctx, q, args...)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // the error of reading is rows.Err
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
