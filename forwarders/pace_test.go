package forwarders_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
)

func TestConcurrencyAdaptsToTheDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most, fail atomic.Int64
		f := newFake("a", func(context.Context, forwarders.Item) error {
			n := now.Add(1)
			defer now.Add(-1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			time.Sleep(100 * time.Millisecond)
			if fail.Load() > 0 {
				return &headlessly.Temporary{Err: context.DeadlineExceeded}
			}
			return nil
		})
		f.limits.Items, f.limits.InFlight = 1, 16
		b := newBench(t, f)
		b.cfg.BreakAfter = 1_000_000 // the pace alone
		r, stop := start(t, b.cfg)
		b.events(20)
		time.Sleep(50 * time.Millisecond)
		if got := most.Load(); got > 2 {
			t.Errorf("a new lane begins with %d calls at once, want 2 at most", got)
		}
		b.events(400)
		time.Sleep(10 * time.Second)
		if got := most.Load(); got != 16 {
			t.Errorf("a destination that keeps up gets %d calls at once, want all 16", got)
		}
		fail.Store(1)
		b.events(60)
		time.Sleep(3 * time.Second)
		most.Store(0)
		time.Sleep(5 * time.Second)
		if got := most.Load(); got > 2 {
			t.Errorf("one that fails gets %d calls at once, want few", got)
		}
		fail.Store(0)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if s := r.Stats()[key("a")]; s.Delivered != 480 {
			t.Errorf("in the end: %+v", s)
		}
		stop()
	})
}
