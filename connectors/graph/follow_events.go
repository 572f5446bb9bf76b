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
	return func(yield func(*Event, error) bool) {
		for {
			page, upTo, err := s.eventsAfter(ctx, tenant, after)
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

// eventsAfter reads the next events, and tells up to which sequence there are
// no others.
func (s *Store) eventsAfter(ctx context.Context, tenant string, after uint64) (page []*Event, upTo uint64, err error) {
	p, release := s.view()
	defer release()
	upTo, _ = p.position()
	upTo = max(upTo, after)
	where, args := "e.seq > ? and e.seq <= ?", []any{bounded(after), bounded(upTo)}
	if tenant != "" {
		number, err := p.tenantID(ctx, tenant)
		if err != nil || number == 0 {
			return nil, upTo, err
		}
		where, args = "e.tenant = ? and "+where, append([]any{number}, args...)
	}
	err = p.scan(ctx, func(r *sql.Rows) error {
		e, err := scanEvent(r)
		page = append(page, e)
		return err
	}, `select `+eventColumns+` from events e join tenants n on n.id = e.tenant where `+where+` order by e.seq limit `+strconv.Itoa(followPage), args...)
	if len(page) == followPage {
		upTo = page[len(page)-1].Seq
	}
	return page, upTo, err
}

// Position is the place in the log up to which this process shows it.
func (s *Store) Position() uint64 {
	at, _ := s.projection.Load().position()
	return at
}

// Moment is the place in the log that stands for a moment, for now when it is
// zero: an event belongs to it when its Seq is not greater.
func (sc *Scope) Moment(ctx context.Context, a AsOf) (uint64, error) { return sc.moment(ctx, a) }
