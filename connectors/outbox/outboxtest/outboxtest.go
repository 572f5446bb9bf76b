// Package outboxtest has what tests of the outbox and of its connectors share.
package outboxtest

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/outbox"
)

// Patience is how long a test waits for what must happen; the machine may be
// busy.
const Patience = time.Minute

// Tenant is the tenant of [Link] and [Scope].
const Tenant = "acme"

// Graph opens a graph over a JetStream server inside the test.
func Graph(t testing.TB, dir string) *graph.Store {
	t.Helper()
	g, closeGraph, err := OpenGraph(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeGraph)
	return g
}

// OpenGraph opens one outside a test; the function closes it.
func OpenGraph(dir string) (*graph.Store, func(), error) {
	srv, err := server.NewServer(&server.Options{
		ServerName: "test", DontListen: true, NoSigs: true, NoLog: true, JetStream: true, DisableJetStreamBanner: true,
		StoreDir: filepath.Join(dir, "nats"), SyncAlways: true, MaxPayload: 2 << 20,
	})
	if err != nil {
		return nil, nil, err
	}
	go srv.Start()
	stop := func() { srv.Shutdown(); srv.WaitForShutdown() }
	if !srv.ReadyForConnections(Patience) {
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

// Clock is set by hand. Who waits is woken when its time has come.
type Clock struct {
	mu      sync.Mutex
	now     time.Time
	waiting map[chan time.Time]time.Time
}

// NewClock starts at a fixed moment.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), waiting: map[chan time.Time]time.Time{}}
}

// Now implements headlessly.Clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
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

// Forward moves the clock.
func (c *Clock) Forward(d time.Duration) {
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

// Run runs a box until the test ends or stop is called.
func Run(t testing.TB, b *outbox.Box) (stop func()) {
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

// Box opens a box that runs until the test ends, over g and a clock that is
// set by hand.
func Box(t testing.TB, g *graph.Store, clock *Clock, with func(*outbox.Config)) *outbox.Box {
	t.Helper()
	cfg := outbox.Default(g, t.TempDir())
	cfg.Clock, cfg.After, cfg.Rand = clock.Now, clock.After, func() float64 { return 0 }
	if with != nil {
		with(&cfg)
	}
	b, err := outbox.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	Run(t, b)
	return b
}

// Open opens and runs a box over g in dir, by a clock; stop closes it.
func Open(t testing.TB, g *graph.Store, dir string, now headlessly.Clock, after func(time.Duration) <-chan time.Time) (b *outbox.Box, stop func()) {
	t.Helper()
	cfg := outbox.Default(g, dir)
	cfg.Clock, cfg.After, cfg.Rand = now, after, func() float64 { return 0 }
	b, err := outbox.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	return b, func() {
		cancel()
		for _, err := range []error{<-done, b.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	}
}

// Scope is the tenant's graph as a user of the API has it.
func Scope(t testing.TB, g *graph.Store) *graph.Scope {
	t.Helper()
	sc, err := g.Scope(Tenant, "apikey_test")
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

// Link is an integration as its connector gets it; fail is told of its health.
func Link(t testing.TB, g *graph.Store, clock *Clock, id string, fields map[string]any, secrets map[string]string, fail func(error)) *connectors.Link {
	t.Helper()
	sc, err := g.Scope(Tenant, id)
	if err != nil {
		t.Fatal(err)
	}
	l := &connectors.Link{
		Tenant: Tenant, ID: id, Fields: fields, Config: map[string]any{}, Secrets: map[string]headlessly.Secret{}, Graph: sc, Store: g,
		Client: &http.Client{Timeout: Patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, Clock: clock.Now,
		Sleep:  func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		Logger: slog.New(slog.DiscardHandler), Fail: func(_ context.Context, err error) { fail(err) },
	}
	for name, v := range secrets {
		l.Secrets[name] = headlessly.NewSecret(v)
	}
	return l
}

// Until waits for a condition.
func Until(t testing.TB, what string, f func() bool) {
	t.Helper()
	deadline := headlessly.SystemClock().Add(Patience)
	for !f() {
		if headlessly.SystemClock().After(deadline) {
			t.Fatalf("this did not happen: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
