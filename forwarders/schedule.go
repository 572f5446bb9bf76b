package forwarders

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/headlessly/headlessly"
)

// drains is how many lanes' parked items are read at once.
const drains = 16

// schedule brings parked items back to their lanes when they are due. What it
// knows is rebuilt from the parked store at start, so it survives restarts.
type schedule struct {
	r       *Router
	mu      sync.Mutex
	lanes   map[Key]*due
	started time.Time
}

// due is when a lane's parked items are next looked at.
type due struct {
	next     time.Time
	draining bool
	out      map[uint64]struct{} // items in memory now
}

func newSchedule(r *Router) *schedule {
	return &schedule{r: r, lanes: map[Key]*due{}, started: r.cfg.Clock()}
}

func (s *schedule) get(key Key) *due {
	d := s.lanes[key]
	if d == nil {
		d = &due{out: map[uint64]struct{}{}}
		s.lanes[key] = d
	}
	return d
}

// parked notes that an item of the lane may be tried from t on.
func (s *schedule) parked(key Key, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.IsZero() {
		t = s.r.cfg.Clock()
	}
	d := s.get(key)
	if d.next.IsZero() || t.Before(d.next) {
		d.next = t
	}
}

// run looks at the schedule until ctx is done and waits for its drains.
func (s *schedule) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	free := make(chan struct{}, drains)
	for sleep(ctx, s.r.cfg.Scan) {
		for _, key := range s.ready(s.r.cfg.Clock()) {
			select {
			case free <- struct{}{}:
			case <-ctx.Done():
				return
			}
			wg.Go(func() {
				defer func() { <-free }()
				s.drain(ctx, key)
			})
		}
	}
}

// ready takes the lanes that are due off the schedule.
func (s *schedule) ready(now time.Time) []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []Key
	for key, d := range s.lanes {
		switch {
		case d.draining:
		case d.next.IsZero() && len(d.out) == 0:
			delete(s.lanes, key)
		case !d.next.IsZero() && !now.Before(d.next):
			d.draining, d.next = true, time.Time{}
			keys = append(keys, key)
		}
	}
	return keys
}

// drain offers the lane's due items, oldest first.
func (s *schedule) drain(ctx context.Context, key Key) {
	next, err := s.feed(ctx, key)
	if err != nil && ctx.Err() == nil {
		s.r.cfg.Logger.LogAttrs(ctx, slog.LevelError, "parked.read", slog.String("tenant", key.Tenant),
			slog.String("destination", key.Destination), slog.Any("error", err))
		next = s.r.cfg.Clock().Add(s.r.cfg.ParkedBase)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.get(key)
	d.draining = false
	if !next.IsZero() && (d.next.IsZero() || next.Before(d.next)) {
		d.next = next
	}
}

// feed returns when the lane should be looked at again, zero for when
// something is parked anew.
func (s *schedule) feed(ctx context.Context, key Key) (next time.Time, err error) {
	r := s.r
	kind := r.cfg.Registry.Find(key.Destination)
	window := make(chan struct{}, r.cfg.Window)
	earlier := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	var fault error // of one item; those behind it go on
	defer func() { err = fault }()
	for it, err := range r.cfg.Parked.List(ctx, key.Tenant, key.Destination) {
		if errors.As(err, new(*headlessly.DamagedError)) {
			continue // the store has said so; another look does not mend it
		}
		if err != nil {
			fault = err
			continue
		}
		if it.Dead || it.Unknown || s.isOut(key, it.ID) {
			continue
		}
		now := r.cfg.Clock()
		if now.Before(it.NotUntil) {
			earlier(it.NotUntil)
			continue
		}
		d, version := r.cfg.Destinations.Destinations(key.Tenant)
		if kind == nil || version == 0 || !kind.Connected(d) {
			return now.Add(r.cfg.ParkedBase), nil // nowhere to go for now
		}
		select {
		case window <- struct{}{}:
		case <-ctx.Done():
			return next, nil
		}
		l := r.lane(key, kind, d, version)
		until, ok := s.offer(ctx, l, it, func() { <-window })
		if !ok {
			earlier(until)
			return next, nil
		}
	}
	return next, nil
}

func (s *schedule) isOut(key Key, id uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, out := s.get(key).out[id]
	return out
}

// take claims an item for a replay, false when it is in memory already.
func (s *schedule) take(key Key, id uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.get(key)
	if _, out := d.out[id]; out {
		return false
	}
	d.out[id] = struct{}{}
	return true
}

func (s *schedule) giveBack(key Key, id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.get(key).out, id)
}

// offer hands one item to its lane, waiting for room. It gives up when the
// lane's breaker is open, until then.
func (s *schedule) offer(ctx context.Context, l *lane, it headlessly.ParkedItem, done func()) (until time.Time, ok bool) {
	e := new(headlessly.Event)
	if err := e.UnmarshalBinary(it.Event); err != nil {
		done()
		s.r.bad.Add(1)
		s.bury(ctx, it, err)
		return time.Time{}, true
	}
	e.LogSeq = it.LogSeq
	s.mu.Lock()
	s.get(l.key).out[it.ID] = struct{}{}
	s.mu.Unlock()
	back := func() {
		s.mu.Lock()
		delete(s.get(l.key).out, it.ID)
		s.mu.Unlock()
		done()
	}
	j := &job{
		event: e, size: int64(len(it.Event)), parkedID: it.ID, parkedAt: it.ParkedAt,
		attempts: it.Attempts, done: back,
	}
	l.count.move(parked, pending)
	for {
		taken, no := l.offer([]*job{j}) //nolint:contextcheck // a call outlives the schedule: it has the router's own context
		if taken == 1 {
			return time.Time{}, true
		}
		if !no.full && l.overBudget(j, s.r.cfg.Clock()) {
			s.r.budget.add(1, j.size)
			l.dropped(e, DropBudget)
			s.r.finish(finish{lane: l, job: j, to: dead, reason: "gave up after " + s.r.cfg.Budget.String() + ": " + it.Reason})
			return time.Time{}, true
		}
		if !no.full || !sleep(ctx, 20*time.Millisecond) {
			l.count.move(pending, parked)
			back()
			if no.until.IsZero() {
				no.until = s.r.cfg.Clock().Add(s.r.cfg.Scan)
			}
			return no.until, false
		}
	}
}

// bury makes an item that cannot be read a dead one, bytes and all.
func (s *schedule) bury(ctx context.Context, it headlessly.ParkedItem, why error) {
	id := it.ID
	it.Dead, it.Reason = true, why.Error()
	if s.r.cfg.Parked.Park(ctx, it) != nil || s.r.cfg.Parked.Remove(ctx, id) != nil {
		return // it is found again at the next look
	}
	s.r.counters(Key{it.Tenant, it.Destination}).move(parked, dead)
}
