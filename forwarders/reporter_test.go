package forwarders_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
)

// curious is a destination that wants to know what it does not get.
type curious struct {
	*fake
	mu       sync.Mutex
	dropped  map[string]int // by reason
	reported int
}

func (c *curious) Dropped(_ *headlessly.Event, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped[reason]++
}

func (c *curious) Due() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.dropped) > 0 && c.reported == 0
}

func (c *curious) Report(context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reported++
}

func TestADestinationIsToldWhatItDoesNotGet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &curious{fake: newFake("a", func(context.Context, forwarders.Item) error { return errDown }), dropped: map[string]int{}}
		b := newBench(t)
		k := f.kind()
		k.Build = func(headlessly.Destinations, forwarders.Deps) (forwarders.Destination, error) { return f, nil }
		b.cfg.Registry = forwarders.Registry{k}
		b.cfg.Budget = time.Hour
		b.source.Set("acme", headlessly.Destinations{Sentry: &headlessly.SentryDestination{Rules: &headlessly.Rules{When: "properties.total > 100"}}})
		b.events(40)
		_, stop := start(t, b.cfg)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		f.mu.Lock()
		ruled, reported := f.dropped[forwarders.SkipRule], f.reported
		f.mu.Unlock()
		if ruled == 0 || reported != 1 {
			t.Errorf("told of %d events that a rule dropped, reported %d times", ruled, reported)
		}
		b.source.Set("acme", headlessly.Destinations{Sentry: &headlessly.SentryDestination{}})
		b.events(20)
		time.Sleep(5 * time.Hour) // the budget is used up
		synctest.Wait()
		f.mu.Lock()
		if f.dropped[forwarders.DropBudget] != 20 {
			t.Errorf("told %v, want 20 events whose budget is used up", f.dropped)
		}
		before := f.reported
		f.mu.Unlock()
		b.events(1) // so that there is a lane
		time.Sleep(time.Second)
		stop()
		if f.reported != before+1 {
			t.Errorf("at the end reported %d times, want once more than %d", f.reported, before)
		}
	})
}
