package outbox

import (
	"context"

	"github.com/headlessly/headlessly/connectors/graph"
)

// Range chooses what to send again.
type Range struct {
	// From and To are sequences of the graph, inclusive; 0 for no bound.
	From, To uint64
	// All also sends again what was delivered, and what happened in the range
	// before the endpoint began. Without it only parked deliveries go.
	All bool
}

// notGone keeps rows of an endpoint that is removed at the same moment parked.
const notGone = `(select gone from endpoints where n = deliveries.endpoint) = 0`

// Replay sends one delivery again, whatever became of it. An endpoint that has
// been stopped goes on; one that was removed is [ErrDisconnected].
func (b *Box) Replay(ctx context.Context, tenant, id, event string) error {
	n, err := b.living(ctx, tenant, id)
	if err != nil {
		return err
	}
	var changed int64
	err = b.write(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		changed, err = tx.exec(ctx, `update deliveries set state = 0, attempts = 0, due = ?, replays = replays + 1 where endpoint = ? and event = ? and `+notGone, b.cfg.Clock().UnixMicro(), n, event)
		return err
	})
	if err != nil {
		return err
	}
	if changed == 0 {
		return ErrNotFound
	}
	return b.Resume(ctx, tenant, id)
}

// ReplayRange sends a range again, in the order of the events, beside what
// happens meanwhile. It returns how many deliveries there are. An endpoint that
// was removed is [ErrDisconnected].
func (b *Box) ReplayRange(ctx context.Context, tenant, id string, r Range) (count int64, err error) {
	n, err := b.living(ctx, tenant, id)
	if err != nil {
		return 0, err
	}
	if r.All && b.lane(tenant, id) == nil {
		return 0, ErrDisconnected
	}
	from, to := int64(r.From), int64(r.To) //nolint:gosec // sequences
	if to <= 0 {
		to = int64(b.cfg.Graph.Position()) //nolint:gosec // a sequence
	}
	now := b.cfg.Clock().UnixMicro()
	err = b.write(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		count, err = tx.exec(ctx, `update deliveries set state = 0, attempts = 0, due = ?, replays = replays + 1, in_order = 1 where endpoint = ? and seq between ? and ? and (state = 2 or ? and state = 1) and `+notGone,
			now, n, from, to, r.All)
		return err
	})
	if err != nil {
		return 0, err
	}
	if r.All {
		missing, err := b.replayMissing(ctx, tenant, id, n, from, to)
		count += missing
		if err != nil {
			return count, err
		}
	}
	return count, b.Resume(ctx, tenant, id)
}

// replayMissing adds rows for matching events that have none.
func (b *Box) replayMissing(ctx context.Context, tenant, id string, n, from, to int64) (count int64, err error) {
	l := b.lane(tenant, id)
	if l == nil {
		return 0, ErrDisconnected
	}
	at := uint64(max(from-1, 0)) //nolint:gosec // not negative
	for at < uint64(to) {        //nolint:gosec // not negative
		page, upTo, err := b.cfg.Graph.Page(ctx, tenant, at, graph.MaxPage)
		if err != nil {
			return count, err
		}
		var added int64
		err = b.write(ctx, func(ctx context.Context, tx *tx) error {
			added = 0
			for _, h := range page {
				e := h.Event
				if int64(e.Seq) > to || e.Target == id || !graph.Match(l.patterns(), e.Name) { //nolint:gosec // a sequence
					continue
				}
				c, err := tx.exec(ctx, insertDelivery, n, int64(e.Seq), true, b.cfg.Clock().UnixMicro(), e.ID, e.Name, e.Target, e.Time) //nolint:gosec // a sequence
				if err != nil {
					return err
				}
				added += c
			}
			return nil
		})
		if err != nil {
			return count, err
		}
		count += added
		at = upTo
	}
	return count, nil
}

// Resume has an endpoint go on that was stopped.
func (b *Box) Resume(ctx context.Context, tenant, id string) error {
	n, err := b.endpoint(ctx, tenant, id)
	if err != nil {
		return err
	}
	l := b.lane(tenant, id)
	if l != nil {
		l.mu.Lock()
		l.stopped = ""
		l.mu.Unlock()
	}
	err = b.write(ctx, func(ctx context.Context, tx *tx) error {
		_, err := tx.exec(ctx, `update endpoints set stopped = '' where n = ?`, n)
		return err
	})
	if l != nil {
		l.reload()
	}
	return err
}
