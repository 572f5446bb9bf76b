package graph

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// AsOf names a moment of the past: a time, or a place in the log. The zero
// value is now.
type AsOf struct {
	Time time.Time // the state after every event up to and with this time
	Seq  uint64    // the state after this event
}

// IsZero says whether it is now.
func (a AsOf) IsZero() bool { return a.Time.IsZero() && a.Seq == 0 }

// query prepares a query on the readers once, and runs it.
func (p *projection) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if s, ok := p.prepared.Load(query); ok {
		return s.(*sql.Stmt).QueryContext(ctx, args...) //nolint:forcetypeassert // only statements go in
	}
	if p.preparedCount.Load() >= maxPrepared { // filters have endless forms
		return p.reader.QueryContext(ctx, query, args...)
	}
	s, err := p.reader.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if other, loaded := p.prepared.LoadOrStore(query, s); loaded {
		_ = s.Close()         //nolint:sqlclosecheck // another call was faster
		s = other.(*sql.Stmt) //nolint:forcetypeassert // only statements go in
	} else {
		p.preparedCount.Add(1)
	}
	return s.QueryContext(ctx, args...)
}

// maxPrepared bounds the prepared queries; each is prepared once for each
// connection that runs it.
const maxPrepared = 200

// scan runs a query and calls f for each row.
func (p *projection) scan(ctx context.Context, f func(*sql.Rows) error, query string, args ...any) error {
	rows, err := p.query(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("projection: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("projection: %w", err)
	}
	return nil
}

// tenantID gives a tenant's number, 0 for one that has no events.
func (p *projection) tenantID(ctx context.Context, name string) (id int64, err error) {
	if v, ok := p.tenantIDs.Load(name); ok {
		return v.(int64), nil //nolint:forcetypeassert // only numbers go in
	}
	err = p.scan(ctx, func(r *sql.Rows) error { return r.Scan(&id) }, `select id from tenants where name = ?`, name)
	if err == nil && id != 0 {
		p.tenantIDs.Store(name, id)
	}
	return id, err
}

// state is an entity with what a mutation of it needs to know.
type state struct {
	Entity
	deleted bool
}

const stateColumns = `seq, target, version, created_at, at, created_by, deleted, doc`

func (s *state) scan(r *sql.Rows) error {
	return r.Scan(&s.Seq, &s.ID, &s.Version, &s.CreatedAt, &s.UpdatedAt, &s.CreatedBy, &s.deleted, (*[]byte)(&s.doc))
}

// stateOf reads an entity's last state up to seq, deleted or not; nil when
// there is none.
func (s *Store) stateOf(ctx context.Context, p *projection, tenant string, t *Type, id string, seq uint64) (*state, error) {
	number, err := p.tenantID(ctx, tenant)
	if err != nil || number == 0 {
		return nil, err
	}
	var out *state
	err = p.scan(ctx, func(r *sql.Rows) error {
		out = &state{Entity: s.blank(tenant, t)}
		return out.scan(r)
	}, `select `+stateColumns+` from events where tenant = ? and target = ? and seq <= ? order by seq desc limit 1`, number, id, bounded(seq))
	return out, err
}

// newest reads an entity's present state. One that is not here may have been
// made by another process a moment ago: with patience, the log is asked before
// it counts as missing.
func (s *Store) newest(ctx context.Context, tenant string, t *Type, id string, patience bool) (*state, error) {
	look := func() (*state, error) {
		p, release := s.view()
		defer release()
		return s.stateOf(ctx, p, tenant, t, id, whole)
	}
	st, err := look()
	if err != nil || st != nil || !patience || s.types.OfID(id) != t {
		return st, err
	}
	if err := s.Sync(ctx); err != nil {
		return nil, unavailable(err, "the graph's log does not answer; try again")
	}
	return look()
}

// stateOfVersion reads the state that a version was.
func (s *Store) stateOfVersion(ctx context.Context, p *projection, tenant string, t *Type, id string, version int64) (*state, error) {
	number, err := p.tenantID(ctx, tenant)
	if err != nil || number == 0 {
		return nil, err
	}
	var out *state
	err = p.scan(ctx, func(r *sql.Rows) error {
		out = &state{Entity: s.blank(tenant, t)}
		return out.scan(r)
	}, `select `+stateColumns+` from events where tenant = ? and target = ? and version = ? order by seq limit 1`, number, id, version)
	return out, err
}

// stateAt reads the state that the event at seq left.
func (s *Store) stateAt(ctx context.Context, p *projection, tenant string, t *Type, seq uint64) (*state, error) {
	var out *state
	err := p.scan(ctx, func(r *sql.Rows) error {
		out = &state{Entity: s.blank(tenant, t)}
		return out.scan(r)
	}, `select `+stateColumns+` from events where seq = ?`, seq)
	if err == nil && out == nil {
		err = errors.New("projection lacks an event that it has projected")
	}
	return out, err
}

// blank is an entity with what all of a type and tenant share.
func (s *Store) blank(tenant string, t *Type) Entity {
	return Entity{Type: t.Name, Tenant: tenant, context: s.context(tenant)}
}

// context is a tenant's namespace.
func (s *Store) context(tenant string) string { return s.cfg.PublicURL + "/~" + tenant }

// bounded makes a sequence fit SQLite's integers.
func bounded(seq uint64) int64 {
	const most = 1<<63 - 1
	if seq > most {
		return most
	}
	return int64(seq)
}

// whole is the sequence that stands for now.
const whole = 1<<63 - 1

// seqAt finds the last event at or before a time, by halving: at never falls
// along seq.
func (p *projection) seqAt(ctx context.Context, a AsOf) (uint64, error) {
	if a.Seq > 0 {
		return a.Seq, nil
	}
	if a.IsZero() {
		return whole, nil
	}
	µs := a.Time.UnixMicro()
	applied, _ := p.position()
	low, high := uint64(0), applied // the answer is in [low, high]
	for low < high {
		mid := low + (high-low+1)/2
		var seq uint64
		at := int64(0)
		err := p.scan(ctx, func(r *sql.Rows) error { return r.Scan(&seq, &at) }, `select seq, at from events where seq >= ? order by seq limit 1`, mid)
		switch {
		case err != nil:
			return 0, err
		case seq == 0 || at > µs: // nothing from mid on, or too late
			high = mid - 1
		default:
			low = min(seq, high)
		}
	}
	return low, nil
}
