package graph_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsServer is a JetStream server inside the test, synced like the product's.
type natsServer struct {
	dir string
	srv *server.Server
}

func startNATS(t testing.TB) *natsServer {
	t.Helper()
	n := &natsServer{dir: t.TempDir()}
	n.start(t)
	t.Cleanup(n.stop)
	return n
}

func (n *natsServer) start(t testing.TB) {
	t.Helper()
	srv, err := server.NewServer(&server.Options{
		ServerName: "test", DontListen: true, NoSigs: true, NoLog: true, JetStream: true, DisableJetStreamBanner: true,
		StoreDir: n.dir, SyncAlways: true, MaxPayload: 2 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	go srv.Start()
	if !srv.ReadyForConnections(time.Minute) {
		t.Fatal("server did not start")
	}
	n.srv = srv
}

func (n *natsServer) stop() {
	n.srv.Shutdown()
	n.srv.WaitForShutdown()
}

func (n *natsServer) connect(t testing.TB) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(n.srv), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
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

// ticker is a clock that moves by a second with each look.
type ticker struct {
	mu  sync.Mutex
	now time.Time
}

func newTicker() *ticker { return &ticker{now: time.Date(2025, 9, 15, 14, 0, 0, 0, time.UTC)} }

func (c *ticker) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Second)
	return c.now
}

// open opens a graph over n, in a folder of its own unless with names one.
func open(t testing.TB, n *natsServer, with func(*graph.Config)) *graph.Store {
	t.Helper()
	s, err := graph.Open(t.Context(), config(t, n, with))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func config(t testing.TB, n *natsServer, with func(*graph.Config)) graph.Config {
	t.Helper()
	cfg := graph.DefaultConfig(n.connect(t), filepath.Join(t.TempDir(), "graph"))
	cfg.Clock = newTicker().time
	if with != nil {
		with(&cfg)
	}
	return cfg
}

func scope(t testing.TB, s *graph.Store, tenant string) *graph.Scope {
	t.Helper()
	sc, err := s.Scope(tenant, "apikey_test")
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

// acme is a new graph and a scope of its tenant acme.
func acme(t testing.TB) (*graph.Store, *graph.Scope) {
	t.Helper()
	s := open(t, startNATS(t), nil)
	return s, scope(t, s, "acme")
}

type fields = map[string]any

// must fails the test on an error and gives the entity.
func must(t testing.TB) func(*graph.Entity, error) *graph.Entity {
	t.Helper()
	return func(e *graph.Entity, err error) *graph.Entity {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
}

// show writes an entity's fields with sorted keys.
func show(e *graph.Entity) string { return string(e.Doc()) }

type ctx = context.Context

// background outlives the test's own context, for goroutines of the test.
func background() context.Context { return context.Background() }

func wantCode(t testing.TB, what string, err error, code graph.Code) {
	t.Helper()
	if got := graph.CodeOf(err); got != code {
		t.Errorf("%s: got %v, want %s", what, err, code)
	}
}

func seqs(events []*graph.Event) string {
	s := ""
	for _, e := range events {
		s += fmt.Sprintf("%s@%d ", e.Name, e.Version)
	}
	return s
}
