package outbox_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/outbox"
	"github.com/headlessly/headlessly/connectors/outbox/outboxtest"
)

type fields = map[string]any

// receiver answers what the test says and remembers what came.
type receiver struct {
	mu     sync.Mutex
	answer func(n int, events []*graph.Happened) (outbox.Answer, error)
	got    [][]string // names of entities, by request
	ids    []string
}

func (r *receiver) Send(_ context.Context, events []*graph.Happened) (outbox.Answer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for _, h := range events {
		names, r.ids = append(names, h.Entity.Text("name")), append(r.ids, h.Event.ID)
	}
	r.got = append(r.got, names)
	if r.answer == nil {
		return outbox.Answer{Status: 200}, nil
	}
	return r.answer(len(r.got), events)
}

func (r *receiver) answers(f func(n int, events []*graph.Happened) (outbox.Answer, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// names are what came, in the order of arrival.
func (r *receiver) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Concat(r.got...)
}

func (r *receiver) requests() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}

// rig is an outbox that runs over a graph with one endpoint.
type rig struct {
	*outbox.Box
	t     testing.TB
	graph *graph.Store
	acme  *graph.Scope
	clock *outboxtest.Clock
	to    *receiver
	mu    sync.Mutex
	fault []string // what Health said
}

const endpointID = "integration_test"

func start(t testing.TB, with func(*outbox.Config, *outbox.Endpoint)) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{t: t, graph: outboxtest.Graph(t, dir), clock: outboxtest.NewClock(), to: &receiver{}}
	r.acme = scope(t, r.graph, "acme")
	e := outbox.Endpoint{Tenant: "acme", ID: endpointID, Events: []string{"Deal.*"}, Sender: r.to, From: r.graph.Position(), Health: r.health}
	r.Box = outboxtest.Box(t, r.graph, r.clock, func(c *outbox.Config) {
		if with != nil {
			with(c, &e)
		}
	})
	if err := r.Put(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) health(fault string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = append(r.fault, fault)
}

func (r *rig) faults() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.fault, "|")
}

func scope(t testing.TB, g *graph.Store, tenant string) *graph.Scope {
	t.Helper()
	sc, err := g.Scope(tenant, "apikey_test")
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

// deals makes deals with these names.
func (r *rig) deals(names ...string) {
	r.t.Helper()
	for _, n := range names {
		if _, err := r.acme.Create(r.t.Context(), "Deal", fields{"name": n}); err != nil {
			r.t.Fatal(err)
		}
	}
}

// until waits for a condition.
func (r *rig) until(what string, f func() bool) {
	r.t.Helper()
	outboxtest.Until(r.t, what, f)
}

// counts waits until the endpoint's rows are as wanted: pending, delivered,
// parked.
func (r *rig) counts(pending, delivered, parked int64) {
	r.t.Helper()
	var got outbox.Counts
	deadline := time.Now().Add(outboxtest.Patience)
	for {
		var err error
		if got, err = r.Count(r.t.Context(), "acme", endpointID); err != nil {
			r.t.Fatal(err)
		}
		if got.Pending == pending && got.Delivered == delivered && got.Parked == parked {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("got %d pending, %d delivered, %d parked; want %d, %d, %d", got.Pending, got.Delivered, got.Parked, pending, delivered, parked)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// hang never answers, until block is closed.
func hang(block chan struct{}) outbox.Sender {
	return outbox.SenderFunc(func(context.Context, []*graph.Happened) (outbox.Answer, error) {
		<-block
		return outbox.Answer{}, nil
	})
}
