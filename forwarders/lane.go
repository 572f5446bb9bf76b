package forwarders

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/rules"
)

// shortWait is the longest wait for which a lane keeps its items in memory;
// for anything longer they are parked, so that frames can be committed.
const shortWait = 2 * time.Second

// slowCall is how long a call may take before its lane counts as suspect.
const slowCall = 2 * time.Second

// job is one event in a lane.
type job struct {
	event    *headlessly.Event
	size     int64
	frame    *frame    // nil for an event that was parked or is replayed
	parkedID uint64    // the parked item it came from, 0 for none
	parkedAt time.Time // when that was first parked
	attempts int       // ever
	tries    int       // since it entered memory
	since    time.Time // when it entered memory
	due      time.Time // earliest next try
	replay   bool
	done     func() // told when the job has left memory, may be nil
	ended    func(place)
	from     *counters // where a replayed job was counted in, nil before
}

// lane feeds one destination of one tenant.
type lane struct {
	r     *Router
	key   Key
	kind  *Kind
	count *counters
	room  chan struct{} // signalled when the queue got shorter

	mu       sync.Mutex
	dest     Destination
	rules    atomic.Pointer[rules.Set]
	reports  atomic.Bool            // dest is a Reporter
	named    atomic.Pointer[string] // the integration that named dest
	limits   Limits
	version  uint64
	queue    []*job // in order
	waiting  []*job // for their next try
	held     int    // jobs in memory, wherever
	running  int    // Deliver calls
	pace     pace
	brk      breaker
	rate     *rate.Limiter
	timer    *time.Timer
	timerAt  time.Time
	used     time.Time // last time anything happened
	progress time.Time // last time something was delivered
	suspect  bool      // the last call failed or was slow
	stopping bool
	retired  bool
}

func newLane(r *Router, key Key, kind *Kind) *lane {
	c := &r.cfg
	return &lane{
		r: r, key: key, kind: kind, count: r.counters(key),
		room: make(chan struct{}, 1),
		brk:  breaker{after: c.BreakAfter, base: c.BreakBase, max: c.BreakMax, rand: c.Rand},
		used: c.Clock(),
	}
}

// configure builds the destination anew when the tenant's settings changed. It
// is false for a lane that was retired: there is a newer one.
func (l *lane) configure(d headlessly.Destinations, version uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.retired {
		return false
	}
	l.used = l.r.cfg.Clock()
	if l.dest != nil && l.version == version {
		return true
	}
	set, err := rules.Compile(l.kind.Rules(d))
	if err != nil {
		set = nil
	}
	l.rules.Store(set)
	var dest Destination
	if err == nil {
		dest, err = l.kind.Build(d, Deps{Client: l.r.cfg.Client, Clock: l.r.cfg.Clock, Logger: l.r.cfg.Logger})
	}
	if err != nil {
		dest = misconfigured{err}
	}
	l.dest, l.version, l.limits = dest, version, dest.Limits()
	integration := d.IntegrationOf(l.key.Destination)
	l.named.Store(&integration)
	_, reports := dest.(Reporter)
	l.reports.Store(reports)
	l.pace = pace{now: min(2, max(1, l.limits.InFlight)), max: max(1, l.limits.InFlight)}
	l.rate = nil
	most := l.limits.PerSecond
	if own := set.PerSecond(); own > 0 && (most == 0 || own < most) {
		most = own
	}
	if most > 0 {
		l.rate = rate.NewLimiter(rate.Limit(most), max(l.limits.Items, int(most)))
	}
	l.brk.succeeded() // new settings deserve a fresh try
	return true
}

// refusal says why a lane did not take a job.
type refusal struct {
	full   bool      // the queue is full, or a probe is under way
	until  time.Time // the breaker is open until then
	reason string
}

// offer puts jobs into the queue and returns how many it took.
func (l *lane) offer(jobs []*job) (taken int, no refusal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.r.cfg.Clock()
	l.used = now
	for _, j := range jobs {
		if no = l.refuses(now, j); no.reason != "" {
			break
		}
		j.since = now
		l.held++
		l.r.budget.add(1, j.size)
		l.queue = append(l.queue, j)
		taken++
	}
	if taken > 0 {
		l.kick(now)
	}
	return taken, no
}

