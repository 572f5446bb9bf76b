package alerts_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/alerts"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/graph/graphtest"
)

func TestAnAlertFiresAndClearsOnce(t *testing.T) {
	g := graphtest.Start(t).Open(t, nil)
	scope, err := g.Scope("acme", "apikey_test")
	if err != nil {
		t.Fatal(err)
	}
	create := func(typ string, fields map[string]any) *graph.Entity {
		t.Helper()
		e, err := scope.Create(t.Context(), typ, fields)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	parked := 0.0
	watch := alerts.New(g, headlessly.SystemClock, slog.New(slog.DiscardHandler), func(context.Context, string) (map[string]float64, error) {
		return map[string]float64{"delivery.parked": parked}, nil
	})
	create("Alert", map[string]any{"name": "a parked", "metric": "delivery.parked", "threshold": 10})
	create("Alert", map[string]any{"name": "b users", "metric": "users", "threshold": 100, "direction": "Below"})
	create("Alert", map[string]any{"name": "c nobody's", "metric": "nothing", "threshold": 1})
	users := create("Metric", map[string]any{"name": "users", "value": 99})
	for _, step := range []struct {
		name   string
		parked float64
		users  int
		want   string
		events int
	}{
		{"nothing parked, too few users", 0, 99, "Ok Firing Unknown", 1},
		{"at the threshold is not beyond it", 10, 100, "Ok Ok Unknown", 2},
		{"parked", 11, 100, "Firing Ok Unknown", 3},
		{"still parked", 12, 100, "Firing Ok Unknown", 3},
		{"delivered", 0, 100, "Ok Ok Unknown", 4},
	} {
		parked = step.parked
		if _, err := scope.Update(t.Context(), "Metric", users.ID, map[string]any{"value": step.users}); err != nil {
			t.Fatal(err)
		}
		var list []alerts.Alert
		var wg sync.WaitGroup
		for range 3 { // several gateways look at the same time
			wg.Go(func() {
				if _, err := watch.Check(t.Context(), "acme"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if list, err = watch.Check(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		got := ""
		for i, a := range list {
			if i > 0 {
				got += " "
			}
			got += a.Status
		}
		events, err := scope.Events(t.Context(), graph.EventQuery{Type: "Alert.Triggered,Alert.Cleared", Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		if got != step.want || len(events) != step.events {
			t.Errorf("%s: got %q and %d events, want %q and %d", step.name, got, len(events), step.want, step.events)
		}
	}
}
