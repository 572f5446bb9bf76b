package forwardertest

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/egress"
)

// Target is a destination under test.
type Target struct {
	Kind forwarders.Kind
	// Connect gives settings that send to a server at base (such as
	// http://127.0.0.1:1234), with credentials that contain Canary.
	Connect func(base string) headlessly.Destinations
	// Type is a type of event that the destination takes.
	Type string
	// OK is what the provider answers to a request it took; default 200 and
	// nothing. It is given the request's body, decompressed.
	OK func(w http.ResponseWriter, r *http.Request, body []byte)
	// Own lists statuses whose meaning is the destination's own and
	// that the suite leaves out.
	Own []int
}

// Canary is part of every credential of a target. It must show up nowhere.
const Canary = "canary7d1f"

// Run runs the conformance suite. Every destination's test calls it.
func Run(t *testing.T, target Target) {
	t.Helper()
	if target.OK == nil {
		target.OK = func(w http.ResponseWriter, _ *http.Request, _ []byte) { w.WriteHeader(http.StatusOK) }
	}
	s := &suite{Target: target}
	t.Run("statuses", s.statuses)
	t.Run("retry-after", s.retryAfter)
	t.Run("faults", s.faults)
	t.Run("no connection", s.noConnection)
	t.Run("certificates", s.certificates)
	t.Run("redirects are not followed", s.redirects)
	t.Run("cancellation", s.cancellation)
	t.Run("addresses that are refused", s.addresses)
	t.Run("one result per item", s.partial)
	t.Run("a repeat is the same", s.repeat)
	t.Run("odd events", s.odd)
	t.Run("a server that echoes credentials", s.echo)
	t.Run("concurrent use", s.concurrent)
}

type suite struct{ Target }

// logs collects what a destination logs.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// build makes the destination; whatever it logs is searched for the canary at
// the test's end.
func (s *suite) build(t testing.TB, base string, client *http.Client) forwarders.Destination {
	t.Helper()
	if client == nil {
		client = egress.New(egress.Config{AllowPrivate: true, Timeout: 20 * time.Second})
	}
	out := &logs{}
	d, err := s.Kind.Build(s.Connect(base), forwarders.Deps{
		Client: client, Clock: headlessly.SystemClock,
		Logger: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		if strings.Contains(out.String(), Canary) {
			t.Errorf("a credential was logged: %s", out)
		}
	})
	return d
}

// item gives the n-th item, with a marker that can be found in a request.
func (s *suite) item(n int) forwarders.Item {
	e := Event("acme", s.Type, n, headlessly.SystemClock().Truncate(time.Millisecond))
	e.Properties = `{"marker":"` + marker(n) + `"}`
	e.AnonymousID = ID(1000 + n) // each of its own visitor
	return forwarders.Item{Event: e}
}

func marker(n int) string { return "m" + ID(n)[:8] + "m" }

// one delivers one item and checks that its result holds no credential.
func one(ctx context.Context, t testing.TB, d forwarders.Destination, it forwarders.Item) forwarders.Result {
	t.Helper()
	results := d.Deliver(ctx, []forwarders.Item{it})
	if len(results) != 1 {
		t.Fatalf("%d results for one item", len(results))
	}
	clean(t, results)
	return results[0]
}

func clean(t testing.TB, results []forwarders.Result) {
	t.Helper()
	for _, r := range results {
		if strings.Contains(r.Note, Canary) || r.Err != nil && strings.Contains(r.Err.Error(), Canary) {
			t.Errorf("a credential is in a result: %q, %v", r.Note, r.Err)
		}
	}
}
