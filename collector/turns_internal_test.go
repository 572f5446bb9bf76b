package collector

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// queue lets waits line up behind a turn that is held, in the given order of
// flows, and tells the order in which they are served.
func queue(t *testing.T, patient bool, flows []string, cost map[string]int64) []string {
	t.Helper()
	q, place := newTurns(1, patient), map[string]*flow{}
	var held turn
	q.take(&held, new(flow), 1, 1)
	var mu sync.Mutex
	var served []string
	var wg sync.WaitGroup
	for i, name := range flows {
		if place[name] == nil {
			place[name] = new(flow)
		}
		wg.Go(func() {
			var own turn
			q.take(&own, place[name], 1, cost[name])
			mu.Lock()
			served = append(served, name)
			mu.Unlock()
			q.give(&own)
		})
		for start := time.Now(); q.waits() <= i; time.Sleep(10 * time.Microsecond) {
			if time.Since(start) > time.Minute {
				t.Fatal("a request does not wait")
			}
		}
	}
	q.give(&held)
	wg.Wait()
	return served
}

func TestWhoUsedLeastGoesNext(t *testing.T) {
	for _, c := range []struct {
		name  string
		came  []string
		cost  map[string]int64
		order []string
	}{
		{
			"one that was quiet passes all but the first of one that floods",
			[]string{"flood", "flood", "flood", "flood", "quiet"},
			map[string]int64{"flood": 10, "quiet": 10},
			[]string{"flood", "quiet", "flood", "flood", "flood"},
		},
		{
			"equal ones take turns",
			[]string{"a", "a", "a", "b", "b", "b"},
			map[string]int64{"a": 10, "b": 10},
			[]string{"a", "b", "a", "b", "a", "b"},
		},
		{
			"by what they cost, not by their number",
			[]string{"large", "large", "small", "small", "small", "small"},
			map[string]int64{"large": 30, "small": 10},
			[]string{"large", "small", "small", "small", "large", "small"},
		},
		{
			"one flow keeps its order",
			[]string{"a", "a", "a"},
			map[string]int64{"a": 0},
			[]string{"a", "a", "a"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, patient := range []bool{false, true} {
				if got := queue(t, patient, c.came, c.cost); !slices.Equal(got, c.order) {
					t.Errorf("patient %v: served %v, want %v", patient, got, c.order)
				}
			}
		})
	}
}

// TestTurnsAreNeverMoreThanThereAre mixes many sizes; each is let in at last,
// and all is given back.
func TestTurnsAreNeverMoreThanThereAre(t *testing.T) {
	for _, patient := range []bool{false, true} {
		mixTurns(t, patient)
	}
}

func mixTurns(t *testing.T, patient bool) {
	t.Helper()
	const size = 10
	q := newTurns(size, patient)
	var mu sync.Mutex
	held := int64(0)
	var wg sync.WaitGroup
	for n := range uint64(16) {
		r := rand.New(rand.NewPCG(n, 1)) //nolint:gosec // seeded on purpose
		var f flow
		wg.Go(func() {
			var own turn
			for range 500 {
				units := 1 + r.Int64N(2*size) // more than there are counts as all
				q.take(&own, &f, units, units)
				mu.Lock()
				if held += min(units, size); held > size {
					t.Errorf("%d of %d are held", held, size)
				}
				mu.Unlock()
				q.charge(&own, r.Int64N(5))
				mu.Lock()
				held -= min(units, size)
				mu.Unlock()
				q.give(&own)
				q.give(&own) // does nothing
			}
		})
	}
	wg.Wait()
	if q.free != size || q.waits() != 0 {
		t.Errorf("%d of %d are free at the end, %d wait", q.free, size, q.waits())
	}
}

// TestWhoWaitedTooLongIsRefused: its client may be gone, and the work would be
// for nobody while others wait.
func TestWhoWaitedTooLongIsRefused(t *testing.T) {
	for _, c := range []struct {
		waited time.Duration
		status int
	}{{maxTurnWait, 0}, {maxTurnWait + time.Millisecond, 503}} {
		now := time.Unix(0, 0)
		d := newDoor(&Config{MaxInFlight: 10, MaxBodyMemory: 10, Clock: func() time.Time { now = now.Add(c.waited); return now }})
		var v visit
		status := 0
		if refusal := v.begin(d, netip.Addr{}, 100); refusal != nil {
			status = refusal.status
		}
		if status != c.status {
			t.Errorf("after %s: got %d, want %d", c.waited, status, c.status)
		}
		v.leave()
		if d.work.free != d.work.size {
			t.Errorf("after %s: a turn is lost", c.waited)
		}
	}
}

