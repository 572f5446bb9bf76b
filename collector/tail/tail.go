package tail

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/headlessly/headlessly"
)

const (
	// maxViewers bounds subscriptions of all tenants together.
	maxViewers = 64
	// buffered is how many events wait for one viewer, at about 1 KB each.
	buffered = 256
)

// ErrTooMany means that enough are watching already.
var ErrTooMany = errors.New("too many viewers; close another live tail first")

// Tap passes events on to viewers. The zero Tap is ready; safe for concurrent
// use.
type Tap struct {
	viewers atomic.Int32

	mu   sync.RWMutex
	subs map[*Subscription]struct{}
}

// Filter chooses events. It is called on the collector's path, so it must be
// quick and must not keep or change the event.
type Filter func(*headlessly.Event) bool

// Subscription is one viewer's. Close it.
type Subscription struct {
	tap    *Tap
	tenant string
	filter Filter
	ch     chan headlessly.Event
	lost   atomic.Int64
	closed sync.Once
}

// Subscribe begins to watch one tenant's events, "" for every tenant's. filter
// may be nil. Which tenant a viewer may watch is for the caller to decide.
func (t *Tap) Subscribe(tenant string, filter Filter) (*Subscription, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.subs) >= maxViewers {
		return nil, ErrTooMany
	}
	if t.subs == nil {
		t.subs = make(map[*Subscription]struct{})
	}
	s := &Subscription{tap: t, tenant: tenant, filter: filter, ch: make(chan headlessly.Event, buffered)}
	t.subs[s] = struct{}{}
	t.viewers.Store(int32(len(t.subs)))
	return s, nil
}

// C gives the events, each with its LogSeq set, until Close.
func (s *Subscription) C() <-chan headlessly.Event { return s.ch }

// Lost gives how many events were passed over because C was full, since the
// last call.
func (s *Subscription) Lost() int64 { return s.lost.Swap(0) }

// Close ends the subscription and closes C.
func (s *Subscription) Close() {
	s.closed.Do(func() {
		s.tap.mu.Lock()
		defer s.tap.mu.Unlock()
		delete(s.tap.subs, s)
		s.tap.viewers.Store(int32(len(s.tap.subs)))
		close(s.ch)
	})
}

// Watched says whether anybody looks.
func (t *Tap) Watched() bool { return t != nil && t.viewers.Load() > 0 }

// Publish shows records that became durable to whom they interest. first is
// the place of the first one in the log. The records' data is not kept. A nil
// Tap shows nothing.
func (t *Tap) Publish(first int64, records []headlessly.Record) {
	if !t.Watched() {
		return
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	for i := range records {
		if records[i].Kind == headlessly.RecordEvent {
			t.publish(first+int64(i), records[i].Data)
		}
	}
}

func (t *Tap) publish(place int64, data []byte) {
	tenant, _, err := headlessly.EventID(data)
	if err != nil {
		return
	}
	var e *headlessly.Event // decoded for the first who wants it
	for s := range t.subs {
		if s.tenant != "" && s.tenant != tenant {
			continue
		}
		if e == nil {
			e = new(headlessly.Event)
			if e.UnmarshalBinary(data) != nil {
				return
			}
			e.LogSeq = place
		}
		if s.filter != nil && !s.filter(e) {
			continue
		}
		select {
		case s.ch <- *e:
		default:
			s.lost.Add(1)
		}
	}
}
