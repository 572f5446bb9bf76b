package graph

import (
	"context"
	"database/sql"
	"strconv"
)

// MaxPage bounds one page of [Store.Page].
const MaxPage = 1000

// Page reads what happened behind a sequence, oldest first, in one tenant or
// in all (""): up to most events, each with its entity as the event left it,
// or as it was last for a deletion. Everything up to upTo is in the page or
// not there; a reader goes on behind upTo, and waits with [Store.News].
func (s *Store) Page(ctx context.Context, tenant string, after uint64, most int) (page []*Happened, upTo uint64, err error) {
	p, release := s.view()
	defer release()
	upTo, _ = p.position()
	upTo = max(upTo, after)
	most = min(max(most, 1), MaxPage)
	where, args := "e.seq > ? and e.seq <= ?", []any{bounded(after), bounded(upTo)}
	if tenant != "" {
		number, err := p.tenantID(ctx, tenant)
		if err != nil || number == 0 {
			return nil, upTo, err
		}
		where, args = "e.tenant = ? and "+where, append([]any{number}, args...)
	}
	page, err = s.happenings(ctx, p, where+" order by e.seq limit "+strconv.Itoa(most), args...)
	if len(page) == most {
		upTo = page[len(page)-1].Event.Seq
	}
	return page, upTo, err
}

// HappenedAt reads one event of a tenant with its entity; nil when the tenant
// has none at that sequence.
func (s *Store) HappenedAt(ctx context.Context, tenant string, seq uint64) (*Happened, error) {
	p, release := s.view()
	defer release()
	list, err := s.happenings(ctx, p, "e.seq = ? and n.name = ?", bounded(seq), tenant)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

// News waits until there is something behind a sequence, or until ctx is done
// or the graph is closed.
func (s *Store) News(ctx context.Context, after uint64) error { return s.news(ctx, after) }

func (s *Store) happenings(ctx context.Context, p *projection, where string, args ...any) (out []*Happened, err error) {
	err = p.scan(ctx, func(r *sql.Rows) error {
		st := &Entity{}
		e, err := scanEvent(r, &st.CreatedAt, &st.CreatedBy, (*[]byte)(&st.doc))
		if err != nil {
			return err
		}
		st.ID, st.Type, st.Tenant, st.Version, st.Seq, st.UpdatedAt, st.context = e.Target, e.EntityType(), e.Tenant, e.Version, e.Seq, e.Time, s.context(e.Tenant)
		sc, err := s.Scope(e.Tenant, e.Actor)
		if err != nil {
			return err
		}
		out = append(out, &Happened{Event: e, Entity: st, scope: sc.because(e)})
		return nil
	}, `select `+eventColumns+`, e.created_at, e.created_by, e.doc from events e join tenants n on n.id = e.tenant where `+where, args...)
	return out, err
}
