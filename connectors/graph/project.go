package graph

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/valyala/fastjson"
)

// logged is one message of the graph's stream.
type logged struct {
	seq     uint64
	subject string
	data    []byte
	batch   string // "" outside an atomic batch
	last    bool   // the batch ends here
}

// sum tells two messages apart that have the same sequence in different logs.
func (m logged) sum() string {
	return strconv.FormatUint(uint64(crc32.Update(crc32.Checksum([]byte(m.subject), castagnoli), castagnoli, m.data)), 16)
}

// projection is the log's state in SQLite. One goroutine applies messages, any
// number read.
type projection struct {
	path   string
	types  *Types
	names  names
	logger *slog.Logger

	writer, reader *sql.DB
	conn           *sql.Conn // the writer's one connection
	stmts          map[string]*sql.Stmt
	parser         fastjson.Parser
	tenants        map[string]int64 // the applying goroutine's
	at             int64

	prepared      sync.Map // of queries: text to *sql.Stmt
	preparedCount atomic.Int64
	tenantIDs     sync.Map // of queries: name to number

	damaged, missing atomic.Uint64

	touched map[string]uint64 // the applying goroutine's: types of the open transaction, with their last event
	newest  sync.Map          // type to the sequence of its last event that was projected since this was opened

	stop    context.CancelFunc // ends following
	stopped chan struct{}      // following has ended
	retired chan struct{}      // another projection has taken over

	fresh []moment // the applying goroutine's: events of the open transaction

	mu      sync.Mutex
	applied uint64
	times   [recentTimes]moment // of the last events, by their sequence
	lastAt  int64               // of the event at applied
	changed chan struct{}       // closed when applied moves
}

// moment is when an event was, as the projection has it.
type moment struct {
	seq uint64
	at  int64
}

// recentTimes is of how many events the time is remembered, for the mutations
// that wait for them.
const recentTimes = 1 << 12

// timeOf gives the time of an event that was projected a moment ago.
func (p *projection) timeOf(seq uint64) (at int64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.times[seq%recentTimes]
	return m.at, m.seq == seq
}

// openProjection opens the file or makes it. fresh says that it holds nothing
// yet.
func openProjection(ctx context.Context, path string, types *Types, n names, logger *slog.Logger) (p *projection, m meta, err error) {
	p = &projection{path: path, types: types, names: n, logger: logger, stmts: map[string]*sql.Stmt{}, tenants: map[string]int64{}, touched: map[string]uint64{}, changed: make(chan struct{}), stopped: make(chan struct{}), retired: make(chan struct{})}
	if p.writer, p.reader, err = openDB(ctx, path); err != nil {
		return nil, m, err
	}
	if m, err = readMeta(ctx, p.writer); err == nil {
		p.conn, err = p.writer.Conn(ctx)
	}
	if err != nil {
		p.close()
		return nil, m, fmt.Errorf("open projection %s: %w", path, err)
	}
	p.applied, p.at, p.lastAt = m.applied, m.at, m.at
	return p, m, nil
}

// create makes the tables of an empty file.
func (p *projection) create(ctx context.Context, stream string) error {
	if _, err := p.conn.ExecContext(ctx, p.types.schema()); err != nil {
		return fmt.Errorf("create projection %s: %w", p.path, err)
	}
	_, err := p.conn.ExecContext(ctx, `insert into meta values (?, ?, ?, 0, '', 0)`, schemaVersion, p.types.fingerprint(), stream)
	return err
}

func (p *projection) close() {
	for _, s := range p.stmts {
		_ = s.Close()
	}
	p.prepared.Range(func(_, s any) bool {
		_ = s.(*sql.Stmt).Close() //nolint:forcetypeassert // only statements go in
		return true
	})
	if p.conn != nil {
		_ = p.conn.Close()
	}
	_ = p.reader.Close()
	_ = p.writer.Close()
}

// position is the sequence up to which the log is projected, and a channel that
// closes when that moves.
func (p *projection) position() (uint64, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.applied, p.changed
}

// latest is the time of the last projected event.
func (p *projection) latest() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lastAt
}

