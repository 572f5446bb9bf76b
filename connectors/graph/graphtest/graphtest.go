// Package graphtest opens graphs for the tests of what stands on them: a
// JetStream server inside the test, synced like the product's, and a store over
// it.
package graphtest

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headlessly/headlessly/connectors/graph"
)

// Server is a JetStream server of one test.
type Server struct{ srv *server.Server }

// Start starts a server that ends with the test.
func Start(t testing.TB) *Server {
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
		t.Fatal("the JetStream server did not start")
	}
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	return &Server{srv: srv}
}

// Open opens a graph over the server that is closed with the test, if not
// before.
func (s *Server) Open(t testing.TB, with func(*graph.Config)) *graph.Store {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(s.srv), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	cfg := graph.DefaultConfig(js, filepath.Join(t.TempDir(), "graph"))
	if with != nil {
		with(&cfg)
	}
	store, err := graph.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// Scope is one tenant's view of the graph by the actor apikey_test.
func Scope(t testing.TB, s *graph.Store, tenant string) *graph.Scope {
	t.Helper()
	sc, err := s.Scope(tenant, "apikey_test")
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

// Eventually waits until ok holds.
func Eventually(t testing.TB, what string, ok func() bool) {
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
