package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/headlessly/headlessly/connectors/graph"
)

const (
	// laneLoad is how many rows a lane has in memory ahead.
	laneLoad = 512
	// laneUnsettled is how many outcomes may wait for the disk before a lane
	// stops sending.
	laneUnsettled = 1024
	// laneFresh is how many events a lane keeps in memory from taking to
	// sending; others are read again.
	laneFresh = 2048
	// weakAfter is after how many failures in a row a lane sends one request at
	// a time, until one succeeds.
	weakAfter = 5
)

// item is a row that is due.
type item struct {
	seq      uint64
	due      int64
	attempts int
	replays  int
}

// lane sends one endpoint's deliveries. Its queues belong to its goroutine,
// what mu guards to everybody.
type lane struct {
	b          *Box
	n          int64 // the endpoint's number
	tenant, id string
	ctx        context.Context // ends with the lane
	end        context.CancelFunc
	wake       chan struct{}
	ended      chan struct{} // run has returned

	seq, from       uint64 // the taker's
	joined, started bool
	behind          atomic.Bool // catches up

	free, inOrder stream

	mu        sync.Mutex
	e         Endpoint
	limiter   *rate.Limiter
	fresh     map[uint64]*graph.Happened
	flying    map[uint64]int // being sent, or its outcome not on disk yet: the replays that the row had
	failures  int            // in a row
	holdUntil time.Time      // the endpoint asked for a pause
	stopped   string         // why nothing is sent
	failing   string         // the fault that Health was told
}

// stream is the deliveries that go in any order, or those that go one by one.
type stream struct {
	inOrder bool
	queue   []item
	sending int
	more    atomic.Bool  // the disk may hold rows that the queue lacks
	dirty   atomic.Bool  // and some that come before the queue's head
	next    atomic.Int64 // µs: when the next row becomes due, 0 for never
	missed  bool         // a row was replayed while it was still flying; guarded by lane.mu
}

func (b *Box) newLane(ctx context.Context, e Endpoint) (*lane, error) {
	l := &lane{b: b, tenant: e.Tenant, id: e.ID, wake: make(chan struct{}, 1), ended: make(chan struct{}), fresh: map[uint64]*graph.Happened{}, flying: map[uint64]int{}}
	var seq int64
	err := b.db.QueryRowContext(ctx, `select n, seq, stopped, failing from endpoints where tenant = ? and id = ?`, e.Tenant, e.ID).Scan(&l.n, &seq, &l.stopped, &l.failing)
	if err != nil {
		return nil, fmt.Errorf("outbox: endpoint %s: %w", e.ID, err)
	}
	l.seq, l.from = uint64(seq), uint64(seq) //nolint:gosec // a sequence
	l.ctx, l.end = context.WithCancel(context.WithoutCancel(ctx))
	l.inOrder.inOrder = true
	l.change(e)
	return l, nil
}

// change gives the lane other settings.
func (l *lane) change(e Endpoint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.PerSecond != l.e.PerSecond || l.limiter == nil {
		l.limiter = rate.NewLimiter(rate.Inf, 1)
		if e.PerSecond > 0 {
			l.limiter = rate.NewLimiter(rate.Limit(e.PerSecond), max(1, int(e.PerSecond)))
		}
	}
	l.e = e
	l.reload()
}

func (l *lane) settings() Endpoint {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.e
}

func (l *lane) patterns() []string { return l.settings().Events }
func (l *lane) ordered() bool      { return l.settings().Ordered }

// reload has the lane look at the disk again.
func (l *lane) reload() {
	l.free.more.Store(true)
	l.inOrder.more.Store(true)
	l.inOrder.dirty.Store(true)
	signal(l.wake)
}

// offer tells of a stored row and keeps its event at hand.
func (l *lane) offer(h *graph.Happened) {
	l.mu.Lock()
	if len(l.fresh) < laneFresh {
		l.fresh[h.Event.Seq] = h
	}
	l.mu.Unlock()
	l.free.more.Store(true)
	l.inOrder.more.Store(true)
	signal(l.wake)
}

// run sends what is due until ctx or the lane ends.
func (l *lane) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)() //nolint:contextcheck // the lane's end counts too
	var sends sync.WaitGroup
	defer sends.Wait()
	l.mu.Lock()
	failing := l.failing
	l.mu.Unlock()
	if failing != "" {
		l.health(failing)
	}
	for ctx.Err() == nil {
		before := l.b.cfg.Clock()
		wait := l.advance(ctx, &sends)
		var timer <-chan time.Time
		if wait > 0 {
			timer = l.b.cfg.After(wait - l.b.cfg.Clock().Sub(before))
		}
		select {
		case <-ctx.Done():
		case <-l.wake:
		case <-timer:
		}
	}
}

// advance starts what can be sent now and says after which time to look again,
// 0 for when woken.
func (l *lane) advance(ctx context.Context, sends *sync.WaitGroup) time.Duration {
	e := l.settings()
	l.mu.Lock()
	stopped, hold, failures := l.stopped, l.holdUntil, l.failures
	l.mu.Unlock()
	now := l.b.cfg.Clock()
	if stopped != "" || e.Ordered && l.behind.Load() {
		return 0
	}
	if hold.After(now) {
		return hold.Sub(now)
	}
	limit := e.InFlight
	if limit <= 0 {
		limit = l.b.cfg.InFlight
	}
	if failures >= weakAfter {
		limit = 1
	}
	return soonest(l.pump(ctx, sends, &l.free, e, limit), l.pump(ctx, sends, &l.inOrder, e, 1))
}

