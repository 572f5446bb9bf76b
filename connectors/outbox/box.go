package outbox

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	_ "modernc.org/sqlite" // the driver
)

//go:embed schema.sql
var schema string

// Box is an open outbox. Safe for concurrent use.
type Box struct {
	cfg        Config
	db         *sql.DB   // for reading
	writing    *sql.DB   // has one connection:
	conn       *sql.Conn // of the writer
	statements map[string]*sql.Stmt
	writes     chan write
	closed     chan struct{} // Close was called
	written    chan struct{} // the writer has ended
	once       sync.Once

	joined chan struct{} // signals the taker that lanes have come

	mu      sync.RWMutex
	lanes   map[key]*lane
	run     context.Context // set while Run works
	running sync.WaitGroup
}

type key struct{ tenant, id string }

// Open opens or makes the outbox in cfg.Dir.
func Open(ctx context.Context, cfg Config) (*Box, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of the outbox: %w", err)
	}
	path := filepath.Join(cfg.Dir, "outbox.db")
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=busy_timeout(10000)"
	b := &Box{
		cfg: cfg, statements: map[string]*sql.Stmt{}, writes: make(chan write, writeGroup), closed: make(chan struct{}), written: make(chan struct{}),
		joined: make(chan struct{}, 1), lanes: map[key]*lane{},
	}
	var err error
	if b.writing, err = sql.Open("sqlite", dsn); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if b.conn, err = b.writing.Conn(ctx); err == nil {
		_, err = b.conn.ExecContext(ctx, schema)
	}
	if err == nil {
		b.db, err = sql.Open("sqlite", dsn+"&_pragma=query_only(1)")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), b.writing.Close())
	}
	b.db.SetMaxOpenConns(4)
	go b.writer() //nolint:contextcheck,gosec // it works until Close
	return b, nil
}

// Close closes the outbox. Run must have returned.
func (b *Box) Close() error {
	var err error
	b.once.Do(func() {
		close(b.closed)
		<-b.written
		for _, s := range b.statements {
			err = errors.Join(err, s.Close())
		}
		err = errors.Join(err, b.conn.Close(), b.writing.Close(), b.db.Close())
	})
	return err
}

// Put adds an endpoint or changes one. When it returns, the endpoint's
// beginning is stored: no event behind it will be left out.
func (b *Box) Put(ctx context.Context, e Endpoint) error {
	if e.Tenant == "" || e.ID == "" || e.Sender == nil {
		return errors.New("outbox: an endpoint needs a tenant, an id and a sender")
	}
	err := b.write(ctx, func(ctx context.Context, tx *tx) error {
		_, err := tx.exec(ctx, `insert into endpoints (tenant, id, seq) values (?, ?, ?)
			on conflict (tenant, id) do update set gone = 0, seq = case when gone = 1 then max(seq, excluded.seq) else seq end`, e.Tenant, e.ID, int64(e.From)) //nolint:gosec // sequences stay below 2⁶³
		return err
	})
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.lanes[key{e.Tenant, e.ID}]; l != nil {
		l.change(e)
		return nil
	}
	l, err := b.newLane(ctx, e)
	if err != nil {
		return err
	}
	b.lanes[key{e.Tenant, e.ID}] = l
	if b.run != nil {
		b.start(b.run, l) //nolint:contextcheck // it works as long as Run, not as long as this call
	}
	signal(b.joined)
	return nil
}

// Detach stops an endpoint for now and waits until nothing is running for it.
// Its deliveries stay, and a Put goes on with them and with what has happened
// meanwhile.
func (b *Box) Detach(tenant, id string) {
	b.mu.Lock()
	l := b.lanes[key{tenant, id}]
	delete(b.lanes, key{tenant, id})
	b.mu.Unlock()
	if l == nil {
		return
	}
	l.end()
	if l.started {
		<-l.ended
	}
}

// Remove stops an endpoint for good. Deliveries that wait are parked; its log
// can still be read. One that is not there is no error.
func (b *Box) Remove(ctx context.Context, tenant, id string) error {
	b.Detach(tenant, id)
	return b.write(ctx, func(ctx context.Context, tx *tx) error {
		_, err := tx.exec(ctx, `update deliveries set state = 2, note = 'the endpoint was disconnected' where state = 0 and endpoint = (select n from endpoints where tenant = ? and id = ?)`, tenant, id)
		if err == nil {
			_, err = tx.exec(ctx, `update endpoints set gone = 1 where tenant = ? and id = ?`, tenant, id)
		}
		return err
	})
}

// Run takes events and delivers them until ctx ends. Requests under way then
// are cut short and will be made again.
func (b *Box) Run(ctx context.Context) error {
	b.mu.Lock()
	if b.run != nil {
		b.mu.Unlock()
		return errors.New("outbox: runs already")
	}
	b.run = ctx
	for _, l := range b.lanes {
		b.start(ctx, l)
	}
	b.mu.Unlock()
	b.running.Go(func() { b.purge(ctx) })
	err := b.take(ctx)
	b.running.Wait()
	b.mu.Lock()
	b.run = nil
	b.mu.Unlock()
	return err
}

// start runs a lane; b.mu is held.
func (b *Box) start(ctx context.Context, l *lane) {
	if l.started {
		return
	}
	l.started = true
	b.running.Go(func() {
		defer close(l.ended)
		l.run(ctx)
	})
}

func (b *Box) lane(tenant, id string) *lane {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.lanes[key{tenant, id}]
}

// signal wakes whoever waits on a channel of capacity 1.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
