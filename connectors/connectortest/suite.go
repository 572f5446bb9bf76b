package connectortest

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
)

// Subject is a connector under test with a stand-in of its provider behind it.
// What the connector does not implement is left nil, and its cases are skipped.
type Subject struct {
	Registry connectors.Registry
	Provider string
	// Args connect it; Rotated with a credential that was issued anew, Wrong
	// with one that the provider refuses.
	Args, Rotated, Wrong map[string]any
	// Secrets are the values that must show nowhere.
	Secrets []string

	// Seed fills the account with at least n objects and gives how many
	// entities of the type there are then.
	Seed func(n int) (typ string, count int64)
	// Down makes the provider unreachable, or reachable again.
	Down func(bool)
	// Limit makes the provider answer "too many requests" now and then.
	Limit func(bool)
	// Revoke makes the credential of Args invalid.
	Revoke func()
	// Odd puts an object of a form that nobody knows among the others.
	Odd func()
	// Hooks counts the webhooks that are registered at the provider.
	Hooks func() int
	// Change changes one object at the provider, and Shows says whether the
	// tenant's graph shows it.
	Change func()
	Shows  func(g *graph.Scope) bool
	// Receipts takes what the provider has sent, for this integration.
	Receipts func(id string) []headlessly.Receipt
	// Create makes an entity that is carried to the provider, and Made counts
	// what was made there.
	Create func(ctx context.Context, g *graph.Scope) error
	Made   func() int
}

// Run runs every case of the contract against fresh subjects.
func Run(t *testing.T, open func(t testing.TB, clock *Clock) *Subject) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(s *suite, t *testing.T)
	}{
		{"a credential that works connects", (*suite).connects},
		{"a refused credential leaves nothing", (*suite).refused},
		{"the first sync brings everything, killed on the way", (*suite).resumes},
		{"a sync through rate limits", (*suite).limited},
		{"an outage makes it Errored, and it recovers", (*suite).outage},
		{"a credential revoked later makes it Errored", (*suite).revoked},
		{"a rotation keeps everything else", (*suite).rotates},
		{"an odd object costs no other", (*suite).odd},
		{"what comes in is verified, mapped, and once only", (*suite).inbound},
		{"what was lost comes with the next sync", (*suite).lost},
		{"what goes out is made once, and its echo changes nothing", (*suite).outbound},
		{"a provider that is down refuses a mutation whole", (*suite).outboundDown},
		{"disconnect takes everything away", (*suite).disconnects},
	} {
		t.Run(c.name, func(t *testing.T) {
			logs := new(strings.Builder)
			s := &suite{logs: logs}
			clock := NewClock()
			s.Subject = open(t, clock)
			s.Bench = Start(t, Options{Registry: s.Registry, Logs: Locked(logs), Clock: clock})
			c.run(s, t)
			s.Bench.Close(t)
			for _, secret := range s.Secrets {
				if strings.Contains(logs.String(), secret) {
					t.Errorf("a credential shows in the log")
				}
			}
		})
	}
}

type suite struct {
	*Subject
	*Bench
	logs *strings.Builder
	id   string
}

func (s *suite) connect(t *testing.T, args map[string]any) *graph.Entity {
	t.Helper()
	e, err := s.Scope.Verb(t.Context(), "Integration", "connect", "", maps.Clone(args))
	if err != nil {
		t.Fatal(err)
	}
	s.id = e.ID
	return e
}

// synced connects and waits for the first sync.
func (s *suite) synced(t *testing.T) {
	t.Helper()
	s.connect(t, s.Args)
	if s.syncs() {
		s.WaitStatus(t, s.id, "Synced")
	}
}

func (s *suite) syncs() bool {
	_, ok := s.Registry.Find(s.Provider).(connectors.Syncer)
	return ok
}

func (s *suite) need(t *testing.T, has ...bool) {
	t.Helper()
	for _, h := range has {
		if !h {
			t.Skip("the connector does not do this")
		}
	}
}

