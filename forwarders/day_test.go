package forwarders_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
)

// TestADayDead simulates a day at one event a second with one destination dead
// all day beside a healthy one: nothing is lost, the healthy one is never
// behind, frames are committed all the while, and after the recovery
// everything arrives once.
func TestADayDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		bad := newFake("bad", func(context.Context, forwarders.Item) error {
			if down.Load() {
				return errDown
			}
			return nil
		})
		good := newFake("good", nil)
		b := newBench(t, bad, good)
		r, stop := start(t, b.cfg)
		const batches = 24 * 60
		for n := range batches {
			var frame []*headlessly.Event
			for i := range 60 {
				e := forwardertest.Event("acme", headlessly.TypePage, n*60+i, headlessly.SystemClock())
				e.UserAgent, e.URL, e.Referrer = "", "", "" // small, for a day's worth in memory
				frame = append(frame, e)
			}
			b.log.Events(frame...)
			time.Sleep(time.Minute)
			if got, want := good.delivered(), (n+1)*60; got != want {
				t.Fatalf("after %d minutes the healthy destination has %d of %d events", n+1, got, want)
			}
		}
		synctest.Wait()
		if got := b.committed(); got != batches {
			t.Errorf("committed %d of %d frames while one destination is dead", got, batches)
		}
		s := r.Stats()[key("bad")]
		if s.Delivered != 0 || s.Parked+s.Pending != batches*60 {
			t.Errorf("after a day: %+v", s)
		}
		conserved(t, r, b.parked)
		down.Store(false)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		s = r.Stats()[key("bad")]
		if s.Delivered != batches*60 || s.Parked != 0 || s.Dead != 0 {
			t.Errorf("after the recovery: %+v", s)
		}
		for id, n := range bad.took {
			if n != 1 {
				t.Errorf("event %s was delivered %d times", id, n)
				break
			}
		}
		conserved(t, r, b.parked)
		stop()
	})
}
