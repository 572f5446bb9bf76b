package connectortest

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/lifecycle"
	"github.com/headlessly/headlessly/connectors/store"
)

// Tenant is the bench's tenant.
const Tenant = "acme"

// Clock is a clock that tests set.
type Clock struct {
	mu      sync.Mutex
	now     time.Time
	waiting map[chan time.Time]time.Time
}

// NewClock starts at a fixed moment.
func NewClock() *Clock {
	return &Clock{now: time.Date(2025, 9, 15, 14, 0, 0, 0, time.UTC), waiting: map[chan time.Time]time.Time{}}
}

// Now implements headlessly.Clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
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

// After is time.After by this clock.
func (c *Clock) After(d time.Duration) <-chan time.Time {
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

// Sleep lets a sleeper wait a moment of real time, and moves nothing: whoever
// waits for the clock asks it again.
func (c *Clock) Sleep(ctx context.Context, _ time.Duration) error {
	t := time.NewTimer(2 * time.Millisecond)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Bench is a graph, a store and the lifecycle over them, as in a gateway.
type Bench struct {
	Graph       *graph.Store
	Store       *store.Store
	Connections *lifecycle.Connections
	// Scope is the tenant's graph as a user of the API has it.
	Scope *graph.Scope
	Clock *Clock
	Dir   string
	Logs  io.Writer

	js      jetstream.JetStream
	cfg     lifecycle.Config
	build   func(t testing.TB, b *Bench) (connectors.Registry, func())
	stopRun func()
	stop    func() // what build started
}

// Options say what is special about a bench.
type Options struct {
	Registry connectors.Registry
	// Build, in place of Registry, makes connectors that work on parts of their
	// own over the bench's graph; stop ends those.
	Build     func(t testing.TB, b *Bench) (r connectors.Registry, stop func())
	PublicURL string
	Client    *http.Client
	Logs      io.Writer
	Config    func(*lifecycle.Config)
	Clock     *Clock // one of its own unless set
}

// Start opens a bench and runs its lifecycle until the test ends.
func Start(t testing.TB, o Options) *Bench {
	t.Helper()
	b := &Bench{Clock: NewClock(), Dir: t.TempDir(), Logs: o.Logs}
	if b.Logs == nil {
		b.Logs = io.Discard
	}
	if o.Clock != nil {
		b.Clock = o.Clock
	}
	b.js, b.build = jetStream(t), o.Build
	b.cfg = lifecycle.Default()
	b.cfg.Registry, b.cfg.PublicURL, b.cfg.Client = o.Registry, o.PublicURL, o.Client
	if b.cfg.Client == nil {
		b.cfg.Client = &http.Client{Timeout: 30 * time.Second}
	}
	if b.cfg.PublicURL == "" {
		b.cfg.PublicURL = "https://hooks.example.com"
	}
	b.cfg.Clock, b.cfg.Sleep, b.cfg.Logger = b.Clock.Now, b.Clock.Sleep, slog.New(slog.NewTextHandler(b.Logs, nil))
	b.cfg.Scan = time.Millisecond
	if o.Config != nil {
		o.Config(&b.cfg)
	}
	b.Open(t)
	t.Cleanup(func() { b.Close(t) })
	return b
}

// Open opens the parts over what the bench's folder and log hold.
func (b *Bench) Open(t testing.TB) {
	t.Helper()
	ctx := context.Background()
	var err error
	if b.Store, err = store.Open(ctx, store.Config{Dir: b.Dir, Clock: b.Clock.Now, Logger: b.cfg.Logger}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Store.AddTenant(ctx, Tenant); err != nil {
		t.Fatal(err)
	}
	g := graph.DefaultConfig(b.js, filepath.Join(b.Dir, "graph"))
	g.Clock, g.Logger = b.Clock.Now, b.cfg.Logger
	if b.Graph, err = graph.Open(ctx, g); err != nil {
		t.Fatal(err)
	}
	if b.Scope, err = b.Graph.Scope(Tenant, "apikey_test"); err != nil {
		t.Fatal(err)
	}
	b.cfg.Graph, b.cfg.Store, b.stop = b.Graph, b.Store, func() {}
	if b.build != nil {
		b.cfg.Registry, b.stop = b.build(t, b)
	}
	if b.Connections, err = lifecycle.Open(ctx, b.cfg); err != nil {
		t.Fatal(err)
	}
	run, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	c := b.Connections
	go func() {
		defer close(done)
		if err := c.Run(run); err != nil {
			t.Error(err)
		}
	}()
	b.stopRun = func() { cancel(); <-done }
}

// Close stops everything as a process that ends does. Open starts it again.
func (b *Bench) Close(t testing.TB) {
	t.Helper()
	if b.stopRun == nil {
		return
	}
	b.stopRun()
	b.stopRun = nil
	closed := b.Connections.Close()
	b.stop()
	for _, err := range []error{closed, b.Graph.Close(), b.Store.Close()} {
		if err != nil {
			t.Error(err)
		}
	}
}

// jetStream is a server inside the test, synced like the product's.
func jetStream(t testing.TB) jetstream.JetStream {
	t.Helper()
	srv, err := server.NewServer(&server.Options{
		ServerName: "test", DontListen: true, NoSigs: true, NoLog: true, JetStream: true, DisableJetStreamBanner: true,
		StoreDir: t.TempDir(), SyncAlways: true, MaxPayload: 2 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	go srv.Start()
	if !srv.ReadyForConnections(time.Minute) {
		t.Fatal("server did not start")
	}
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	nc, err := nats.Connect("", nats.InProcessServer(srv), nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// WaitFor waits until f says true; the deadline is generous, for machines are
// busy, and more so where a test has a hundred thousand objects.
func WaitFor(t testing.TB, what string, f func() bool) {
	t.Helper()
	times := 6000
	if os.Getenv("HEADLESSLY_SOAK") != "" {
		times *= 30
	}
	for range times {
		if f() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("waited in vain: %s", what)
}

// Integration reads an integration.
func (b *Bench) Integration(t testing.TB, id string) *graph.Entity {
	t.Helper()
	e, err := b.Scope.Get(context.Background(), "Integration", id, graph.AsOf{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// WaitStatus waits until an integration has a status.
func (b *Bench) WaitStatus(t testing.TB, id, status string) *graph.Entity {
	t.Helper()
	var e *graph.Entity
	WaitFor(t, id+" becomes "+status, func() bool {
		e = b.Integration(t, id)
		return e.Text("status") == status
	})
	return e
}

// Locked makes a writer safe for several goroutines.
func Locked(w io.Writer) io.Writer { return &locked{w: w} }

type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
