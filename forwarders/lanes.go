package forwarders

import (
	"bytes"
	"context"
	"time"

	"github.com/headlessly/headlessly"
)

// lane gives the lane with this key, made if need be, with the tenant's
// settings as they are now.
func (r *Router) lane(key Key, k *Kind, d headlessly.Destinations, version uint64) *lane {
	for {
		if l := r.find(key, k); l.configure(d, version) {
			return l
		}
	}
}

func (r *Router) find(key Key, k *Kind) *lane {
	r.mu.RLock()
	l := r.lanes[key]
	r.mu.RUnlock()
	if l != nil {
		return l
	}
	fresh := newLane(r, key, k)
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.lanes[key]; l != nil {
		return l
	}
	r.lanes[key] = fresh
	return fresh
}

// all gives the lanes of this moment.
func (r *Router) all() []*lane {
	r.mu.RLock()
	defer r.mu.RUnlock()
	list := make([]*lane, 0, len(r.lanes))
	for _, l := range r.lanes {
		list = append(list, l)
	}
	return list
}

func (r *Router) counters(key Key) *counters {
	r.mu.RLock()
	c := r.count[key]
	r.mu.RUnlock()
	if c != nil {
		return c
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.count[key]; c != nil {
		return c
	}
	c = new(counters)
	r.count[key] = c
	return c
}

// Stats gives the counters of every lane that this run has seen.
func (r *Router) Stats() map[Key]Stat {
	now := r.cfg.Clock()
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make(map[Key]Stat, len(r.count))
	for key, c := range r.count {
		s := c.snapshot()
		s.Breaker = "closed"
		if l := r.lanes[key]; l != nil {
			s.Breaker, s.Until = l.breakerState(now)
		}
		out[key] = s
	}
	return out
}

// Totals are the router's own counters.
type Totals struct {
	// Read is the last frame read, Committed the cursor's place.
	Read, Committed uint64
	// LostFrames were missing or unreadable in the log, BadRecords were no
	// events.
	LostFrames, BadRecords int64
	// Unrecorded attempts could not be appended to the log.
	Unrecorded int64
	// Lanes exist now; Items and Bytes are what they hold.
	Lanes        int
	Items, Bytes int64
}

// Totals gives the router's own counters. The zero value before Run.
func (r *Router) Totals() Totals {
	r.mu.RLock()
	defer r.mu.RUnlock()
	t := Totals{
		Read: r.reading.Load(), LostFrames: r.lost.Load(), BadRecords: r.bad.Load(), Unrecorded: r.recorder.lost.Load(),
		Lanes: len(r.lanes), Items: r.budget.items.Load(), Bytes: r.budget.bytes.Load(),
	}
	if f := r.started.Load(); f != nil {
		t.Committed = f.finished()
	}
	return t
}

// misconfigured refuses everything with the reason why the destination could
// not be built.
type misconfigured struct{ err error }

func (m misconfigured) Limits() Limits {
	return Limits{Items: 100, Bytes: 1 << 20, InFlight: 1, Timeout: time.Second}
}

func (m misconfigured) Deliver(_ context.Context, batch []Item) []Result {
	out := make([]Result, len(batch))
	for i := range out {
		out[i].Err = &headlessly.Permanent{Err: m.err}
	}
	return out
}

// culprit finds the frame below the panic in a stack dump, so that a reason
// names the place and never the data.
func culprit(stack []byte) string {
	lines := bytes.Split(stack, []byte("\n"))
	for i, line := range lines {
		if bytes.HasPrefix(line, []byte("panic(")) && i+3 < len(lines) {
			at, _, _ := bytes.Cut(bytes.TrimSpace(lines[i+3]), []byte(" "))
			if slash := bytes.LastIndexByte(at, '/'); slash >= 0 {
				at = at[slash+1:]
			}
			return string(at)
		}
	}
	return "an unknown place"
}
