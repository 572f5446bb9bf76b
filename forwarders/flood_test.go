package forwarders_test

import (
	"context"
	"fmt"
	"iter"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
)

// steadyLog makes its frames when they are read, so that hours of traffic need
// no memory: one frame each tick, with perTick events.
type steadyLog struct {
	begin   time.Time
	tick    time.Duration
	perTick int

	mu        sync.Mutex
	last      uint64
	committed uint64
	news      chan struct{}
}

// next releases one more frame.
func (l *steadyLog) next() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	close(l.news)
	l.news = make(chan struct{})
}

func (l *steadyLog) frame(seq uint64) headlessly.Frame {
	at := l.begin.Add(time.Duration(seq) * l.tick) //nolint:gosec // a small number
	f := headlessly.Frame{Seq: seq, Time: at, Records: make([]headlessly.Record, l.perTick)}
	for i := range f.Records {
		e := headlessly.Event{
			MessageID: fmt.Sprintf("%08x-0000-7000-8000-%012x", seq, i), Tenant: "acme", Type: headlessly.TypePage,
			Timestamp: at.UnixMicro(), ReceivedAt: at.UnixMicro(),
		}
		f.Records[i].Kind = headlessly.RecordEvent
		f.Records[i].Data, _ = e.MarshalBinary() // never fails
	}
	return f
}

func (l *steadyLog) Read(ctx context.Context, from uint64) iter.Seq2[headlessly.Frame, error] {
	return func(yield func(headlessly.Frame, error) bool) {
		for seq := max(1, from); ; {
			l.mu.Lock()
			last, news := l.last, l.news
			l.mu.Unlock()
			if seq <= last {
				if !yield(l.frame(seq), nil) {
					return
				}
				seq++
				continue
			}
			select {
			case <-news:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (l *steadyLog) Last(context.Context) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last, nil
}

func (l *steadyLog) Committed(context.Context, string) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.committed, nil
}

func (l *steadyLog) Commit(_ context.Context, _ string, seq uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.committed = max(l.committed, seq)
	return nil
}

// counter is a destination that only counts.
type counter struct {
	*fake
	down atomic.Bool
	took atomic.Int64
}

func (c *counter) Deliver(_ context.Context, batch []forwarders.Item) []forwarders.Result {
	out := make([]forwarders.Result, len(batch))
	if c.down.Load() {
		for i := range out {
			out[i].Err = errDown
		}
		return out
	}
	c.took.Add(int64(len(batch)))
	return out
}

func (c *counter) kind() forwarders.Kind {
	k := c.fake.kind()
	k.Build = func(headlessly.Destinations, forwarders.Deps) (forwarders.Destination, error) { return c, nil }
	return k
}

// TestDeadAtFiveThousandEventsASecond has one destination dead at 5,000 events
// a second, for so long that what is parked reaches its bound: the healthy one
// is never behind, the cursor moves on, the disk stays within the bound, what
// had to go is counted, and after the recovery all that was kept arrives.
// With HEADLESSLY_SOAK=1 it is dead for a day, or for as long as
// HEADLESSLY_DEAD_FOR says, else for a minute.
func TestDeadAtFiveThousandEventsASecond(t *testing.T) {
	const perSecond, frames = 5000, 5 // a second
	dead, bound := time.Minute, int64(100_000)
	if os.Getenv("HEADLESSLY_SOAK") != "" {
		dead, bound = 24*time.Hour, 5_000_000
	}
	if text := os.Getenv("HEADLESSLY_DEAD_FOR"); text != "" {
		var err error
		if dead, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		log := &steadyLog{begin: headlessly.SystemClock(), tick: time.Second / frames, perTick: perSecond / frames, news: make(chan struct{})}
		bad, good := &counter{fake: newFake("bad", nil)}, &counter{fake: newFake("good", nil)}
		bad.down.Store(true)
		b := newBench(t)
		b.cfg.Log, b.cfg.MaxParked = log, bound
		b.cfg.Registry = forwarders.Registry{bad.kind(), good.kind()}
		r, stop := start(t, b.cfg)
		var sent, most int64
		for range int(dead / log.tick) {
			log.next()
			sent += int64(log.perTick)
			time.Sleep(log.tick)
			if got := good.took.Load(); got != sent {
				t.Fatalf("after %d events the healthy destination has %d", sent, got)
			}
			if s := r.Stats()[key("bad")]; s.Parked > most {
				most = s.Parked
			}
		}
		synctest.Wait()
		if got := log.committed; got != log.last {
			t.Errorf("committed %d of %d frames while one destination is dead", got, log.last)
		}
		s := r.Stats()[key("bad")]
		// The store is held against its bound every ten seconds.
		if most <= bound*9/10 || most > bound+20*perSecond {
			t.Errorf("at most %d events were parked, want the bound of %d and no more than comes until it is looked at again", most, bound)
		}
		if s.Delivered != 0 || s.Removed == 0 || s.Parked+s.Pending+s.Removed != sent {
			t.Errorf("of %d events: %+v", sent, s)
		}
		conserved(t, r, b.parked)
		bad.down.Store(false)
		kept := s.Parked + s.Pending
		for range 200 {
			time.Sleep(time.Minute)
			if synctest.Wait(); r.Stats()[key("bad")].Delivered == kept {
				break
			}
		}
		if s = r.Stats()[key("bad")]; s.Delivered != kept || bad.took.Load() != kept || s.Parked+s.Pending+s.Dead != 0 {
			t.Errorf("after the recovery, of %d kept events: %+v, and the destination took %d", kept, s, bad.took.Load())
		}
		conserved(t, r, b.parked)
		t.Logf("%d events, at most %d parked, %d expired by policy, %d delivered late", sent, most, s.Removed, kept)
		stop()
	})
}
