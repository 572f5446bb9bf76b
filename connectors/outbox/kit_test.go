package outbox_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/outbox"
)

// patience is how long a test waits for what must happen; the machine may be
// busy.
const patience = time.Minute

type fields = map[string]any

// openGraph opens a graph over a JetStream server inside the test.
func openGraph(t testing.TB, dir string) *graph.Store {
	t.Helper()
	g, closeGraph, err := newGraph(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeGraph)
	return g
}

func newGraph(dir string) (*graph.Store, func(), error) {
	srv, err := server.NewServer(&server.Options{
		ServerName: "test", DontListen: true, NoSigs: true, NoLog: true, JetStream: true, DisableJetStreamBanner: true,
		StoreDir: filepath.Join(dir, "nats"), SyncAlways: true, MaxPayload: 2 << 20,
	})
	if err != nil {
		return nil, nil, err
	}
	go srv.Start()
	stop := func() { srv.Shutdown(); srv.WaitForShutdown() }
	if !srv.ReadyForConnections(patience) {
		stop()
		return nil, nil, fmt.Errorf("server did not start")
	}
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	if err != nil {
		stop()
		return nil, nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		stop()
		return nil, nil, err
	}
	g, err := graph.Open(context.Background(), graph.DefaultConfig(js, filepath.Join(dir, "graph")))
	if err != nil {
		stop()
		return nil, nil, err
	}
	return g, func() { _ = g.Close(); nc.Close(); stop() }, nil
}

// clock is set by hand. Who waits is woken when its time has come.
type clock struct {
	mu      sync.Mutex
	now     time.Time
	waiting map[chan time.Time]time.Time
}

func newClock() *clock {
	return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), waiting: map[chan time.Time]time.Time{}}
}

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) after(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := make(chan time.Time, 1)
	if d <= 0 {
		ch <- c.now
		return ch
	}
	c.waiting[ch] = c.now.Add(d)
	return ch
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for ch, at := range c.waiting {
		if !at.After(c.now) {
			ch <- c.now
			delete(c.waiting, ch)
		}
	}
}

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
	clock *clock
	to    *receiver
	mu    sync.Mutex
	fault []string // what Health said
}

const endpointID = "integration_test"

func start(t testing.TB, with func(*outbox.Config, *outbox.Endpoint)) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{t: t, graph: openGraph(t, dir), clock: newClock(), to: &receiver{}}
	r.acme = scope(t, r.graph, "acme")
	cfg := outbox.Default(r.graph, dir)
	cfg.Clock, cfg.After, cfg.Rand = r.clock.time, r.clock.after, func() float64 { return 0 }
	e := outbox.Endpoint{Tenant: "acme", ID: endpointID, Events: []string{"Deal.*"}, Sender: r.to, From: r.graph.Position(), Health: r.health}
	if with != nil {
		with(&cfg, &e)
	}
	r.Box = open(t, cfg)
	if err := r.Put(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	run(t, r.Box)
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

func open(t testing.TB, cfg outbox.Config) *outbox.Box {
	t.Helper()
	b, err := outbox.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// run runs a box until the test ends or stop is called.
func run(t testing.TB, b *outbox.Box) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := b.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
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
	waitFor(r.t, what, f)
}

func waitFor(t testing.TB, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("this did not happen: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// counts waits until the endpoint's rows are as wanted: pending, delivered,
// parked.
func (r *rig) counts(pending, delivered, parked int64) {
	r.t.Helper()
	r.t.Helper()
	var got outbox.Counts
	deadline := time.Now().Add(patience)
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