// wait blocks until the projection has reached seq.
func (p *projection) wait(ctx context.Context, seq uint64) error {
	for {
		at, changed := p.position()
		if at >= seq {
			return nil
		}
		select {
		case <-changed:
		case <-p.retired:
			return errRetired
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var errRetired = errors.New("another projection has taken over")

// retire stops following and closes. Nobody reads from it any more.
func (p *projection) retire() {
	p.stop()
	<-p.stopped
	close(p.retired)
	p.close()
}

func (p *projection) moved(to uint64) {
	p.mu.Lock()
	for _, m := range p.fresh[max(0, len(p.fresh)-recentTimes):] {
		p.times[m.seq%recentTimes] = m
	}
	p.applied, p.lastAt = to, p.at
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
}

// stmt prepares a statement on the writer's connection once.
func (p *projection) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if s := p.stmts[query]; s != nil {
		return s, nil
	}
	s, err := p.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	p.stmts[query] = s
	return s, nil
}

func (p *projection) exec(ctx context.Context, query string, args ...any) error {
	s, err := p.stmt(ctx, query) //nolint:sqlclosecheck // kept until the projection closes
	if err != nil {
		return err
	}
	_, err = s.ExecContext(ctx, args...)
	return err
}

// apply projects messages in one transaction: all or none.
func (p *projection) apply(ctx context.Context, msgs []logged) (err error) {
	// A transaction is short, and a context that can end costs a goroutine for
	// each of its statements.
	ctx = context.WithoutCancel(ctx)
	p.fresh = p.fresh[:0]
	if err := p.exec(ctx, "begin immediate"); err != nil {
		return fmt.Errorf("projection: %w", err)
	}
	at := p.at
	defer func() {
		if err != nil {
			p.at = at
			clear(p.tenants) // some of them may be undone
			clear(p.touched)
			_ = p.exec(context.WithoutCancel(ctx), "rollback")
		}
	}()
	for i := range msgs {
		if err := p.one(ctx, msgs[i]); err != nil {
			return fmt.Errorf("project message %d: %w", msgs[i].seq, err)
		}
	}
	last := msgs[len(msgs)-1]
	if err := p.exec(ctx, `update meta set applied = ?, sum = ?, at = ?`, last.seq, last.sum(), p.at); err != nil {
		return err
	}
	if err := p.exec(ctx, "commit"); err != nil {
		return err
	}
	for typ, seq := range p.touched {
		p.newest.Store(typ, seq)
	}
	clear(p.touched)
	p.moved(last.seq)
	return nil
}

// one projects one message. What cannot be read is counted and passed over: it
// is in the log for whoever wants to look, and must not stop what follows.
func (p *projection) one(ctx context.Context, m logged) error {
	if m.subject == p.names.padding() {
		return nil
	}
	place, ok := p.names.parse(m.subject)
	if !ok {
		return p.odd(m, errors.New("its subject is not the graph's"))
	}
	raw, err := unseal(m.data)
	if err != nil {
		return p.odd(m, err)
	}
	tenant, err := p.tenant(ctx, place.tenant)
	if err != nil {
		return err
	}
	if place.field != "" {
		var r reservation
		if err := unmarshal(raw, &r); err != nil {
			return p.odd(m, err)
		}
		return p.exec(ctx, `insert into uniques values (?, ?, ?, ?, ?, ?) on conflict do update set owner = excluded.owner, seq = excluded.seq`,
			tenant, place.typ, place.field, uniqueKey(r.Value), r.Owner, m.seq)
	}
	var s stored
	if err := json.Unmarshal(raw, &s); err != nil {
		return p.odd(m, err)
	}
	p.at = max(p.at, s.Time)
	return p.event(ctx, tenant, place, s, m)
}

func (p *projection) odd(m logged, err error) error {
	p.damaged.Add(1)
	p.logger.Error("graph.damaged", slog.Uint64("seq", m.seq), slog.String("subject", m.subject), slog.Any("error", err))
	return nil
}

// tenant gives a tenant's number, a new one for a new name. Numbers follow the
// log, so every projection of it has the same.
func (p *projection) tenant(ctx context.Context, name string) (int64, error) {
	if id, ok := p.tenants[name]; ok {
		return id, nil
	}
	if err := p.exec(ctx, `insert into tenants (name) values (?) on conflict do nothing`, name); err != nil {
		return 0, err
	}
	s, err := p.stmt(ctx, `select id from tenants where name = ?`) //nolint:sqlclosecheck // kept until the projection closes
	if err != nil {
		return 0, err
	}
	var id int64
	if err := s.QueryRowContext(ctx, name).Scan(&id); err != nil {
		return 0, err
	}
	p.tenants[name] = id
	return id, nil
}

// standing is an entity before an event.
type standing struct {
	found     bool
	version   int64
	doc       []byte
	createdAt int64
	createdBy string
}

// current reads an entity as the last event left it, deleted or not.
func (p *projection) current(ctx context.Context, tenant int64, target string) (s standing, err error) {
	q, err := p.stmt(ctx, `select version, doc, created_at, created_by from events where tenant = ? and target = ? order by seq desc limit 1`) //nolint:sqlclosecheck // kept until the projection closes
	if err != nil {
		return s, err
	}
	err = q.QueryRowContext(ctx, tenant, target).Scan(&s.version, &s.doc, &s.createdAt, &s.createdBy)
	if errors.Is(err, sql.ErrNoRows) {
		return s, nil
	}
	s.found = err == nil
	return s, err
}

// event projects one entity's event.
func (p *projection) event(ctx context.Context, tenant int64, at place, s stored, m logged) error {
	var now standing
	var err error
	if s.Version > 1 {
		if now, err = p.current(ctx, tenant, at.id); err != nil {
			return err
		}
	}
	if !now.found {
		now.createdAt, now.createdBy = p.at, s.Actor
	}
	if now.version+1 != s.Version {
		p.missing.Add(1)
		p.logger.Error("graph.version_gap", slog.Uint64("seq", m.seq), slog.String("target", at.id), slog.Int64("version", s.Version), slog.Int64("before", now.version))
	}
	doc, data := now.doc, nilIfEmpty(string(s.Data))
	switch {
	case s.Whole:
		doc, data = s.Data, nil
	case len(s.Data) > 0:
		if doc, err = patched(now.doc, s.Data); err != nil {
			return p.odd(m, err)
		}
	}
	if doc == nil {
		doc = []byte("{}")
	}
	if err := p.exec(ctx, `insert into events values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		m.seq, tenant, at.id, s.Version, at.typ+"."+s.Event, s.ID, s.Actor, p.at, now.createdAt, now.createdBy, s.Deleted, nilIfEmpty(s.Cause), s.Hops, data, string(doc)); err != nil {
		return err
	}
	p.touched[at.typ] = m.seq
	p.fresh = append(p.fresh, moment{m.seq, p.at})
	t := p.types.byName[at.typ]
	if t == nil { // a type of a file that is gone: its events stay
		return nil
	}
	if s.Deleted {
		return p.exec(ctx, "delete from "+t.table()+" where tenant = ? and id = ?", tenant, at.id)
	}
	args := make([]any, 0, 16)
	args = append(args, tenant, at.id, s.Version, m.seq, now.createdAt, p.at, now.createdBy, string(doc))
	if args, err = p.values(args, t, doc); err != nil {
		return p.odd(m, err)
	}
	return p.exec(ctx, t.insertSQL, args...)
}

// values appends the values of the indexed fields.
func (p *projection) values(args []any, t *Type, doc []byte) ([]any, error) {
	v, err := p.parser.ParseBytes(doc)
	if err != nil {
		return nil, err
	}
	for _, f := range t.indexed {
		args = append(args, columnValue(v.Get(f.Name)))
	}
	return args, nil
}

func columnValue(v *fastjson.Value) any {
	if v == nil {
		return nil
	}
	switch v.Type() {
	case fastjson.TypeString:
		return string(v.GetStringBytes())
	case fastjson.TypeNumber:
		if n, err := v.Int64(); err == nil {
			return n
		}
		return v.GetFloat64()
	case fastjson.TypeTrue:
		return int64(1)
	case fastjson.TypeFalse:
		return int64(0)
	}
	return nil
}

// patched applies an event's changed fields to an entity.
func patched(doc, data []byte) ([]byte, error) {
	fields := map[string]any{}
	if len(doc) > 0 {
		var err error
		if fields, err = decodeObject(doc); err != nil {
			return nil, err
		}
	}
	var changes map[string]change
	if err := unmarshal(data, &changes); err != nil {
		return nil, err
	}
	for k, c := range changes {
		if c.After == nil {
			delete(fields, k)
		} else {
			fields[k] = c.After
		}
	}
	return encode(fields)
}

func nilIfEmpty(s string) any {
	if s == "" {
		return nil
	}
	return s
}
