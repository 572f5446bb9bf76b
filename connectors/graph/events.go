package graph

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

const eventColumns = `e.seq, n.name, e.target, e.version, e.name, e.id, e.actor, e.at, e.cause, e.hops, e.deleted, coalesce(e.data, case when e.version = 1 then e.doc end)`

// scanEvent reads a row of eventColumns, and what further columns it has.
func scanEvent(r *sql.Rows, more ...any) (*Event, error) {
	e := &Event{}
	var cause sql.NullString
	err := r.Scan(append([]any{&e.Seq, &e.Tenant, &e.Target, &e.Version, &e.Name, &e.ID, &e.Actor, &e.Time, &cause, &e.Hops, &e.Deleted, (*[]byte)(&e.Data)}, more...)...)
	e.Cause = cause.String
	return e, err
}

// eventAt reads one event.
func (p *projection) eventAt(ctx context.Context, seq uint64) (out *Event, err error) {
	err = p.scan(ctx, func(r *sql.Rows) (err error) { out, err = scanEvent(r); return err },
		`select `+eventColumns+` from events e join tenants n on n.id = e.tenant where e.seq = ?`, seq)
	if err == nil && out == nil {
		err = errors.New("projection lacks an event that it has projected")
	}
	return out, err
}

// lastEvent is the newest event's sequence, 0 when there is none.
func (s *Store) lastEvent(ctx context.Context) (seq uint64, err error) {
	p, release := s.view()
	defer release()
	err = p.scan(ctx, func(r *sql.Rows) error { return r.Scan(&seq) }, `select coalesce(max(seq), 0) from events`)
	return seq, err
}

// EventQuery chooses events. The zero value is the newest ones.
type EventQuery struct {
	After, Before AsOf   // exclusive
	Type          string // patterns, separated by commas: Deal.Closed, Deal.*, *.Created, *; letter case does not count
	Entity        string // an $id
	Actor         string
	Limit         int  // 1 to MaxEvents, 25 unless set
	Forward       bool // oldest first; also when After is set and Before is not
}

// Ascending says whether the answer has the oldest first.
func (q EventQuery) Ascending() bool { return q.Forward || !q.After.IsZero() && q.Before.IsZero() }

// MaxEvents bounds one answer: a thousand, and one that tells whether there are
// more.
const MaxEvents = 1001

const defaultLimit = 25

// Events lists events: newest first, or from After on oldest first.
func (sc *Scope) Events(ctx context.Context, q EventQuery) ([]*Event, error) {
	if q.Limit == 0 {
		q.Limit = defaultLimit
	}
	if q.Limit < 0 || q.Limit > MaxEvents {
		return nil, badFilter("limit", "limit: %d, want 1 to %d", q.Limit, MaxEvents)
	}
	p, release := sc.store.view()
	defer release()
	number, err := p.tenantID(ctx, sc.tenant)
	if err != nil || number == 0 {
		return nil, err
	}
	where, args := []string{"e.tenant = ?"}, []any{number}
	add := func(sql string, arg any) { where, args = append(where, sql), append(args, arg) }
	if !q.After.IsZero() {
		seq, err := p.seqAt(ctx, q.After)
		if err != nil {
			return nil, err
		}
		add("e.seq > ?", bounded(seq))
	}
	if q.Before.Seq > 0 {
		add("e.seq < ?", bounded(q.Before.Seq))
	} else if !q.Before.IsZero() {
		add("e.at < ?", q.Before.Time.UnixMicro())
	}
	if q.Entity != "" {
		add("e.target = ?", q.Entity)
	}
	if q.Actor != "" {
		add("e.actor = ?", q.Actor)
	}
	if q.Type != "" {
		var either []string
		for pattern := range strings.SplitSeq(q.Type, ",") {
			pattern = strings.TrimSpace(pattern)
			if !ValidPattern(pattern) {
				return nil, badFilter("type", "type: %q, want a pattern such as Deal.Closed, Deal.*, *.Created or *", pattern)
			}
			either, args = append(either, "e.name like ?"), append(args, strings.ReplaceAll(pattern, "*", "%"))
		}
		where = append(where, "("+strings.Join(either, " or ")+")")
	}
	order := " desc"
	if q.Ascending() {
		order = ""
	}
	var out []*Event
	err = p.scan(ctx, func(r *sql.Rows) error {
		e, err := scanEvent(r)
		out = append(out, e)
		return err
	}, `select `+eventColumns+` from events e join tenants n on n.id = e.tenant where `+strings.Join(where, " and ")+` order by e.seq`+order+` limit `+strconv.Itoa(q.Limit), args...)
	return out, err
}

// ValidPattern says whether a text is a pattern of events: Deal.Closed, Deal.*,
// *.Created or *.
func ValidPattern(pattern string) bool {
	typ, event, ok := strings.Cut(pattern, ".")
	if !ok {
		return pattern == "*"
	}
	for _, part := range []string{typ, event} {
		if part != "*" && !typeName.MatchString(strings.ToUpper(part[:min(1, len(part))])+part[min(1, len(part)):]) {
			return false
		}
	}
	return true
}

// Match says whether an event's name fits one of the patterns, as
// subscriptions write them: exact, Deal.*, *.Created or *. Letter case does not
// count; no pattern fits nothing.
func Match(patterns []string, name string) bool {
	typ, event, _ := strings.Cut(strings.ToLower(name), ".")
	for _, p := range patterns {
		t, e, ok := strings.Cut(strings.ToLower(p), ".")
		if p == "*" || ok && (t == "*" || t == typ) && (e == "*" || e == event) {
			return true
		}
	}
	return false
}