func (l *lane) health(fault string) {
	if f := l.settings().Health; f != nil {
		f(fault)
	}
}

// soonest is the shorter of two waits, of which 0 is none.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// pump sends from one stream.
func (l *lane) pump(ctx context.Context, sends *sync.WaitGroup, s *stream, e Endpoint, limit int) time.Duration {
	for l.sending(s) < limit && l.settling() < limit+laneUnsettled {
		now := l.b.cfg.Clock()
		if err := l.fill(ctx, s, e.batch(), now); err != nil {
			if ctx.Err() == nil {
				l.b.cfg.Logger.Warn("outbox.load", slog.String("endpoint", l.id), slog.Any("error", err))
			}
			s.more.Store(true)
			return takePause
		}
		if len(s.queue) == 0 {
			return until(s.next.Load(), now)
		}
		if due := s.queue[0].due; due > now.UnixMicro() { // the head of an ordered stream
			return until(due, now)
		}
		n := min(len(s.queue), e.batch())
		if n < e.Batch {
			if full := s.queue[0].due + e.BatchWait.Microseconds(); full > now.UnixMicro() && s.queue[0].attempts == 0 {
				return until(full, now)
			}
		}
		if wait := l.allow(now); wait > 0 {
			return wait
		}
		items := slices.Clone(s.queue[:n])
		s.queue = s.queue[n:]
		l.launch(items, s)
		sends.Go(func() { l.send(ctx, s, e, items) })
	}
	return 0 // woken when a request ends
}

// until is the time to a moment in µs, 0 when there is none.
func until(µs int64, now time.Time) time.Duration {
	if µs == 0 {
		return 0
	}
	return max(time.UnixMicro(µs).Sub(now), time.Microsecond)
}

// allow asks the rate limit; it gives the wait before a request may start.
func (l *lane) allow(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.limiter.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

func (l *lane) sending(s *stream) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return s.sending
}

func (l *lane) settling() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.flying)
}

func (l *lane) launch(items []item, s *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.sending++
	for _, i := range items {
		l.flying[i.seq] = i.replays
	}
}

const (
	loadFree    = `select seq, due, attempts, replays from deliveries where endpoint = ? and state = 0 and in_order = 0 and due <= ? order by due, seq limit ?`
	loadInOrder = `select seq, due, attempts, replays from deliveries where endpoint = ? and state = 0 and in_order = 1 and ? >= 0 order by seq limit ?`
	nextFree    = `select coalesce(min(due), 0) from deliveries where endpoint = ? and state = 0 and in_order = 0 and due > ?`
)

// fill reads due rows when the queue has fewer than a request holds and the
// disk may have more.
func (l *lane) fill(ctx context.Context, s *stream, batch int, now time.Time) error {
	if next := s.next.Load(); next > 0 && next <= now.UnixMicro() {
		s.more.Store(true)
	}
	if !s.more.Load() || len(s.queue) >= batch && !s.dirty.Load() {
		return nil
	}
	s.more.Store(false)
	s.dirty.Store(false)
	if !s.inOrder {
		s.next.Store(0) // an outcome that lands from here on lowers it
	}
	l.mu.Lock()
	before := maps.Clone(l.flying) // an outcome stored during the query does not show in it
	l.mu.Unlock()
	query, most := loadFree, laneLoad+len(before) //nolint:gosec // the sum is a number; the query is a constant
	if s.inOrder {
		query = loadInOrder
	}
	rows, err := l.b.db.QueryContext(ctx, query, l.n, now.UnixMicro(), most)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // the error of reading is rows.Err
	s.queue = s.queue[:0]
	var again []uint64
	read := 0
	for ; rows.Next(); read++ {
		var i item
		if err := rows.Scan(&i.seq, &i.due, &i.attempts, &i.replays); err != nil {
			return err
		}
		switch replays, flies := before[i.seq]; {
		case !flies:
			s.queue = append(s.queue, i)
		case replays != i.replays:
			again = append(again, i.seq)
		}
	}
	l.replayed(s, again)
	if read == most {
		s.more.Store(true)
	}
	if err := rows.Err(); err != nil || s.inOrder {
		return err
	}
	l.b.cfg.Point("after load")
	return l.nextDue(ctx, s, now)
}

// replayed has rows read again that are to be sent once more, and were passed
// over because they had not landed yet: now if they have meanwhile, else when
// they land.
func (l *lane) replayed(s *stream, rows []uint64) {
	if len(rows) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, seq := range rows {
		if _, flies := l.flying[seq]; flies {
			s.missed = true
		} else {
			s.more.Store(true)
			s.dirty.Store(true)
			signal(l.wake)
		}
	}
}

// nextDue notes when the next row becomes due.
func (l *lane) nextDue(ctx context.Context, s *stream, now time.Time) error {
	var next sql.NullInt64
	if err := l.b.db.QueryRowContext(ctx, nextFree, l.n, now.UnixMicro()).Scan(&next); err != nil {
		return err
	}
	s.lower(next.Int64)
	return nil
}

// lower makes the next due time no later than µs.
func (s *stream) lower(µs int64) {
	for µs > 0 {
		now := s.next.Load()
		if now > 0 && now <= µs || s.next.CompareAndSwap(now, µs) {
			return
		}
	}
}
