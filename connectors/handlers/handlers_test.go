package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/graph/graphtest"
	"github.com/headlessly/headlessly/connectors/handlers"
	"github.com/headlessly/headlessly/connectors/sandbox"
	"github.com/headlessly/headlessly/connectors/sandbox/worker"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.WorkerArgument { // this binary is the worker, too
		if err := worker.Main(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

type fields = map[string]any

type setting struct {
	t       testing.TB
	store   *graph.Store
	h       *handlers.Handlers
	g       *graph.Scope
	restart func()
}

// start runs handlers over a graph of tenants acme and other.
func start(t testing.TB) *setting {
	t.Helper()
	store := graphtest.Start(t).Open(t, func(c *graph.Config) {
		c.HookPause, c.HookAttempts, c.LeaseFor, c.HookDeadline = time.Millisecond, 2, time.Second, 10*time.Second // a handler is a process of its own
	})
	box := sandbox.New(sandbox.Default())
	t.Cleanup(box.Close)
	h, err := handlers.New(handlers.Config{Store: store, Sandbox: box, Tenants: func() []string { return []string{"acme", "other"} }})
	if err != nil {
		t.Fatal(err)
	}
	s := &setting{t: t, store: store, h: h, g: graphtest.Scope(t, store, "acme")}
	var stop func()
	run := func() {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); _ = h.Run(ctx) }()
		stop = func() { cancel(); <-done }
	}
	run()
	s.restart = func() { stop(); run() }
	t.Cleanup(func() { stop() })
	return s
}

func (s *setting) handler(f fields) *graph.Entity {
	s.t.Helper()
	e, err := s.g.Create(s.t.Context(), "Handler", f)
	if err != nil {
		s.t.Fatal(err)
	}
	return e
}

func wantCode(t testing.TB, what string, err error, code graph.Code, part string) {
	t.Helper()
	if graph.CodeOf(err) != code || err != nil && !strings.Contains(err.Error(), part) {
		t.Errorf("%s: got %v, want %s with %q", what, err, code, part)
	}
}

