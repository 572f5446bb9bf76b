package graph_test

import (
	"net"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headlessly/headlessly/connectors/graph"
)

// busyLog connects to a server that refuses every write as one that comes
// behind another, as a cluster does while it is still storing that other.
type busyLog struct {
	srv  *server.Server
	busy atomic.Bool
}

// InProcessConn implements [nats.InProcessConnProvider].
func (b *busyLog) InProcessConn() (net.Conn, error) {
	c, err := b.srv.InProcessConn()
	return &busyConn{c, b}, err
}

type busyConn struct {
	net.Conn
	log *busyLog
}

var expected = regexp.MustCompile(`Nats-Expected-Last-Subject-Sequence: \d+`)

func (c *busyConn) Write(b []byte) (int, error) {
	if !c.log.busy.Load() {
		return c.Conn.Write(b)
	}
	return c.Conn.Write(expected.ReplaceAllFunc(b, func(h []byte) []byte {
		h[len(h)-1] = '0' + (h[len(h)-1]-'0'+1)%10 // another sequence, as long
		return h
	}))
}

func TestAMutationOutlastsALogThatIsStoringAnother(t *testing.T) {
	n := startNATS(t)
	log := &busyLog{srv: n.srv}
	nc, err := nats.Connect("", nats.InProcessServer(log))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	g := scope(t, open(t, n, func(c *graph.Config) { c.JetStream = js }), "acme")
	e := must(t)(g.Create(t.Context(), "Deal", fields{"name": "one"}))
	log.busy.Store(true)
	over := time.AfterFunc(300*time.Millisecond, func() { log.busy.Store(false) })
	defer over.Stop()
	updated, err := g.Do(t.Context(), graph.Op{Type: "Deal", Verb: graph.VerbUpdate, ID: e.ID, IfVersion: e.Version, Args: fields{"name": "two"}})
	if err != nil {
		t.Fatal(err)
	}
	if log.busy.Load() || updated.Entity.Version != 2 || updated.Entity.Text("name") != "two" {
		t.Errorf("got version %d %s while busy is %v", updated.Entity.Version, show(updated.Entity), log.busy.Load())
	}
}
