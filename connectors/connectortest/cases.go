package connectortest

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
)

// status waits, while time passes, until the integration has a status.
func (s *suite) status(t *testing.T, want string) *graph.Entity {
	t.Helper()
	var e *graph.Entity
	WaitFor(t, "it becomes "+want, func() bool {
		if e = s.Integration(t, s.id); e.Text("status") == want {
			return true
		}
		s.Clock.Advance(10 * time.Minute)
		return false
	})
	return e
}

// well is the status of an integration that works.
func (s *suite) well() string {
	if s.syncs() {
		return "Synced"
	}
	return "Connected"
}

func (s *suite) connects(t *testing.T) {
	t.Helper()
	if missing := s.covered(s.Bench.cfg.Registry.Find(s.Provider)); len(missing) > 0 {
		t.Errorf("the suite cannot show all that the connector does: %s", strings.Join(missing, "; "))
	}
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
	typ, want := s.Seed(300)
	s.connect(t, s.Args)
	s.Limit(true)
	s.WaitStatus(t, s.id, "Synced")
	if got := s.count(t, typ); got != want {
		t.Errorf("%d of %s, want %d", got, typ, want)
	}
}

func (s *suite) cutShort(t *testing.T) {
	t.Helper()
	typ, want := s.Seed(110)
	left := s.Cut(3)
	s.connect(t, s.Args)
	e := s.WaitStatus(t, s.id, "Synced")
	if n := left(); n > 0 {
		t.Errorf("%d answers were not asked for, so none was cut short", n)
	}
	if got := s.count(t, typ); got != want {
		t.Errorf("%d of %s, want %d", got, typ, want)
	}
	if e.Text("error") != "" {
		t.Errorf("got %s", e.Doc())
	}
}

func (s *suite) outage(t *testing.T) {
	t.Helper()
	s.synced(t)
	s.Down(true)
	if s.Emit != nil {
		s.emit(t)
	}
	if e := s.status(t, "Errored"); e.Text("error") == "" || e.Number("errorCount") == "0" {
		t.Errorf("got %s", e.Doc())
	}
	s.Down(false)
	if s.Emit != nil {
		s.arrives(t, s.emit(t))
	}
	if e := s.status(t, s.well()); e.Text("error") != "" {
		t.Errorf("got %s", e.Doc())
	}
	if got := s.history(t); !strings.Contains(got, "Errored") || !strings.Contains(got, "Recovered") {
		t.Errorf("got %s", got)
	}
}

func (s *suite) revoked(t *testing.T) {
	t.Helper()
	s.synced(t)
	s.Revoke()
	if s.Emit != nil {
		s.emit(t)
	} else if _, err := s.Scope.Verb(t.Context(), "Integration", "sync", s.id, nil); err != nil {
		t.Fatal(err)
	}
	s.status(t, "Errored")
	if s.Create == nil {
		return
	}
	if err := s.Create(t.Context(), s.Scope); graph.CodeOf(err) != graph.CodeProvider {
		t.Errorf("a mutation with a revoked credential: got %v", err)
	}
}

func (s *suite) rotates(t *testing.T) {
	t.Helper()
	s.synced(t)
	id := s.id
	if s.connect(t, s.Rotated); s.id != id {
		t.Fatalf("connecting again made another integration: %s and %s", id, s.id)
	}
	if s.Revoke != nil {
		s.Revoke()
	}
	if s.syncs() {
		if _, err := s.Scope.Verb(t.Context(), "Integration", "sync", s.id, nil); err != nil {
			t.Fatal(err)
		}
		s.WaitStatus(t, s.id, "Synced")
	}
	if s.Hooks != nil && s.Hooks() != 1 {
		t.Errorf("%d webhooks after a rotation, want one", s.Hooks())
	}
	s.works(t)
}

func (s *suite) odd(t *testing.T) {
	t.Helper()
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
	if s.InUse != nil && s.InUse() {
		t.Error("it is still in use")
	}
	if s.Create != nil {
		before := s.Made()
		if err := s.Create(t.Context(), s.Scope); err != nil || s.Made() != before {
			t.Errorf("a mutation afterwards: %v, %d made at the provider", err, s.Made()-before)
		}
	}
	if s.Emit != nil { // what happens before it is connected again is never sent
		before, _ := s.Sent()
		if err := s.Emit(t.Context(), s.Scope); err != nil {
			t.Fatal(err)
		}
		s.connect(t, s.Args)
		if got := s.arrives(t, s.emit(t)); got != before+1 {
			t.Errorf("%d events were sent, want the one after it was connected again", got-before)
		}
	}
}
