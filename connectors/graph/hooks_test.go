package graph_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors/graph"
)

func TestABeforeHookChangesOrVetoesTheDraft(t *testing.T) {
	s, g := acme(t)
	ctx := t.Context()
	var seen []string
	hook := func(typ, name string, f graph.BeforeFunc) func() {
		remove, err := s.Before(typ, name, f)
		if err != nil {
			t.Fatal(err)
		}
		return remove
	}
	remove := hook("*", "creating", func(_ context.Context, d *graph.Draft) error {
		seen = append(seen, fmt.Sprintf("%s %s %s %s %v", d.Tenant, d.Actor, d.Type, d.Verb, d.Current == nil))
		return nil
	})
	hook("Deal", "creating", func(_ context.Context, d *graph.Draft) error {
		d.Fields["stage"] = "Open"
		return nil
	})
	hook("Deal", "winning", func(_ context.Context, d *graph.Draft) error {
		if d.Current.Number("value") == "" {
			return errors.New("a deal without a value cannot be won; set value first")
		}
		return nil
	})
	deal := must(t)(g.Create(ctx, "Deal", fields{"name": "A"}))
	if deal.Text("stage") != "Open" {
		t.Errorf("got %s", show(deal))
	}
	if got := strings.Join(seen, "; "); got != "acme apikey_test Deal create true" {
		t.Errorf("the hook saw %s", got)
	}
	_, err := g.Verb(ctx, "Deal", "win", deal.ID, nil)
	var e *graph.Error
	if !errors.As(err, &e) || e.Code != graph.CodeVetoed || e.ID != deal.ID || !strings.Contains(e.Message, "set value first") {
		t.Errorf("veto: got %v", err)
	}
	if got := must(t)(g.Get(ctx, "Deal", deal.ID, graph.AsOf{})); got.Version != 1 {
		t.Errorf("after a veto: got version %d", got.Version)
	}
	must(t)(g.Update(ctx, "Deal", deal.ID, fields{"value": 1}))
	must(t)(g.Verb(ctx, "Deal", "win", deal.ID, nil))
	remove()
	must(t)(g.Create(ctx, "Deal", fields{"name": "B"}))
	if len(seen) != 1 {
		t.Errorf("a removed hook ran: %v", seen)
	}
	hook("Ticket", "creating", func(_ context.Context, d *graph.Draft) error {
		d.Fields["subject"] = 7
		return nil
	})
	_, err = g.Create(ctx, "Ticket", fields{"subject": "A"})
	wantCode(t, "a hook's own fault", err, graph.CodeValidation)
	if _, err := s.Before("Deal", "won", nil); err == nil {
		t.Error("an after hook was taken as a before hook")
	}
}