// TestWhoHadATurnGoesOnBeforeWhatHasNotBegun: it holds memory, and what is left
// to do is little. Who used less than its flow still goes first.
func TestWhoHadATurnGoesOnBeforeWhatHasNotBegun(t *testing.T) {
	for _, patient := range []bool{false, true} {
		q := newTurns(1, patient)
		var flood, quiet flow
		var held turn
		q.take(&held, &flood, 1, 10)
		var mu sync.Mutex
		var served []string
		var wg sync.WaitGroup
		for i, c := range []struct {
			name string
			wait func(t *turn)
		}{
			{"flood begins", func(t *turn) { q.take(t, &flood, 1, 10) }},
			{"flood begins", func(t *turn) { q.take(t, &flood, 1, 10) }},
			{"flood goes on", func(t *turn) { q.again(t, &flood) }},
			{"flood goes on", func(t *turn) { q.again(t, &flood) }},
			{"quiet begins", func(t *turn) { q.take(t, &quiet, 1, 10) }},
		} {
			wg.Go(func() {
				var own turn
				c.wait(&own)
				mu.Lock()
				served = append(served, c.name)
				mu.Unlock()
				q.give(&own)
			})
			for start := time.Now(); q.waits() <= i; time.Sleep(10 * time.Microsecond) {
				if time.Since(start) > time.Minute {
					t.Fatal("a request does not wait")
				}
			}
		}
		q.give(&held)
		wg.Wait()
		want := []string{"quiet begins", "flood goes on", "flood goes on", "flood begins", "flood begins"}
		if !slices.Equal(served, want) {
			t.Errorf("patient %v: served %v, want %v", patient, served, want)
		}
	}
}

// TestWhoIsAloneWaitsForRoomOnly: nobody is there to give way to, so there is no
// usher, and the order is kept.
func TestWhoIsAloneWaitsForRoomOnly(t *testing.T) {
	q := newTurns(2, true)
	q.alone = new(atomic.Bool)
	q.alone.Store(true)
	var only flow
	held := make([]turn, 2)
	for i := range held { // the second is behind the first, and goes at once
		q.take(&held[i], &only, 1, 10)
	}
	served := make(chan int, 3)
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			var own turn
			q.take(&own, &only, 1, 10)
			served <- i
			q.give(&own)
		})
		for start := time.Now(); q.waits() <= i; time.Sleep(10 * time.Microsecond) {
			if time.Since(start) > time.Minute {
				t.Fatal("a request does not wait although all turns are held")
			}
		}
	}
	q.mu.Lock()
	ushering := q.ushering
	q.mu.Unlock()
	if ushering {
		t.Error("an usher was called")
	}
	q.give(&held[0]) // each hands its turn to the next
	wg.Wait()
	for want := range 3 {
		if got := <-served; got != want {
			t.Errorf("served %d in place of %d", got, want)
		}
	}
	q.give(&held[1])
	if q.free != q.size {
		t.Errorf("%d of %d are free at the end", q.free, q.size)
	}
}

// TestWhoWaitsAloneIsNotForgottenWhenOthersCome: what lined up without an usher
// is let in by the one that comes with the second flow.
func TestWhoWaitsAloneIsNotForgottenWhenOthersCome(t *testing.T) {
	q := newTurns(1, true)
	q.alone = new(atomic.Bool)
	q.alone.Store(true)
	var first, second flow
	var held turn
	q.take(&held, &first, 1, 10)
	var wg sync.WaitGroup
	for i, f := range []*flow{&first, &first, &second, &second} {
		if f == &second {
			q.alone.Store(false)
		}
		wg.Go(func() {
			var own turn
			q.take(&own, f, 1, 10)
			q.give(&own)
		})
		for start := time.Now(); q.waits() <= i; time.Sleep(10 * time.Microsecond) {
			if time.Since(start) > time.Minute {
				t.Fatal("a request does not wait")
			}
		}
	}
	q.give(&held)
	wg.Wait()
	if q.free != q.size || q.waits() != 0 {
		t.Errorf("%d of %d are free at the end, %d wait", q.free, q.size, q.waits())
	}
}