func (s *suite) count(t *testing.T, typ string) int64 {
	t.Helper()
	n, err := s.Scope.Count(t.Context(), typ, nil, graph.AsOf{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (s *suite) history(t *testing.T) string {
	t.Helper()
	events, err := s.Scope.Events(t.Context(), graph.EventQuery{Entity: s.id, Limit: 200, Forward: true})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range events {
		names = append(names, strings.TrimPrefix(e.Name, "Integration."))
	}
	return strings.Join(names, " ")
}

func (s *suite) connects(t *testing.T) {
	t.Helper()
	e := s.connect(t, s.Args)
	if e.Text("status") != "Connected" || e.Text("provider") != s.Provider || e.Text("name") == "" || e.Text("category") == "" {
		t.Errorf("got %s", e.Doc())
	}
	for _, secret := range s.Secrets {
		if strings.Contains(string(e.Doc()), secret) {
			t.Errorf("a credential shows in %s", e.Doc())
		}
	}
	page, err := s.Scope.Find(t.Context(), graph.Query{Type: "Integration", Filter: map[string]any{"status": "Active"}})
	if err != nil || page.Total != 1 {
		t.Errorf("find Active: %v, %v", page, err)
	}
}

func (s *suite) refused(t *testing.T) {
	t.Helper()
	s.need(t, s.Wrong != nil)
	_, err := s.Scope.Verb(t.Context(), "Integration", "connect", "", maps.Clone(s.Wrong))
	var e *graph.Error
	if !errors.As(err, &e) || e.Code != graph.CodeProvider || e.Field == "" {
		t.Fatalf("got %v, want a provider_error that names the field", err)
	}
	page, err := s.Scope.Find(t.Context(), graph.Query{Type: "Integration"})
	if err != nil || len(page.Results) != 1 || page.Results[0].Text("status") != "Errored" {
		t.Fatalf("got %v, %v; want one that is Errored", page, err)
	}
	if s.Store.Credentials(page.Results[0].ID) != nil || s.Hooks != nil && s.Hooks() != 0 {
		t.Error("something was half-made")
	}
}

func (s *suite) resumes(t *testing.T) {
	t.Helper()
	s.need(t, s.Seed != nil)
	typ, want := s.Seed(500)
	s.connect(t, s.Args)
	for range 2 {
		time.Sleep(20 * time.Millisecond)
		s.Bench.Close(t)
		s.Open(t)
	}
	s.WaitStatus(t, s.id, "Synced")
	if got := s.count(t, typ); got != want {
		t.Errorf("%d of %s, want %d", got, typ, want)
	}
	e := s.Integration(t, s.id)
	if e.Text("lastSyncAt") == "" || e.Number("lastSyncCount") == "" || e.Number("lastSyncDuration") == "" {
		t.Errorf("got %s", e.Doc())
	}
}

func (s *suite) limited(t *testing.T) {
	t.Helper()
	s.need(t, s.Seed != nil, s.Limit != nil)
	typ, want := s.Seed(300)
	s.connect(t, s.Args)
	s.Limit(true)
	s.WaitStatus(t, s.id, "Synced")
	if got := s.count(t, typ); got != want {
		t.Errorf("%d of %s, want %d", got, typ, want)
	}
}

func (s *suite) outage(t *testing.T) {
	t.Helper()
	s.need(t, s.Down != nil, s.syncs())
	s.synced(t)
	s.Down(true)
	s.Clock.Advance(24 * time.Hour)
	if e := s.WaitStatus(t, s.id, "Errored"); e.Text("error") == "" || e.Number("errorCount") == "0" {
		t.Errorf("got %s", e.Doc())
	}
	s.Down(false)
	s.Clock.Advance(24 * time.Hour)
	if e := s.WaitStatus(t, s.id, "Synced"); e.Text("error") != "" {
		t.Errorf("got %s", e.Doc())
	}
	if got := s.history(t); !strings.Contains(got, "Errored") || !strings.Contains(got, "Recovered") {
		t.Errorf("got %s", got)
	}
}

func (s *suite) revoked(t *testing.T) {
	t.Helper()
	s.need(t, s.Revoke != nil, s.syncs())
	s.synced(t)
	s.Revoke()
	if _, err := s.Scope.Verb(t.Context(), "Integration", "sync", s.id, nil); err != nil {
		t.Fatal(err)
	}
	s.WaitStatus(t, s.id, "Errored")
	if s.Create == nil {
		return
	}
	if err := s.Create(t.Context(), s.Scope); graph.CodeOf(err) != graph.CodeProvider {
		t.Errorf("a mutation with a revoked credential: got %v", err)
	}
}

func (s *suite) rotates(t *testing.T) {
	t.Helper()
	s.need(t, s.Rotated != nil, s.Revoke != nil)
	s.synced(t)
	id := s.id
	if s.connect(t, s.Rotated); s.id != id {
		t.Fatalf("connecting again made another integration: %s and %s", id, s.id)
	}
	s.Revoke()
	if s.syncs() {
		if _, err := s.Scope.Verb(t.Context(), "Integration", "sync", s.id, nil); err != nil {
			t.Fatal(err)
		}
		s.WaitStatus(t, s.id, "Synced")
	}
	if s.Hooks != nil && s.Hooks() != 1 {
		t.Errorf("%d webhooks after a rotation, want one", s.Hooks())
	}
}

func (s *suite) odd(t *testing.T) {
	t.Helper()
	s.need(t, s.Odd != nil, s.Seed != nil)
	typ, want := s.Seed(10)
	s.Odd()
	s.connect(t, s.Args)
	e := s.WaitStatus(t, s.id, "Synced")
	if got := s.count(t, typ); got != want {
		t.Errorf("%d of %s, want %d", got, typ, want)
	}
	if e.Text("error") == "" || e.Number("errorCount") == "0" {
		t.Errorf("nobody is told of it: %s", e.Doc())
	}
}

func (s *suite) inbound(t *testing.T) {
	t.Helper()
	s.need(t, s.Change != nil, s.Receipts != nil)
	s.synced(t)
	s.Change()
	in := s.Receipts(s.id)
	if len(in) == 0 {
		t.Fatal("the provider sent nothing")
	}
	for i := range in {
		if err := s.Connections.Verify(&in[i]); err != nil {
			t.Fatalf("verify: %v", err)
		}
		forged := in[i]
		forged.Body = append([]byte(" "), in[i].Body...)
		if err := s.Connections.Verify(&forged); err == nil {
			t.Error("a forged request was taken")
		}
	}
	before := s.Graph.Position()
	if err := s.Connections.Receive(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if !s.Shows(s.Scope) {
		t.Error("the graph does not show the change")
	}
	after := s.Graph.Position()
	if before == after {
		t.Error("no event was stored")
	}
	if err := s.Connections.Receive(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if now := s.Graph.Position(); now != after {
		t.Errorf("the same deliveries again made %d events", now-after)
	}
}

func (s *suite) lost(t *testing.T) {
	t.Helper()
	s.need(t, s.Change != nil, s.Receipts != nil, s.syncs())
	s.synced(t)
	s.Change()
	s.Receipts(s.id) // lost
	if _, err := s.Scope.Verb(t.Context(), "Integration", "sync", s.id, nil); err != nil {
		t.Fatal(err)
	}
	WaitFor(t, "the change", func() bool { return s.Shows(s.Scope) })
}

func (s *suite) outbound(t *testing.T) {
	t.Helper()
	s.need(t, s.Create != nil)
	s.synced(t)
	before := s.Made()
	if err := s.Create(t.Context(), s.Scope); err != nil {
		t.Fatal(err)
	}
	if got := s.Made() - before; got != 1 {
		t.Errorf("%d were made at the provider, want one", got)
	}
	if s.Receipts == nil {
		return
	}
	position := s.Graph.Position()
	if err := s.Connections.Receive(t.Context(), s.Receipts(s.id)); err != nil {
		t.Fatal(err)
	}
	if now := s.Graph.Position(); now != position {
		t.Errorf("the echo made %d events", now-position)
	}
	if got := s.Made() - before; got != 1 {
		t.Errorf("the echo went back: %d were made", got)
	}
}

func (s *suite) outboundDown(t *testing.T) {
	t.Helper()
	s.need(t, s.Create != nil, s.Down != nil)
	s.synced(t)
	s.Down(true)
	before := s.Made()
	if err := s.Create(t.Context(), s.Scope); graph.CodeOf(err) != graph.CodeProvider {
		t.Errorf("got %v, want a provider_error", err)
	}
	s.Down(false)
	if got := s.Made() - before; got != 0 {
		t.Errorf("%d were made nevertheless", got)
	}
	if err := s.Create(t.Context(), s.Scope); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func (s *suite) disconnects(t *testing.T) {
	t.Helper()
	s.synced(t)
	e, err := s.Scope.Verb(t.Context(), "Integration", "disconnect", s.id, nil)
	if err != nil || e.Text("status") != "Disconnected" {
		t.Fatalf("got %v, %v", e, err)
	}
	if s.Store.Credentials(s.id) != nil {
		t.Error("the credential is still there")
	}
	if s.Hooks != nil && s.Hooks() != 0 {
		t.Errorf("%d webhooks are left at the provider", s.Hooks())
	}
	if err := s.Connections.Verify(&headlessly.Receipt{Tenant: Tenant, Provider: s.Provider, Integration: s.id}); !errors.Is(err, connectors.ErrUnknown) {
		t.Errorf("an inbound request: got %v, want unknown", err)
	}
	if s.Create == nil {
		return
	}
	before := s.Made()
	if err := s.Create(t.Context(), s.Scope); err != nil || s.Made() != before {
		t.Errorf("a mutation afterwards: %v, %d made at the provider", err, s.Made()-before)
	}
}
