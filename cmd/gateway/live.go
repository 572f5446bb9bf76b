package gateway

import (
	"context"
	"errors"
	"path"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/collector/tail"
	"github.com/headlessly/headlessly/forwarders"
)

// attemptsBuffered is how many attempts wait for one viewer; beyond it they
// are passed over, and the viewer is told how many.
const attemptsBuffered = 256

// live shows viewers what arrives and what came of it at each destination. It
// costs one atomic load an event while nobody looks.
type live struct {
	tap     tail.Tap
	ended   chan struct{} // closed when the gateway stops: a tail has no end of its own
	viewers atomic.Int32
	mu      sync.Mutex
	chans   map[chan forwarders.Attempt]*viewer
}

type viewer struct {
	tenant string
	lost   atomic.Int64
}

// attempts is told of every attempt of the router and never blocks it.
func (l *live) attempts(list []forwarders.Attempt) {
	if l.viewers.Load() == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range list {
		for ch, v := range l.chans {
			if v.tenant != a.Tenant {
				continue
			}
			select {
			case ch <- a:
			default:
				v.lost.Add(1)
			}
		}
	}
}

func (l *live) watch(tenant string) (chan forwarders.Attempt, *viewer) {
	ch, v := make(chan forwarders.Attempt, attemptsBuffered), &viewer{tenant: tenant}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.chans == nil {
		l.chans = map[chan forwarders.Attempt]*viewer{}
	}
	l.chans[ch] = v
	l.viewers.Store(int32(len(l.chans)))
	return ch, v
}

func (l *live) leave(ch chan forwarders.Attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.chans, ch)
	l.viewers.Store(int32(len(l.chans)))
}

// show sends a tenant's events and attempts to emit until ctx ends or emit
// fails.
func (l *live) show(ctx context.Context, tenant string, f control.LiveFilter, emit func(kind string, v any) error) error {
	sub, err := l.tap.Subscribe(tenant, func(e *headlessly.Event) bool {
		return matches(f.Event, e.Event) && matches(f.Type, e.Type) && (f.User == "" || f.User == e.UserID || f.User == e.AnonymousID)
	})
	if err != nil {
		return &control.QueryError{Status: 429, Code: "rate_limited", Message: err.Error()}
	}
	defer sub.Close()
	ch, v := l.watch(tenant)
	defer l.leave(ch)
	// Attempts are shown for the events that were shown, of which the newest
	// few thousand are remembered.
	shown := newWindow(4096)
	// One may come before its event: by another way, and a slow viewer's two
	// queues are emptied in no order. It waits for it.
	var early early
	if err := emit("open", map[string]string{"tenant": tenant}); err != nil {
		return err
	}
	for {
		if n := sub.Lost() + v.lost.Swap(0); n > 0 {
			if err := emit("lost", map[string]int64{"count": n}); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-l.ended:
			return nil
		case e := <-sub.C():
			shown.add(e.MessageID)
			err = emit("event", liveEvent(&e))
			for _, a := range early.of(e.MessageID) {
				err = errors.Join(err, emit("delivery", a))
			}
		case a := <-ch:
			if err = nil; shown.has(a.MessageID) {
				err = emit("delivery", a)
			} else {
				early.add(a)
			}
		}
		if err != nil {
			return err
		}
	}
}

// earlyKept is how many attempts wait for their event, at least: several times
// what both queues hold. Most are of events that the viewer does not want.
const earlyKept = 4 * attemptsBuffered

// early holds the newest attempts whose event was not shown. The zero value is
// ready.
type early struct{ list []forwarders.Attempt }

func (w *early) add(a forwarders.Attempt) {
	if len(w.list) == 2*earlyKept { // half at once, or each would move all others
		w.list = slices.Delete(w.list, 0, earlyKept)
	}
	w.list = append(w.list, a)
}

// of takes out those of an event, in order.
func (w *early) of(id string) (found []forwarders.Attempt) {
	w.list = slices.DeleteFunc(w.list, func(a forwarders.Attempt) bool {
		if a.MessageID != id {
			return false
		}
		found = append(found, a)
		return true
	})
	return found
}

// matches says whether a name fits a pattern such as "Order *"; an empty one
// fits everything.
func matches(pattern, name string) bool {
	if pattern == "" {
		return true
	}
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

func liveEvent(e *headlessly.Event) map[string]any {
	out := map[string]any{
		"messageId": e.MessageID, "receivedAt": headlessly.Time(e.ReceivedAt), "type": e.Type, "event": e.Event, "logSeq": e.LogSeq,
	}
	for k, v := range map[string]string{
		"userId": e.UserID, "anonymousId": e.AnonymousID, "sessionId": e.SessionID, "url": e.URL, "browser": e.Browser, "country": e.Country,
		"errorMessage": e.ErrorMessage, "properties": e.Properties,
	} {
		if v != "" {
			out[k] = v
		}
	}
	return out
}

// window remembers the newest n ids.
type window struct {
	ids  map[string]bool
	ring []string
	next int
}

func newWindow(n int) *window { return &window{ids: map[string]bool{}, ring: make([]string, n)} }

func (w *window) add(id string) {
	delete(w.ids, w.ring[w.next])
	w.ring[w.next], w.ids[id] = id, true
	w.next = (w.next + 1) % len(w.ring)
}

func (w *window) has(id string) bool { return w.ids[id] }
