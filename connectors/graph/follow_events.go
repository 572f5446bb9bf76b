package graph

import (
	"context"
	"database/sql"
	"iter"
	"strconv"
)

// followPage is how many events are read at once.
const followPage = 256

// Follow yields events in order, of one tenant or of all (""), from behind a
// sequence on, and then waits for new ones until ctx is done or the graph is
// closed. Nothing is left out, however slow the receiver is. An error ends it;
// the receiver may start again behind the last event it has.
func (s *Store) Follow(ctx context.Context, tenant string, after uint64) iter.Seq2[*Event, error] {
	return s.follow(ctx, after, func(after uint64) ([]*Event, uint64, error) { return s.eventsAfter(ctx, tenant, after) })
}

// FollowType is [Store.Follow] for the events of one type, of every tenant. It
// costs little however many others there are.
func (s *Store) FollowType(ctx context.Context, typ string, after uint64) iter.Seq2[*Event, error] {
	return s.follow(ctx, after, func(after uint64) ([]*Event, uint64, error) { return s.eventsOfType(ctx, typ, after) })
}

// follow yields page after page that read gives, with the sequence up to which
// there is nothing else, and waits for news behind the last.
func (s *Store) follow(ctx context.Context, after uint64, read func(after uint64) ([]*Event, uint64, error)) iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) {
		for {
			page, upTo, err := read(after)
			if err != nil {
				if ctx.Err() == nil && s.ctx.Err() == nil {
					yield(nil, err)
				}
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
			if after = upTo; len(page) == followPage {
				continue
			}
			if err := s.news(ctx, after); err != nil {
				return
			}
		}
	}
}

// news waits until there is something behind a sequence.
func (s *Store) news(ctx context.Context, after uint64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)() //nolint:contextcheck // the graph's end counts too
	return s.reach(ctx, after+1)
}

// eventsAfter reads the next events of a tenant, or of all.
func (s *Store) eventsAfter(ctx context.Context, tenant string, after uint64) ([]*Event, uint64, error) {
	if tenant == "" {
		return s.eventPage(ctx, after, "")
	}
	p, release := s.view()
	upTo, _ := p.position() // before the tenant is looked for: it may come in between
	number, err := p.tenantID(ctx, tenant)
	release()
	if err != nil || number == 0 {
		return nil, max(upTo, after), err
	}
	return s.eventPage(ctx, after, " and e.tenant = ?", number)
}

// eventsOfType reads the next events of a type.
func (s *Store) eventsOfType(ctx context.Context, typ string, after uint64) ([]*Event, uint64, error) {
	return s.eventPage(ctx, after, " and e.name >= ? and e.name < ?", typ+".", typ+"/")
}

// eventPage reads the next events to which a condition applies, and tells up to
// which sequence there are no others.
func (s *Store) eventPage(ctx context.Context, after uint64, where string, args ...any) (page []*Event, upTo uint64, err error) {
	p, release := s.view()
	defer release()
	upTo, _ = p.position()
	upTo = max(upTo, after)
	err = p.scan(ctx, func(r *sql.Rows) error {
		e, err := scanEvent(r)
		page = append(page, e)
		return err
	}, `select `+eventColumns+` from events e join tenants n on n.id = e.tenant where e.seq > ? and e.seq <= ?`+where+` order by e.seq limit `+strconv.Itoa(followPage),
		append([]any{bounded(after), bounded(upTo)}, args...)...)
	if len(page) == followPage {
		upTo = page[len(page)-1].Seq
	}
	return page, upTo, err
}

// Moment is the place in the log that stands for a moment, for now when it is
// zero: an event belongs to it when its Seq is not greater.
func (sc *Scope) Moment(ctx context.Context, a AsOf) (uint64, error) { return sc.moment(ctx, a) }
