package forwarders

import "time"

// breaker stops a lane from sending to a destination that keeps failing. Open
// it lets nothing through until its time has come, then one call (half-open)
// decides: closed again, or open for twice as long. Not safe for concurrent
// use; the lane's lock guards it.
type breaker struct {
	after      int
	base, max  time.Duration
	rand       func() float64
	fails      int
	opened     int // times in a row, for the backoff
	until      time.Time
	probing    bool
	open, held bool // held: the provider asked for the wait
}

// allow says whether a call may start now. A half-open breaker allows one.
func (b *breaker) allow(now time.Time) bool {
	if !b.open {
		return true
	}
	if b.probing || now.Before(b.until) {
		return false
	}
	b.probing = true
	return true
}

// succeeded closes the breaker.
func (b *breaker) succeeded() {
	b.fails, b.opened, b.open, b.held, b.probing = 0, 0, false, false, false
}

// failed counts a call that failed as a whole, and opens the breaker when it
// was one too many.
func (b *breaker) failed(now time.Time) {
	b.fails++
	if !b.probing && b.fails < b.after {
		return
	}
	d := backoff(b.base, b.max, b.opened, b.rand)
	b.opened++
	b.openUntil(now.Add(d))
}

// hold opens the breaker for as long as the provider asked.
func (b *breaker) hold(until time.Time) {
	b.held = true
	b.openUntil(until)
}

// released ends a probe that brought no verdict.
func (b *breaker) released() { b.probing = false }

func (b *breaker) openUntil(t time.Time) {
	b.probing = false
	if !b.open || t.After(b.until) {
		b.until = t
	}
	b.open = true
}

func (b *breaker) state(now time.Time) string {
	switch {
	case !b.open:
		return "closed"
	case b.probing || !now.Before(b.until):
		return "half-open"
	}
	return "open"
}

// backoff is base·2ⁿ, at most max, with the upper half random.
func backoff(base, limit time.Duration, n int, rnd func() float64) time.Duration {
	d := base
	for range n {
		if d >= limit/2 {
			d = limit
			break
		}
		d *= 2
	}
	d = min(d, limit)
	return d/2 + time.Duration(rnd()*float64(d/2))
}