func (l *lane) refuses(now time.Time, j *job) refusal {
	switch {
	case l.stopping:
		return refusal{full: true, reason: "the router is stopping"}
	case l.brk.open && l.brk.until.Sub(now) > shortWait:
		return refusal{until: l.brk.until, reason: "destination is failing"}
	case l.brk.open && (l.brk.probing || len(l.queue) >= l.limits.Items):
		return refusal{full: true, reason: "destination is being probed"}
	case !l.r.budget.fits(int64(l.held), j.size):
		return refusal{full: true, reason: "destination is slower than its events"}
	}
	return refusal{}
}

// kick starts calls while there is something to send and leave to send it. The
// lock is held.
func (l *lane) kick(now time.Time) {
	l.promote(now)
	for len(l.queue) > 0 && l.running < l.pace.now && !l.stopping {
		if l.brk.probing {
			return // its verdict calls kick again
		}
		if l.brk.open && now.Before(l.brk.until) {
			l.wakeAt(now, l.brk.until)
			return
		}
		batch, size := l.peek()
		if full := len(batch) < len(l.queue) || size >= l.limits.Bytes || len(batch) >= l.limits.Items; !full {
			if ready := batch[0].since.Add(l.r.cfg.Linger); now.Before(ready) && batch[0].tries == 0 {
				l.wakeAt(now, ready)
				return
			}
		}
		if l.rate != nil {
			leave := l.rate.ReserveN(now, len(batch))
			if wait := leave.DelayFrom(now); wait > 0 {
				leave.CancelAt(now)
				l.wakeAt(now, now.Add(wait))
				return
			}
		}
		l.brk.allow(now)
		l.queue = l.queue[len(batch):]
		l.running++
		l.r.calls.Add(1)
		go l.call(batch, l.dest, l.limits, l.suspect)
	}
}

// peek gives the next batch without taking it.
func (l *lane) peek() (batch []*job, size int) {
	n, most := 0, l.limits.Items
	if l.brk.open {
		most = 1 // a probe costs one try of one item
	}
	for n < len(l.queue) && n < most {
		s := int(l.queue[n].size)
		if n > 0 && size+s > l.limits.Bytes {
			break
		}
		size += s
		n++
	}
	return l.queue[:n:n], size
}

// promote moves the jobs whose next try is due to the head of the queue.
func (l *lane) promote(now time.Time) {
	if len(l.waiting) == 0 {
		return
	}
	var due, later []*job
	for _, j := range l.waiting {
		if now.Before(j.due) {
			later = append(later, j)
			l.wakeAt(now, j.due)
		} else {
			due = append(due, j)
		}
	}
	l.waiting = later
	if len(due) > 0 {
		l.queue = append(due, l.queue...)
	}
}

// wakeAt makes sure that kick is called at t or before.
func (l *lane) wakeAt(now, t time.Time) {
	if l.timer != nil && now.Before(l.timerAt) && !t.Before(l.timerAt) {
		return
	}
	if l.timer != nil {
		l.timer.Stop()
	}
	l.timerAt = t
	l.timer = time.AfterFunc(max(t.Sub(now), time.Millisecond), func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		now := l.r.cfg.Clock()
		l.timerAt = time.Time{}
		l.kick(now)
	})
}

// call sends one batch and settles its results.
func (l *lane) call(batch []*job, dest Destination, limits Limits, suspect bool) {
	defer l.r.calls.Done()
	release, ok := l.r.slots.acquire(l.r.work, suspect)
	items := make([]Item, len(batch))
	set := l.rules.Load()
	for i, j := range batch {
		items[i] = Item{Event: set.Apply(j.event), Attempts: j.attempts, Replay: j.replay}
	}
	start := l.r.cfg.Clock()
	var results []Result
	if ok {
		l.r.point(PointBeforeSend)
		ctx, cancel := context.WithTimeout(l.r.work, limits.Timeout)
		results = deliver(ctx, dest, items)
		cancel()
		l.r.point(PointAfterSend)
		release()
	} else {
		results = make([]Result, len(batch))
		for i := range results {
			results[i].Err = &headlessly.Temporary{Err: l.r.work.Err()}
		}
	}
	l.settle(batch, results, limits, start, ok)
}