func TestABeforeHandlerChangesAndVetoes(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	e := s.handler(fields{"name": "names", "hook": "Deal.creating", "source": `(deal: any) => { deal.name = deal.name.toUpperCase(); delete deal.contact; return { value: 7 } }`})
	if e.Text("phase") != "before" || e.Text("status") != "Active" {
		t.Errorf("got %s", e.Doc())
	}
	s.handler(fields{"name": "gate", "hook": "Deal.winning", "source": `export default async function (deal: { value: number }, $: any) {
		const n = await $.Contact.count({ stage: 'Customer' })
		if (n === 0) throw new Error('there is no customer yet')
	}`})
	deal, err := s.g.Create(ctx, "Deal", fields{"name": "big", "contact": "contact_x"})
	if err != nil || deal.Text("name") != "BIG" || deal.Number("value") != "7" || deal.Text("contact") != "" {
		t.Fatalf("got %v, %v", deal, err)
	}
	_, err = s.g.Verb(ctx, "Deal", "win", deal.ID, nil)
	wantCode(t, "win", err, graph.CodeVetoed, "there is no customer yet")
	if _, err := s.g.Create(ctx, "Contact", fields{"name": "A", "stage": "Customer"}); err != nil {
		t.Fatal(err)
	}
	if _, err = s.g.Verb(ctx, "Deal", "win", deal.ID, nil); err != nil {
		t.Error(err)
	}
	other := graphtest.Scope(t, s.store, "other")
	if d, err := other.Create(ctx, "Deal", fields{"name": "big"}); err != nil || d.Text("name") != "big" {
		t.Errorf("another tenant's: got %v, %v", d, err)
	}
	// A new version, an older one again, and none.
	if _, err := s.g.Update(ctx, "Handler", e.ID, fields{"source": `deal => { deal.name = 'second' }`}); err != nil {
		t.Fatal(err)
	}
	name := func() string {
		t.Helper()
		d, err := s.g.Create(ctx, "Deal", fields{"name": "x"})
		if err != nil {
			t.Fatal(err)
		}
		return d.Text("name")
	}
	if got := name(); got != "second" {
		t.Errorf("got %s", got)
	}
	if _, err := s.g.Rollback(ctx, "Handler", e.ID, 1); err != nil {
		t.Fatal(err)
	}
	if got := name(); got != "X" {
		t.Errorf("after a rollback: got %s", got)
	}
	if _, err := s.g.Verb(ctx, "Handler", "disable", e.ID, nil); err != nil {
		t.Fatal(err)
	}
	if got := name(); got != "x" {
		t.Errorf("disabled: got %s", got)
	}
	r, err := s.h.Runs(ctx, s.g, e.ID)
	if err != nil || r.Runs != 3 || r.Failures != 0 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestABeforeHandlerThatFailsOtherwiseIsSkippedOrVetoes(t *testing.T) {
	s := start(t)
	e := s.handler(fields{"name": "loop", "hook": "*.creating", "deadlineMs": 300, "source": `() => { for (;;) {} }`})
	if _, err := s.g.Create(t.Context(), "Deal", fields{"name": "A"}); err != nil {
		t.Errorf("skip: %v", err)
	}
	if _, err := s.g.Update(t.Context(), "Handler", e.ID, fields{"missing": "veto"}); err != nil {
		t.Fatal(err)
	}
	_, err := s.g.Create(t.Context(), "Deal", fields{"name": "A"})
	wantCode(t, "veto", err, graph.CodeVetoed, "must be asked")
	if err := s.g.Delete(t.Context(), "Handler", e.ID); err != nil {
		t.Errorf("a handler of every type locks itself in: %v", err)
	}
	if _, err := s.g.Create(t.Context(), "Deal", fields{"name": "A"}); err != nil {
		t.Errorf("deleted: %v", err)
	}
}

func TestAnAfterHandlerGetsEachEventAndActsByItsOwnName(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	if _, err := s.g.Create(ctx, "Subscription", fields{"status": "Cancelled"}); err != nil {
		t.Fatal(err)
	}
	contact, err := s.g.Create(ctx, "Contact", fields{"name": "A", "stage": "Customer"})
	if err != nil {
		t.Fatal(err)
	}
	sub, err := s.g.Create(ctx, "Subscription", fields{"status": "Active", "contact": contact.ID})
	if err != nil {
		t.Fatal(err)
	}
	h := s.handler(fields{"name": "churn", "hook": "Subscription.canceled", "source": `(sub, $) => {
		$.Contact.update(sub.contact, { stage: 'Churned' })
		$.Event.create({ type: 'churned', subscription: sub.$id })
	}`})
	if _, err := s.g.Verb(ctx, "Subscription", "cancel", sub.ID, nil); err != nil { // before the gateway runs it
		t.Fatal(err)
	}
	graphtest.Eventually(t, "the contact's stage", func() bool {
		c, err := s.g.Get(ctx, "Contact", contact.ID, graph.AsOf{})
		return err == nil && c.Text("stage") == "Churned"
	})
	events, err := s.g.Events(ctx, graph.EventQuery{Entity: contact.ID, Limit: 1})
	if err != nil || len(events) != 1 || events[0].Actor != h.ID || events[0].Cause == "" {
		t.Errorf("got %+v, %v", events, err)
	}
	s.restart()
	if _, err := s.g.Verb(ctx, "Subscription", "reactivate", sub.ID, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.g.Verb(ctx, "Subscription", "cancel", sub.ID, nil); err != nil {
		t.Fatal(err)
	}
	graphtest.Eventually(t, "the second event", func() bool {
		n, err := s.g.Count(ctx, "Event", fields{"type": "churned"}, graph.AsOf{})
		return err == nil && n >= 2
	})
	if n, err := s.g.Count(ctx, "Event", fields{"type": "churned"}, graph.AsOf{}); n != 2 || err != nil {
		t.Errorf("got %d events, %v", n, err)
	}
}

func TestAnAfterHandlerThatFailsParksItsEventAndHarmsNoOther(t *testing.T) {
	s := start(t)
	bad := s.handler(fields{"name": "bad", "hook": "Deal.created", "source": `() => { throw new Error('never') }`})
	s.handler(fields{"name": "good", "hook": "Deal.created", "source": `(deal, $) => $.Contact.create({ name: deal.name })`})
	if _, err := s.g.Create(t.Context(), "Deal", fields{"name": "A"}); err != nil {
		t.Fatal(err)
	}
	graphtest.Eventually(t, "the good handler's contact", func() bool {
		n, err := s.g.Count(t.Context(), "Contact", nil, graph.AsOf{})
		return err == nil && n == 1
	})
	graphtest.Eventually(t, "the bad one's parked event", func() bool {
		r, err := s.h.Runs(t.Context(), s.g, bad.ID)
		return err == nil && len(r.Parked) == 1 && r.Failures == 2 && r.Last == "never"
	})
}

func TestHandlersThatCannotBeReadAreNeitherPassedOverNorForgotten(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	s.handler(fields{"name": "guard", "hook": "Deal.creating", "source": `() => { throw new Error('never') }`})
	s.handler(fields{"name": "copy", "hook": "Contact.created", "source": `(c, $) => $.Event.create({ name: c.name, type: 'seen' })`})
	seen := func(name string) func() bool {
		return func() bool {
			n, err := s.g.Count(ctx, "Event", fields{"name": name, "type": "seen"}, graph.AsOf{})
			return err == nil && n == 1
		}
	}
	if _, err := s.g.Create(ctx, "Contact", fields{"name": "A"}); err != nil {
		t.Fatal(err)
	}
	graphtest.Eventually(t, "the first event", seen("A"))
	times := s.h.FailReading(errors.New("the disk is slow"))
	_, err := s.g.Create(ctx, "Deal", fields{"name": "A"})
	wantCode(t, "a mutation that a handler could veto", err, graph.CodeUnavailable, "try again")
	// Another handler's change has the list read again: those that run must stay.
	if _, err := s.g.Create(ctx, "Handler", fields{"name": "late", "hook": "Deal.won", "source": "() => 1"}); err != nil {
		t.Fatal(err)
	}
	before := times()
	graphtest.Eventually(t, "it is read in vain for both tenants", func() bool { return times() >= before+4 })
	s.h.FailReading(nil)
	if _, err := s.g.Create(ctx, "Contact", fields{"name": "B"}); err != nil {
		t.Fatal(err)
	}
	graphtest.Eventually(t, "the event behind it", seen("B"))
	if n, err := s.g.Count(ctx, "Event", fields{"type": "seen"}, graph.AsOf{}); n != 2 || err != nil {
		t.Errorf("got %d events, %v; want 2: the handler began anew", n, err)
	}
}

func TestAHandlerThatCannotRunIsRefused(t *testing.T) {
	s := start(t)
	for _, c := range []struct {
		name, field, part string
		f                 fields
	}{
		{"no hook", "hook", "want a type and a hook", fields{"hook": "x", "source": "() => 1"}},
		{"unknown hook", "hook", "has no hook", fields{"hook": "Deal.flying", "source": "() => 1"}},
		{"syntax", "source", "line 2", fields{"hook": "Deal.won", "source": "(deal) => {\nconst = 1 }"}},
		{"no function", "source", "a handler is a function", fields{"hook": "Deal.won", "source": "42"}},
		{"an import", "source", "only @headlessly", fields{"hook": "Deal.won", "source": "import fs from 'fs'\nexport default () => fs.x"}},
		{"its own type", "hook", "no hooks of their own", fields{"hook": "Handler.creating", "source": "() => 1"}},
		{"deadline", "deadlineMs", "50 to 10000", fields{"hook": "Deal.won", "source": "() => 1", "deadlineMs": 99999}},
	} {
		c.f["name"] = c.name
		_, err := s.g.Create(t.Context(), "Handler", c.f)
		if code := graph.CodeOf(err); code != graph.CodeValidation && code != graph.CodeNotFound || !strings.Contains(err.Error(), c.part) || !strings.Contains(fmt.Sprintf("%+v", err), c.field) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}
