package collector

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headlessly/headlessly"
)

// crowd decides at the door whether a request would be served in time. It knows
// what is inside (whole requests that are not answered yet), how fast that gets
// out while it is crowded, and so how long one more would take. Who would take
// too long is refused before the body is read, or at least before it is parsed:
// that costs next to nothing, so what comes in beyond the peak does not lower
// what is served.
//
// The measure is what a request brings along, in bytes as sent: the only thing
// known of it at the door. What a byte costs, the rate tells by itself.
type crowd struct {
	clock headlessly.Clock

	mu       sync.Mutex
	requests int
	cost     int64
	flows    int         // that have a request inside
	alone    atomic.Bool // not more than one

	rate  float64   // cost that gets out in a second; 0 while it is not known
	since time.Time // of left; zero while nobody waits
	left  int64     // cost that got out since
	begun bool      // something got out since it is crowded
	full  time.Time // when somebody was refused last
}

// presence is what one flow has inside; crowd.mu guards it.
type presence struct {
	requests int
	cost     int64
}

const (
	// maxWait is how long a request may take by the estimate.
	maxWait = 2 * time.Second
	// minInside requests are always let in: enough to keep every processor and
	// the disk busy, whatever the estimate says.
	minInside = 64
	// rateEvery is how often the rate is measured, rateMemory about how far back
	// it remembers. A stall is believed after stallAfter without a single answer.
	rateEvery  = 250 * time.Millisecond
	rateMemory = time.Second
	stallAfter = time.Second
	// overflowMemory is how long a refusal says that there is more than can be
	// served.
	overflowMemory = 5 * time.Second
	// maxRetry bounds what a client is told to wait.
	maxRetry = 30 * time.Second
)

// wait estimates how long a request of that cost would take. Served fairly, it
// waits for everything that is inside, or for as much of each other flow as its
// own has, whichever is less.
func (c *crowd) wait(p *presence, cost int64) time.Duration {
	if c.requests < minInside {
		return 0
	}
	c.measure(c.clock())
	if c.rate == 0 && c.since.IsZero() {
		return 0
	}
	flows := c.flows
	if p.requests == 0 {
		flows++
	}
	before := min(c.cost+cost, (p.cost+cost)*int64(flows))
	switch {
	case c.rate > 0:
		return time.Duration(min(float64(before)/c.rate, maxRetry.Seconds()) * float64(time.Second))
	case c.stalled():
		return maxRetry
	}
	return 0
}

// stalled says that nothing got out for long although much is inside.
func (c *crowd) stalled() bool {
	return !c.since.IsZero() && c.left == 0 && c.clock().Sub(c.since) >= stallAfter
}

// measure brings the rate up to date. It is known only while more are inside
// than are always let in: at other times it would say how much came, not how
// much is possible.
func (c *crowd) measure(now time.Time) {
	if c.requests < minInside {
		c.rate, c.since, c.left, c.begun = 0, time.Time{}, 0, false
		return
	}
	if c.since.IsZero() {
		c.since, c.left = now, 0
		return
	}
	passed := now.Sub(c.since)
	if passed < rateEvery || c.rate == 0 && c.left == 0 {
		return
	}
	rate := float64(c.left) / passed.Seconds()
	if c.rate > 0 {
		rate = c.rate + (1-math.Exp(-passed.Seconds()/rateMemory.Seconds()))*(rate-c.rate)
	}
	c.rate, c.since, c.left = rate, now, 0
}

// tooLong says whether a wait is too long, and remembers when one was.
func (c *crowd) tooLong(wait time.Duration) bool {
	if wait <= maxWait {
		return false
	}
	c.full = c.clock()
	return true
}

// overflows says whether somebody was refused a short while ago.
func (c *crowd) overflows() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.full.IsZero() && c.clock().Sub(c.full) < overflowMemory
}

// ask gives how long a request would take, and whether that is too long.
func (c *crowd) ask(p *presence, cost int64) (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.wait(p, cost)
	return w, c.tooLong(w)
}

// come lets a request in, unless it would take too long.
func (c *crowd) come(p *presence, cost int64) (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.wait(p, cost); c.tooLong(w) {
		return w, true
	}
	if p.requests == 0 {
		c.flows++
		c.alone.Store(c.flows == 1)
	}
	p.requests++
	p.cost += cost
	c.requests++
	c.cost += cost
	return 0, false
}

// leave notes that a request got out. One that was refused after all says
// nothing about how fast that goes.
func (c *crowd) leave(p *presence, cost int64, served bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock()
	c.measure(now)
	switch {
	case !served || c.since.IsZero():
	case !c.begun:
		// From here on the rate is measured: what passes until the first answer
		// is how long one takes, not how many there are.
		c.begun, c.since = true, now
	default:
		c.left += cost
	}
	if p.requests--; p.requests == 0 {
		c.flows--
		c.alone.Store(c.flows <= 1)
	}
	p.cost -= cost
	c.requests--
	c.cost -= cost
}

// estimate is how long all that is inside will take.
func (c *crowd) estimate() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wait(&presence{requests: 1, cost: c.cost}, 0)
}
