package outbox

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/headlessly/headlessly/connectors/graph"
)

// takePause is the wait after a fault of the graph or the disk.
const takePause = 500 * time.Millisecond

// rowed is one delivery to be stored.
type rowed struct {
	lane *lane
	what *graph.Happened
}

// take reads the graph from where all live lanes stand. A lane that stands
// further back catches up by itself first.
func (b *Box) take(ctx context.Context) error {
	at := b.cfg.Graph.Position()
	for ctx.Err() == nil {
		b.join(ctx, at)
		page, upTo, err := b.cfg.Graph.Page(ctx, "", at, graph.MaxPage)
		if err == nil && len(page) > 0 {
			err = b.store(ctx, page, upTo, b.live())
		}
		if err != nil {
			fault(ctx, func() { b.cfg.Logger.Warn("outbox.take", slog.Any("error", err)) })
			continue
		}
		at = upTo
		if len(page) < graph.MaxPage {
			b.wait(ctx, at)
		}
	}
	return nil
}

// wait blocks until there are events or new lanes.
func (b *Box) wait(ctx context.Context, at uint64) {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	news := make(chan error, 1)
	go func() { news <- b.cfg.Graph.News(waiting, at) }()
	select {
	case <-b.joined:
		cancel()
		<-news //nolint:errcheck // it was cancelled
	case err := <-news:
		if err != nil && !errors.Is(err, context.Canceled) {
			fault(ctx, func() { b.cfg.Logger.Warn("outbox.wait", slog.Any("error", err)) })
		}
	}
}

// fault tells of an error and pauses, unless ctx is done.
func fault(ctx context.Context, tell func()) {
	if ctx.Err() != nil {
		return
	}
	tell()
	select {
	case <-ctx.Done():
	case <-time.After(takePause):
	}
}

// live are the lanes that take part in reading.
func (b *Box) live() map[string][]*lane {
	b.mu.RLock()
	defer b.mu.RUnlock()
	out := map[string][]*lane{}
	for k, l := range b.lanes {
		if l.joined {
			out[k.tenant] = append(out[k.tenant], l)
		}
	}
	return out
}

// join lets new lanes take part from at on, and has them catch up to there.
func (b *Box) join(ctx context.Context, at uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.lanes {
		if l.joined {
			continue
		}
		l.joined = true
		if l.seq < at {
			l.behind.Store(true)
			b.running.Go(func() { b.catchUp(ctx, l, at) })
		}
	}
}

// catchUp takes what a lane has missed up to a place. Until it is done, the
// lane's stored place stays behind it.
func (b *Box) catchUp(ctx context.Context, l *lane, upTo uint64) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)() //nolint:contextcheck // the lane's end counts too
	for at := l.seq; at < upTo && ctx.Err() == nil; {
		page, reached, err := b.cfg.Graph.Page(ctx, l.tenant, at, graph.MaxPage)
		reached = min(reached, upTo)
		if err == nil {
			for i, h := range page {
				if h.Event.Seq > upTo {
					page = page[:i]
					break
				}
			}
			rows, _ := b.matched(page, map[string][]*lane{l.tenant: {l}})
			err = b.insert(ctx, rows, []*lane{l}, reached)
		}
		if err != nil {
			fault(ctx, func() { b.cfg.Logger.Warn("outbox.catch_up", slog.Any("error", err)) })
			continue
		}
		at = reached
	}
	if ctx.Err() == nil {
		l.behind.Store(false)
		l.reload()
	}
}

// store writes a page's deliveries and the places of the lanes that have some.
// The others' places may lag: what is read again is not stored again.
func (b *Box) store(ctx context.Context, page []*graph.Happened, upTo uint64, live map[string][]*lane) error {
	rows, touched := b.matched(page, live)
	var move []*lane
	for _, lanes := range live {
		for _, l := range lanes {
			if !l.behind.Load() && (touched[l] || upTo >= l.seq+placeEvery) {
				move = append(move, l)
			}
		}
	}
	if len(rows) == 0 && len(move) == 0 {
		return nil
	}
	if err := b.insert(ctx, rows, move, upTo); err != nil {
		for l := range touched { // it may be stored all the same
			l.reload()
		}
		return err
	}
	b.cfg.Point("after take")
	return nil
}

// placeEvery is after how many events at the latest a lane's place is stored
// that had nothing to do.
const placeEvery = 5000

// matched pairs events with the lanes that want them, and names these lanes.
func (b *Box) matched(page []*graph.Happened, live map[string][]*lane) (rows []rowed, touched map[*lane]bool) {
	touched = map[*lane]bool{}
	for _, h := range page {
		for _, l := range live[h.Event.Tenant] {
			// What an endpoint's own deliveries cause is not sent to it: its
			// Errored would follow from itself.
			if h.Event.Seq > l.from && h.Event.Target != l.id && graph.Match(l.patterns(), h.Event.Name) {
				rows, touched[l] = append(rows, rowed{l, h}), true
			}
		}
	}
	return rows, touched
}

const insertDelivery = `insert into deliveries (endpoint, seq, state, in_order, due, event, name, target, at) 
	select ?1, ?2, 0, ?3, ?4, ?5, ?6, ?7, ?8 where (select gone from endpoints where n = ?1) = 0 on conflict do nothing`

// insert stores rows and places in one transaction and tells the lanes.
func (b *Box) insert(ctx context.Context, rows []rowed, move []*lane, upTo uint64) error {
	now := b.cfg.Clock().UnixMicro()
	fresh := make([]bool, len(rows))
	err := b.write(ctx, func(ctx context.Context, tx *tx) error {
		for i, r := range rows {
			e := r.what.Event
			n, err := tx.exec(ctx, insertDelivery, r.lane.n, int64(e.Seq), r.lane.ordered(), now, e.ID, e.Name, e.Target, e.Time) //nolint:gosec // sequences stay below 2⁶³
			if err != nil {
				return err
			}
			fresh[i] = n == 1
		}
		for _, l := range move {
			if _, err := tx.exec(ctx, `update endpoints set seq = max(seq, ?) where n = ?`, int64(upTo), l.n); err != nil { //nolint:gosec // sequences stay below 2⁶³
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, l := range move {
		l.seq = max(l.seq, upTo)
	}
	for i, r := range rows {
		if fresh[i] {
			r.lane.offer(r.what)
		}
	}
	return nil
}
