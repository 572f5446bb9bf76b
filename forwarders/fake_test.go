package forwarders_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
)

// fake is a destination that answers as told and remembers what it took.
type fake struct {
	name   string
	limits forwarders.Limits
	answer func(ctx context.Context, it forwarders.Item) error // nil for delivered

	mu    sync.Mutex
	calls int
	took  map[string]int // deliveries by message id
	last  map[string]headlessly.Event
}

func newFake(name string, answer func(context.Context, forwarders.Item) error) *fake {
	return &fake{
		name: name, answer: answer, took: map[string]int{}, last: map[string]headlessly.Event{},
		limits: forwarders.Limits{Items: 50, Bytes: 1 << 20, InFlight: 4, Timeout: 30 * time.Second, Idempotent: true},
	}
}

func (f *fake) kind() forwarders.Kind {
	return forwarders.Kind{
		Name: f.name, Aliases: []string{f.name}, Consent: []string{"analytics"},
		Connected: func(headlessly.Destinations) bool { return true },
		Takes:     func(e *headlessly.Event) bool { return e.Type != headlessly.TypeSession },
		Rules: func(d headlessly.Destinations) *headlessly.Rules {
			if d.Sentry == nil { // the fake borrows Sentry's settings
				return nil
			}
			return d.Sentry.Rules
		},
		Build: func(headlessly.Destinations, forwarders.Deps) (forwarders.Destination, error) { return f, nil },
	}
}

func (f *fake) Limits() forwarders.Limits { return f.limits }

func (f *fake) Deliver(ctx context.Context, batch []forwarders.Item) []forwarders.Result {
	f.mu.Lock()
	f.calls++
	f.mu.Unlock()
	out := make([]forwarders.Result, len(batch))
	for i, it := range batch {
		if f.answer != nil {
			out[i].Err = f.answer(ctx, it)
		}
		if out[i].Err == nil {
			f.mu.Lock()
			f.took[it.Event.MessageID]++
			f.last[it.Event.MessageID] = *it.Event
			f.mu.Unlock()
		}
	}
	return out
}

func (f *fake) delivered() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.took)
}

func (f *fake) called() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// bench is a router over fakes.
type bench struct {
	t      testing.TB
	log    *forwardertest.Log
	parked *forwardertest.Parked
	source *forwardertest.Source
	cfg    forwarders.Config
	sent   int
}

func newBench(t testing.TB, fakes ...*fake) *bench {
	t.Helper()
	b := &bench{
		t: t, log: forwardertest.NewLog(headlessly.SystemClock), parked: forwardertest.NewParked(), source: forwardertest.NewSource(),
	}
	b.source.Set("acme", headlessly.Destinations{})
	b.cfg = forwarders.Config{Log: b.log, Parked: b.parked, Destinations: b.source, Client: http.DefaultClient}
	for _, f := range fakes {
		b.cfg.Registry = append(b.cfg.Registry, f.kind())
	}
	return b
}

// events appends n events of acme, ten a frame.
func (b *bench) events(n int) {
	b.t.Helper()
	var frame []*headlessly.Event
	for range n {
		frame = append(frame, forwardertest.Event("acme", headlessly.TypeTrack, b.sent, headlessly.SystemClock()))
		b.sent++
		if len(frame) == 10 {
			b.log.Events(frame...)
			frame = nil
		}
	}
	if len(frame) > 0 {
		b.log.Events(frame...)
	}
}

func (b *bench) committed() uint64 {
	seq, _ := b.log.Committed(context.Background(), "router") // never fails
	return seq
}

func key(destination string) forwarders.Key {
	return forwarders.Key{Tenant: "acme", Destination: destination}
}

// conserved checks the law of conservation, and the disk against the counters.
func conserved(t testing.TB, r *forwarders.Router, parked *forwardertest.Parked) {
	t.Helper()
	disk, _ := parked.Count(context.Background()) // never fails
	for k, s := range r.Stats() {
		if in, out := s.Accepted+s.Carried, s.Delivered+s.Skipped+s.Pending+s.Parked+s.Dead+s.Unknown+s.Removed; in != out {
			t.Errorf("%v: accepted %d, accounted for %d: %+v", k, in, out, s)
		}
		alive := disk[headlessly.ParkedKey{Tenant: k.Tenant, Destination: k.Destination}]
		dead := disk[headlessly.ParkedKey{Tenant: k.Tenant, Destination: k.Destination, Dead: true}]
		unknown := disk[headlessly.ParkedKey{Tenant: k.Tenant, Destination: k.Destination, Unknown: true}]
		if s.Pending == 0 && (alive != s.Parked || dead != s.Dead || unknown != s.Unknown) {
			t.Errorf("%v: disk holds %d parked, %d dead and %d unknown, counters say %+v", k, alive, dead, unknown, s)
		}
	}
}