func TestAHandlerStandsBetweenHooksAndLog(t *testing.T) {
	s, g := acme(t)
	ctx := t.Context()
	refuse := true
	if err := s.Handle("Integration", "connect", func(_ context.Context, d *graph.Draft) error {
		if refuse {
			return errors.New("the key is refused")
		}
		d.Fields["name"] = "by " + d.Secrets["apiKey"].Reveal()
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	args := fields{"provider": "stripe", "apiKey": "k"}
	_, err := g.Verb(ctx, "Integration", "connect", "", args)
	wantCode(t, "refused", err, graph.CodeProvider)
	if n, err := g.Count(ctx, "Integration", nil, graph.AsOf{}); n != 0 || err != nil {
		t.Errorf("got %d integrations, %v", n, err)
	}
	refuse = false
	if e := must(t)(g.Verb(ctx, "Integration", "connect", "", args)); e.Text("name") != "by k" || e.Text("status") != "Connected" {
		t.Errorf("got %s", show(e))
	}
}

func TestAHookThatChangesItsOwnEntityEndsInAConflict(t *testing.T) {
	s, g := acme(t)
	e := must(t)(g.Create(t.Context(), "Deal", fields{"name": "A"}))
	n := 0
	if _, err := s.Before("Deal", "winning", func(ctx context.Context, d *graph.Draft) error {
		n++
		_, err := d.Graph().Update(ctx, "Deal", d.ID, fields{"value": n})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	_, err := g.Verb(t.Context(), "Deal", "win", e.ID, nil)
	wantCode(t, "win", err, graph.CodeConflict)
}

// record gathers what after hooks saw.
type record struct {
	mu   sync.Mutex
	seen []string
}

func (r *record) add(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, s)
}

func (r *record) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.seen...)
}

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("%s did not come about", what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func quick(c *graph.Config) {
	c.HookPause, c.HookAttempts, c.LeaseFor = time.Millisecond, 3, 400*time.Millisecond
}

func TestAnAfterHookSeesEachEventInOrderAcrossARestart(t *testing.T) {
	n := startNATS(t)
	dir := filepath.Join(t.TempDir(), "graph")
	start := func() *graph.Store {
		s, err := graph.Open(t.Context(), config(t, n, func(c *graph.Config) { quick(c); c.Dir = dir }))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	var r record
	listen := func(s *graph.Store) {
		if _, err := s.Subscribe(t.Context(), graph.Subscription{Name: "r", Events: []string{"Deal.*"}}, func(_ context.Context, h *graph.Happened) error {
			r.add(fmt.Sprintf("%s %s v%d", h.Entity.Text("name"), h.Event.Name, h.Event.Version))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	s := start()
	g := scope(t, s, "acme")
	must(t)(g.Create(t.Context(), "Deal", fields{"name": "before the hook"}))
	listen(s)
	e := must(t)(g.Create(t.Context(), "Deal", fields{"name": "A"}))
	must(t)(g.Create(t.Context(), "Contact", fields{"name": "not wanted"}))
	must(t)(g.Verb(t.Context(), "Deal", "win", e.ID, nil))
	eventually(t, "the first two", func() bool { return len(r.all()) == 2 })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = start()
	must(t)(scope(t, s, "acme").Update(t.Context(), "Deal", e.ID, fields{"value": 1}))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = start()
	defer s.Close()
	listen(s)
	eventually(t, "the third", func() bool { return len(r.all()) >= 3 })
	if got, want := strings.Join(r.all(), ", "), "A Deal.Created v1, A Deal.Won v2, A Deal.Updated v3"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAFailingHookIsTriedAgainThenParked(t *testing.T) {
	s := open(t, startNATS(t), quick)
	g := scope(t, s, "acme")
	var r record
	if _, err := s.After(t.Context(), "deals", "Deal", "created", func(_ context.Context, h *graph.Happened) error {
		r.add(h.Entity.Text("name"))
		switch {
		case h.Entity.Text("name") == "bad":
			panic("cannot")
		case h.Entity.Text("name") == "once" && len(r.all()) == 1:
			return errors.New("not now")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"once", "bad", "good"} {
		must(t)(g.Create(t.Context(), "Deal", fields{"name": name}))
		eventually(t, name, func() bool { return strings.Contains(strings.Join(r.all(), " "), name) })
	}
	eventually(t, "all", func() bool { return len(r.all()) == 6 })
	if got, want := strings.Join(r.all(), " "), "once once bad bad bad good"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	parked, err := s.Parked(t.Context(), "deals")
	if err != nil || len(parked) != 1 || parked[0].Attempts != 3 || !strings.Contains(parked[0].Error, "cannot") {
		t.Errorf("got %+v, %v", parked, err)
	}
}

func TestOneProcessAtATimeRunsAHook(t *testing.T) {
	n := startNATS(t)
	a, b := open(t, n, quick), open(t, n, quick)
	var r record
	var stops []func()
	for i, s := range []*graph.Store{a, b} {
		stop, err := s.Subscribe(t.Context(), graph.Subscription{Name: "one", Events: []string{"*"}}, func(_ context.Context, h *graph.Happened) error {
			r.add(fmt.Sprintf("%d %s", i, h.Entity.Text("name")))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		stops = append(stops, stop)
	}
	g := scope(t, a, "acme")
	for i := range 20 {
		must(t)(g.Create(t.Context(), "Deal", fields{"name": fmt.Sprint("x", i)}))
	}
	eventually(t, "20 events", func() bool { return len(r.all()) >= 20 })
	runner := int(r.all()[0][0] - '0')
	for _, s := range r.all() {
		if int(s[0]-'0') != runner {
			t.Fatalf("both ran: %v", r.all())
		}
	}
	stops[runner]()
	must(t)(g.Create(t.Context(), "Deal", fields{"name": "last"}))
	// Events may come twice around a change of runner, but the last one comes,
	// and to the other.
	eventually(t, "the other takes over", func() bool {
		all := r.all()
		return all[len(all)-1] == fmt.Sprintf("%d last", 1-runner)
	})
}

func TestHooksThatCauseEachOtherAreStopped(t *testing.T) {
	s := open(t, startNATS(t), quick)
	g := scope(t, s, "acme")
	if _, err := s.After(t.Context(), "circle", "Deal", "created", func(ctx context.Context, h *graph.Happened) error {
		_, err := h.Graph().Create(ctx, "Deal", fields{"name": h.Event.ID})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	first := must(t)(g.Create(t.Context(), "Deal", fields{"name": "first"}))
	eventually(t, "the circle's end", func() bool {
		parked, err := s.Parked(t.Context(), "circle")
		return err == nil && len(parked) == 1
	})
	events, err := g.Events(t.Context(), graph.EventQuery{Forward: true})
	if err != nil || len(events) != 9 || events[0].Target != first.ID || events[1].Cause != events[0].ID {
		t.Errorf("got %s, %v", seqs(events), err)
	}
}

func TestFollowMissesNothing(t *testing.T) {
	s, g := acme(t)
	other := scope(t, s, "other")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := make(chan string, 100)
	go func() {
		defer close(got)
		for e, err := range s.Follow(ctx, "acme", 0) {
			if err != nil {
				t.Error(err)
				return
			}
			got <- e.Target
		}
	}()
	for i := range 30 {
		e := must(t)(g.Create(t.Context(), "Deal", fields{"name": fmt.Sprint(i)}))
		must(t)(other.Create(t.Context(), "Deal", fields{"name": "not acme's"}))
		if id := <-got; id != e.ID {
			t.Fatalf("event %d: got %s, want %s", i, id, e.ID)
		}
	}
	cancel()
	if id, more := <-got; more {
		t.Errorf("got %s besides", id)
	}
}
