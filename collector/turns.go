package collector

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// turns shares something scarce (the processors, the way to the disk) between
// flows: tenants, mostly. While there is enough, nobody waits. When there is
// not, whoever has used least goes next: start-time fair queueing (Goyal, Vin
// and Cheng, 1996). A request's start tag is where its flow's last one ended,
// but never before the tag that is served now, so a flow that was quiet goes to
// the front, and one with a thousand requests waiting waits behind itself.
type turns struct {
	// patient lets a flow that has used more than others in only when the
	// processors have nothing else to do. Go's scheduler is first come, first
	// served: what waits there waits for everybody, what waits here only for
	// its own kind.
	patient bool
	size    int64
	// alone says that only one flow is there, so that nobody need give way.
	// Without it that is never known.
	alone *atomic.Bool

	mu       sync.Mutex
	free     int64
	now      int64 // the start tag served last
	arrived  uint64
	waiting  []*turn // a heap by start tag
	ushering bool    // usher runs
	room     sync.Cond
}

// flow is a tenant's place in the queue.
type flow struct{ end int64 } // guarded by turns.mu

// turn is one request's. The zero turn is ready; it may be used again and again.
type turn struct {
	start int64
	order uint64 // among equal tags
	units int64  // held or waited for
	flow  *flow
	ready chan struct{}
}

func newTurns(size int64, patient bool) *turns {
	q := &turns{free: size, size: size, patient: patient}
	q.room.L = &q.mu
	return q
}

// take waits for units, of which cost is charged to the flow. More than there
// are count as all.
func (q *turns) take(t *turn, f *flow, units, cost int64) {
	q.mu.Lock()
	t.units, t.flow = min(units, q.size), f
	behind := f.end > q.now
	t.start = max(q.now, f.end)
	f.end = t.start + cost
	q.lineUp(t, behind)
}

// again waits for one unit for somebody who had a turn before. It costs nothing,
// and comes before everything that has not begun, except what others begin who
// used less.
func (q *turns) again(t *turn, f *flow) {
	q.mu.Lock()
	t.units, t.flow = 1, f
	t.start = min(f.end, q.now+1)
	q.lineUp(t, f.end > q.now)
}

// lineUp waits for a turn's units and unlocks mu. behind says that its flow has
// used more than others.
func (q *turns) lineUp(t *turn, behind bool) {
	first := len(q.waiting) == 0 || t.start < q.waiting[0].start
	idle, patient := q.free == q.size && !q.ushering, q.patient && (q.alone == nil || !q.alone.Load())
	if q.free >= t.units && (!behind || idle || !patient && first) {
		q.free -= t.units
		q.now = max(q.now, t.start)
		q.mu.Unlock()
		return
	}
	if t.ready == nil {
		t.ready = make(chan struct{}, 1)
	}
	q.arrived++
	t.order = q.arrived
	q.push(t)
	if patient && !q.ushering {
		q.ushering = true
		go q.usher()
	}
	q.mu.Unlock()
	<-t.ready
}

// usher lets in as many of those that wait as there is room for, and then gives
// way to everything that is ready to run: more requests that line up, answers
// that are written. It ends when nobody waits.
func (q *turns) usher() {
	for {
		runtime.Gosched()
		q.mu.Lock()
		for len(q.waiting) > 0 && q.waiting[0].units > q.free {
			q.room.Wait()
		}
		if len(q.waiting) == 0 {
			q.ushering = false
			q.mu.Unlock()
			return
		}
		for len(q.waiting) > 0 && q.waiting[0].units <= q.free {
			q.admit()
		}
		q.mu.Unlock()
	}
}

// admit lets in who is next. The caller holds mu, and there is room.
func (q *turns) admit() {
	next := q.pop()
	q.free -= next.units
	q.now = max(q.now, next.start)
	next.ready <- struct{}{}
}

// charge adds to the cost of a turn that is being held.
func (q *turns) charge(t *turn, cost int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t.flow.end += cost
}

// give gives a turn back. Without one it does nothing.
func (q *turns) give(t *turn) {
	if t.units == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free += t.units
	t.units, t.flow = 0, nil
	if q.ushering {
		q.room.Signal()
		return
	}
	for len(q.waiting) > 0 && q.waiting[0].units <= q.free {
		q.admit()
	}
}

// waits gives how many are waiting.
func (q *turns) waits() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

func (t *turn) before(o *turn) bool {
	return t.start < o.start || t.start == o.start && t.order < o.order
}

func (q *turns) push(t *turn) {
	q.waiting = append(q.waiting, t)
	for i := len(q.waiting) - 1; i > 0; {
		up := (i - 1) / 2
		if !q.waiting[i].before(q.waiting[up]) {
			return
		}
		q.waiting[i], q.waiting[up] = q.waiting[up], q.waiting[i]
		i = up
	}
}

func (q *turns) pop() *turn {
	w := q.waiting
	first, last := w[0], len(w)-1
	w[0], w[last] = w[last], nil
	w = w[:last]
	q.waiting = w
	for i := 0; ; {
		least := i
		for _, down := range [2]int{2*i + 1, 2*i + 2} {
			if down < len(w) && w[down].before(w[least]) {
				least = down
			}
		}
		if least == i {
			return first
		}
		w[i], w[least] = w[least], w[i]
		i = least
	}
}
