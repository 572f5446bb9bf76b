package stripe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/connectortest"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/stripe"
	"github.com/headlessly/headlessly/connectors/stripe/stripetest"
)

// invoices is a sync that has come to the invoices; connect asks for fewer.
const invoices = "/v1/invoices?limit=100"

// gate is the way to the provider: requests for a path wait there while it is
// shut.
type gate struct {
	mu      sync.Mutex
	path    string
	shut    chan struct{} // nil while it is open
	arrived chan struct{}
}

func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	g.mu.Lock()
	shut, arrived := g.shut, g.arrived
	if !strings.Contains(r.URL.Path+"?"+r.URL.RawQuery, g.path) {
		shut = nil
	}
	g.mu.Unlock()
	if shut != nil {
		select {
		case arrived <- struct{}{}:
		default:
		}
		select {
		case <-shut:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	return http.DefaultTransport.RoundTrip(r)
}

// close shuts the gate for a path; the first request for it signals.
func (g *gate) close(path string) (arrived <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.path, g.shut, g.arrived = path, make(chan struct{}), make(chan struct{}, 1)
	return g.arrived
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.shut)
	g.shut = nil
}

// gated is an account whose provider is reached through a gate.
func gated(t *testing.T, customers int) (*account, *gate) {
	t.Helper()
	g := &gate{}
	a := &account{logs: new(bytes.Buffer)}
	a.Bench = connectortest.Start(t, connectortest.Options{Registry: connectors.Registry{stripe.New()}, Logs: connectortest.Locked(a.logs), Client: &http.Client{Transport: g}})
	a.stripe = stripetest.Start(t, a.Clock.Now)
	a.stripe.Seed(customers)
	return a, g
}

