package housekeeping

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

// TestHousekeepingWaitsForACrowdToGoButNotForEver follows one that is told the
// time and whether it is crowded.
func TestHousekeepingWaitsForACrowdToGoButNotForEver(t *testing.T) {
	var crowded, working atomic.Bool
	var started atomic.Int64
	h := keeper{crowded.Load, func(ctx context.Context) {
		working.Store(true)
		started.Add(1)
		<-ctx.Done()
		working.Store(false)
	}}
	ctx, cancel := context.WithCancel(t.Context())
	tick := make(chan time.Time)
	var now atomic.Int64 // seconds
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.follow(ctx, tick, func() time.Time { return time.Unix(now.Load(), 0) })
	}()
	until := func(what string, want bool) {
		t.Helper()
		for start := time.Now(); working.Load() != want; time.Sleep(time.Millisecond) {
			if time.Since(start) > time.Minute {
				t.Fatalf("%s: working %v, want %v", what, working.Load(), want)
			}
		}
	}
	look := func(passed time.Duration) {
		now.Add(int64(passed.Seconds()))
		for range 2 { // the second is taken when the first has been seen to
			tick <- time.Time{}
		}
	}
	until("at the start", true)
	for _, c := range []struct {
		name    string
		crowded bool
		passed  time.Duration
		works   bool
	}{
		{"a calm second", false, time.Second, true},
		{"a crowd comes", true, time.Second, false},
		{"it stays for most of what may be put off", true, putOffAtMost - time.Minute, false},
		{"it stays longer than that", true, 2 * time.Minute, true},
		{"and longer", true, time.Hour, true},
		{"it goes", false, time.Second, true},
		{"another comes", true, time.Second, false},
		{"and goes at once", false, time.Second, true},
	} {
		crowded.Store(c.crowded)
		look(c.passed)
		until(c.name, c.works)
	}
	if n := started.Load(); n != 3 {
		t.Errorf("begun %d times, want 3", n)
	}
	crowded.Store(true)
	look(time.Second)
	until("at the end", false)
	cancel() // with nothing to stop
	<-ended
	if working.Load() {
		t.Error("it works on behind the end")
	}
}
