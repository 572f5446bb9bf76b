package graph_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors/graph"
)

// TestAHookThatIsCutShortGoesOnWhereItWas has a hook stop after 15 of 40 events
// of eight entities. Were each entity's events done before those of the next,
// the fifth entity's first event would keep the cursor, and all come again.
func TestAHookThatIsCutShortGoesOnWhereItWas(t *testing.T) {
	s := open(t, startNATS(t), quick)
	g := scope(t, s, "acme")
	const entities, updates, taken = 8, 5, 15
	var ids []string
	for i := range entities {
		ids = append(ids, must(t)(g.Create(t.Context(), "Deal", fields{"name": fmt.Sprint(i)})).ID)
	}
	from := s.Position()
	for n := range updates {
		for _, id := range ids {
			must(t)(g.Update(t.Context(), "Deal", id, fields{"value": n + 1}))
		}
	}
	sub := graph.Subscription{Name: "cut", Events: []string{"Deal.Updated"}, From: from}
	var calls atomic.Int64
	var first, second record
	stop, err := s.Subscribe(t.Context(), sub, func(ctx context.Context, h *graph.Happened) error {
		if calls.Add(1) > taken {
			<-ctx.Done()
			return ctx.Err()
		}
		time.Sleep(2 * time.Millisecond) // as one that does something: the others run meanwhile
		first.add(h.Event.ID)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "15 events and no more", func() bool { return len(first.all()) == taken && calls.Load() > taken })
	stop()
	if _, err := s.Subscribe(t.Context(), sub, func(_ context.Context, h *graph.Happened) error {
		second.add(h.Event.ID)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	eventually(t, "all 40 events", func() bool {
		clear(seen)
		for _, id := range append(first.all(), second.all()...) {
			seen[id]++
		}
		return len(seen) == entities*updates
	})
	again := 0
	for _, n := range seen {
		again += n - 1
	}
	if again > 8 {
		t.Errorf("%d events came again, want those at most that were under way", again)
	}
}