// ran counts the runs of every before hook of an integration.
func (a *account) ran(t *testing.T) func(hook string) int {
	t.Helper()
	var mu sync.Mutex
	runs := map[string]int{}
	typ, err := a.Graph.Types().Lookup("Integration")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(typ.HookNames()))) {
		if phase, _, err := typ.HookName(name); err != nil || phase != graph.Before {
			continue
		}
		if _, err := a.Graph.Before("Integration", name, func(context.Context, *graph.Draft) error {
			mu.Lock()
			defer mu.Unlock()
			runs[name]++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return func(hook string) int {
		mu.Lock()
		defer mu.Unlock()
		if hook != "" {
			return runs[hook]
		}
		n := 0
		for _, k := range runs {
			n += k
		}
		return n
	}
}

// synced waits for the n-th end of a sync.
func (a *account) synced(t *testing.T, n int) {
	t.Helper()
	connectortest.WaitFor(t, "a sync ends", func() bool { return strings.Count(a.history(t, a.id), "Synced") == n })
}

func (a *account) sync(t *testing.T) {
	t.Helper()
	must(t)(a.Scope.Verb(t.Context(), "Integration", "sync", a.id, nil))
}

func TestHooksRunOnceForEachSync(t *testing.T) {
	a := open(t, 2)
	runs := a.ran(t)
	a.connect(t, a.args())
	a.synced(t, 1)
	want := func(when string, connecting, syncing int, history string) {
		t.Helper()
		if got := a.history(t, a.id); got != history {
			t.Errorf("%s: after hooks for %s, want %s", when, got, history)
		}
		if runs("connecting") != connecting || runs("syncing") != syncing || runs("") != connecting+syncing {
			t.Errorf("%s: connecting ran %d times, syncing %d, all %d; want %d and %d and no other", when, runs("connecting"), runs("syncing"), runs(""), connecting, syncing)
		}
	}
	history := "Connected Syncing Synced"
	want("connected", 1, 1, history)
	a.sync(t)
	a.synced(t, 2)
	history += " Syncing Synced"
	want("synced by hand", 1, 2, history)
	a.Clock.Advance(24 * time.Hour)
	a.synced(t, 3)
	history += " Syncing Synced"
	want("synced by itself", 1, 3, history)
	a.stripe.Revoke(stripetest.LiveKey)
	a.sync(t)
	a.WaitStatus(t, a.id, "Errored")
	want("failed", 1, 4, history+" Syncing Errored")
}

// What a before hook of sync sees is what becomes of the integration: it syncs,
// and has not synced.
func TestAHookOfSyncSeesAnIntegrationThatSyncs(t *testing.T) {
	a := open(t, 2)
	var mu sync.Mutex
	var seen []string
	hook := func(_ context.Context, d *graph.Draft) error {
		mu.Lock()
		defer mu.Unlock()
		last := d.Fields["lastSyncAt"]
		if d.Current != nil && last == d.Current.Fields()["lastSyncAt"] {
			last = "unchanged"
		}
		seen = append(seen, fmt.Sprint(d.Fields["status"], " ", last))
		return nil
	}
	if _, err := a.Graph.Before("Integration", "syncing", hook); err != nil {
		t.Fatal(err)
	}
	a.connect(t, a.args())
	a.synced(t, 1)
	a.sync(t)
	a.synced(t, 2)
	mu.Lock()
	defer mu.Unlock()
	if got, want := strings.Join(seen, ", "), "Syncing unchanged, Syncing unchanged"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAVetoKeepsASyncFromStartingAndNotFromEnding(t *testing.T) {
	a, g := gated(t, 2)
	veto := func(context.Context, *graph.Draft) error { return errors.New("not at night") }
	remove, err := a.Graph.Before("Integration", "syncing", veto)
	if err != nil {
		t.Fatal(err)
	}
	a.connect(t, a.args())
	connectortest.WaitFor(t, "the status tells of the veto", func() bool {
		all, err := a.Connections.Status(t.Context(), connectortest.Tenant)
		return err == nil && len(all) == 1 && strings.Contains(all[0].Error, "not at night")
	})
	if got := a.history(t, a.id); got != "Connected" || a.count(t, "Customer") != 0 {
		t.Errorf("a sync that was vetoed: %s, %d customers", got, a.count(t, "Customer"))
	}
	if _, err := a.Scope.Verb(t.Context(), "Integration", "sync", a.id, nil); graph.CodeOf(err) != graph.CodeVetoed {
		t.Errorf("a sync by hand: got %v, want the veto", err)
	}
	remove()
	arrived := g.close(invoices)
	a.sync(t)
	<-arrived
	if _, err := a.Graph.Before("Integration", "syncing", veto); err != nil {
		t.Fatal(err)
	}
	g.open()
	a.synced(t, 1)
	if got := a.history(t, a.id); got != "Connected Syncing Synced" {
		t.Errorf("got %s", got)
	}
}

func TestASyncThatIsAskedForDuringAnotherFollowsIt(t *testing.T) {
	a, g := gated(t, 2)
	runs := a.ran(t)
	arrived := g.close(invoices)
	a.connect(t, a.args())
	<-arrived
	a.sync(t)
	a.sync(t)
	cus := a.stripe.All("customers")[0]["id"].(string)
	a.stripe.Act("POST", "/v1/customers/"+cus, "name=Renamed")
	g.open()
	connectortest.WaitFor(t, "the change", func() bool { return a.find(t, "Customer", "stripeCustomerId", cus).Text("name") == "Renamed" })
	a.synced(t, 2)
	if got := a.history(t, a.id); got != "Connected Syncing Syncing Syncing Synced Syncing Synced" || runs("syncing") != 3 {
		t.Errorf("got %s, %d runs of syncing", got, runs("syncing"))
	}
}

func TestADisconnectEndsTheSyncThatRuns(t *testing.T) {
	a, g := gated(t, 30)
	arrived := g.close(invoices)
	a.connect(t, a.args())
	<-arrived
	if e := must(t)(a.Scope.Verb(t.Context(), "Integration", "disconnect", a.id, nil)); e.Text("status") != "Disconnected" || e.Text("error") != "" {
		t.Errorf("got %s", e.Doc())
	}
	position := a.Graph.Position()
	g.open()
	if st, err := a.Store.SyncState(t.Context(), a.id); err != nil || st.Phase != "" || st.Cursor != nil {
		t.Errorf("where the sync stood is kept: %+v, %v", st, err)
	}
	if a.Store.Credentials(a.id) != nil || len(a.stripe.All("webhook_endpoints")) != 0 {
		t.Error("the credential or the webhook is still there")
	}
	if _, err := a.Scope.Verb(t.Context(), "Integration", "sync", a.id, nil); graph.CodeOf(err) != graph.CodeConflict {
		t.Errorf("sync while disconnected: got %v, want a conflict", err)
	}
	requests := a.requests()
	a.Clock.Advance(48 * time.Hour)
	time.Sleep(100 * time.Millisecond) // what must not happen would have by now
	if got := a.requests() - requests; got != 0 || a.Graph.Position() != position {
		t.Errorf("after the disconnect: %d requests, %d events", got, a.Graph.Position()-position)
	}
	a.connect(t, a.args())
	a.WaitStatus(t, a.id, "Synced")
	if got := a.count(t, "Invoice"); got != 30 {
		t.Errorf("connected again: %d invoices, want 30", got)
	}
}

func (a *account) requests() (n int) {
	a.stripe.Do(func(s *stripetest.Server) {
		for _, k := range s.Requests {
			n += k
		}
	})
	return n
}

func TestADisconnectRightAfterTheConnectLeavesNothing(t *testing.T) {
	a := open(t, 3)
	for range 12 {
		a.connect(t, a.args())
		must(t)(a.Scope.Verb(t.Context(), "Integration", "disconnect", a.id, nil))
		requests, position := a.requests(), a.Graph.Position()
		time.Sleep(5 * time.Millisecond)
		if a.requests() != requests || a.Graph.Position() != position {
			t.Fatalf("%d requests and %d events behind the disconnect: %s", a.requests()-requests, a.Graph.Position()-position, a.history(t, a.id))
		}
		if e := a.Integration(t, a.id); e.Text("status") != "Disconnected" || a.Store.Credentials(a.id) != nil || len(a.stripe.All("webhook_endpoints")) != 0 {
			t.Fatalf("got %s", e.Doc())
		}
	}
}

func TestTwoConnectsAtOnceMakeOneIntegration(t *testing.T) {
	a, g := gated(t, 2)
	arrived := g.close("/v1/")
	errs := make(chan error, 4)
	for range cap(errs) {
		go func() {
			_, err := a.Scope.Verb(t.Context(), "Integration", "connect", "", a.args())
			errs <- err
		}()
	}
	<-arrived
	for range cap(errs) - 1 {
		if err := <-errs; graph.CodeOf(err) != graph.CodeConflict {
			t.Errorf("another connect meanwhile: got %v, want a conflict", err)
		}
	}
	g.open()
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
	page, err := a.Scope.Find(t.Context(), graph.Query{Type: "Integration"})
	if err != nil || len(page.Results) != 1 {
		t.Fatalf("%d integrations, %v", len(page.Results), err)
	}
	a.id = page.Results[0].ID
	a.WaitStatus(t, a.id, "Synced")
	if got := len(a.stripe.All("webhook_endpoints")); got != 1 {
		t.Errorf("%d webhooks at the provider, want one", got)
	}
	id := a.id
	if a.connect(t, a.args()); a.id != id {
		t.Errorf("connecting again made %s beside %s", a.id, id)
	}
}

func TestACredentialRefusedInTheMiddleOfASyncEndsIt(t *testing.T) {
	a, g := gated(t, 30)
	arrived := g.close(invoices)
	a.connect(t, a.args())
	<-arrived
	a.stripe.Revoke(stripetest.LiveKey)
	g.open()
	e := a.WaitStatus(t, a.id, "Errored")
	if got := e.Text("error"); !strings.Contains(got, "Invalid API Key") || e.Number("errorCount") != "1" {
		t.Errorf("got %s", e.Doc())
	}
	requests := a.requests()
	a.Clock.Advance(48 * time.Hour)
	time.Sleep(100 * time.Millisecond) // what must not happen would have by now
	if got := a.requests() - requests; got != 0 {
		t.Errorf("%d requests with a credential that was refused", got)
	}
	if got := a.history(t, a.id); got != "Connected Syncing Errored" {
		t.Errorf("got %s", got)
	}
	args := a.args()
	args["apiKey"] = stripetest.LiveKey + "b"
	a.connect(t, args)
	if e := a.WaitStatus(t, a.id, "Synced"); e.Text("error") != "" || a.count(t, "Invoice") != 30 {
		t.Errorf("with another key: %s, %d invoices", e.Doc(), a.count(t, "Invoice"))
	}
}
