package stripe_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors/connectortest"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/stripe/stripetest"
)

const connectedAccount = "acct_of_a_shop"

// TestAPlatformsConnectedAccount has every call name the account, but for those
// on webhook endpoints, which are the platform's.
func TestAPlatformsConnectedAccount(t *testing.T) {
	a := open(t, 2)
	calls := map[string]int{} // by whether they name the account, method and path
	a.stripe.Do(func(s *stripetest.Server) {
		s.Fail = func(_ http.ResponseWriter, r *http.Request) bool {
			calls[r.Header.Get("Stripe-Account")+" "+strings.Join(strings.Split(r.URL.Path, "/")[:3], "/")]++
			return false
		}
	})
	args := a.args()
	args["account"] = connectedAccount
	a.connect(t, args)
	a.WaitStatus(t, a.id, "Synced")
	ada := must(t)(a.Scope.Create(t.Context(), "Customer", fields{"name": "Ada", "email": "ada@example.com"}))
	must(t)(a.Scope.Update(t.Context(), "Customer", ada.ID, fields{"name": "Ada L"}))
	must(t)(a.Scope.Create(t.Context(), "Subscription", fields{"plan": "pro", "customer": ada.ID}))
	if err := a.Scope.Delete(t.Context(), "Customer", ada.ID); err != nil {
		t.Fatal(err)
	}
	hooks := a.stripe.All("webhook_endpoints")
	if len(hooks) != 1 || hooks[0]["connect"] != "true" {
		t.Errorf("got the endpoints %v, want one for events of connected accounts", hooks)
	}

	// An endpoint for connected accounts gets the events of all of them.
	a.stripe.Webhooks()
	cus := a.stripe.All("customers")[0]["id"].(string)
	for _, row := range []struct{ account, want string }{{"acct_of_another", "Customer 0"}, {connectedAccount, "Renamed"}} {
		a.Clock.Advance(time.Minute)
		a.stripe.Act("POST", "/v1/customers/"+cus, "name=Renamed")
		for _, d := range a.stripe.Webhooks() {
			var e fields
			if err := json.Unmarshal(d.Body, &e); err != nil {
				t.Fatal(err)
			}
			e["account"] = row.account
			a.deliver(t, a.stripe.Signed(e))
		}
		if got := a.find(t, "Customer", "stripeCustomerId", cus).Text("name"); got != row.want {
			t.Errorf("an event of %s: the customer is %s, want %s", row.account, got, row.want)
		}
	}

	must(t)(a.Scope.Verb(t.Context(), "Integration", "disconnect", a.id, nil))
	a.stripe.Do(func(*stripetest.Server) {
		for call := range calls {
			account, path, _ := strings.Cut(call, " ")
			want := connectedAccount
			if path == "/v1/webhook_endpoints" {
				want = ""
			}
			if account != want {
				t.Errorf("%s is called for account %q, want %q", path, account, want)
			}
		}
		for _, path := range []string{"/v1/account", "/v1/customers", "/v1/subscriptions", "/v1/events"} {
			if calls[connectedAccount+" "+path] == 0 {
				t.Errorf("%s was never called", path)
			}
		}
	})
}

// TestLiveAndTestModeStandSideBySide connects both, each under its slug.
func TestLiveAndTestModeStandSideBySide(t *testing.T) {
	a := connected(t, 2)
	live := a.id
	test := stripetest.Start(t, a.Clock.Now)
	test.TestMode()
	test.Seed(3)
	args := maps.Clone(a.args())
	args["apiKey"], args["apiBaseUrl"], args["slug"] = stripetest.TestKey, test.URL, "stripe-test"
	a.connect(t, args)
	if a.id == live {
		t.Fatal("the integration of live mode was changed")
	}
	a.WaitStatus(t, a.id, "Synced")
	for id, want := range map[string]int64{live: 2, a.id: 3} {
		n, err := a.Scope.Count(t.Context(), "Customer", fields{"integration": id}, graph.AsOf{})
		if err != nil || n != want {
			t.Errorf("%d customers of %s, %v; want %d", n, id, err, want)
		}
	}
	for id, mode := range map[string]string{live: "live", a.id: "test"} {
		config, _ := a.Integration(t, id).Fields()["config"].(fields)
		if config["mode"] != mode {
			t.Errorf("%s is of mode %v, want %s", id, config["mode"], mode)
		}
	}
	// A mutation goes where it is told, and nowhere unless it is.
	_, err := a.Scope.Create(t.Context(), "Customer", fields{"name": "Nowhere", "email": "n@example.com"})
	if graph.CodeOf(err) != graph.CodeValidation || !strings.Contains(err.Error(), live) || !strings.Contains(err.Error(), a.id) {
		t.Errorf("a mutation that names none: got %v", err)
	}
	before := len(a.stripe.All("customers"))
	must(t)(a.Scope.Create(t.Context(), "Customer", fields{"name": "There", "email": "t@example.com", "integration": "stripe-test"}))
	if n := len(a.stripe.All("customers")) - before; n != 0 || len(test.All("customers")) != 4 {
		t.Errorf("%d customers were made in live mode, %d are in test mode", n, len(test.All("customers")))
	}
	// An event of the other mode means nothing, though its signature is good.
	test.Webhooks()
	cus := test.All("customers")[0]["id"].(string)
	test.Act("POST", "/v1/customers/"+cus, "name=Renamed")
	a.Clock.Advance(time.Minute)
	for _, d := range test.Webhooks() {
		var e fields
		if err := json.Unmarshal(d.Body, &e); err != nil {
			t.Fatal(err)
		}
		e["livemode"] = true
		a.deliver(t, test.Signed(e))
	}
	page, err := a.Scope.Find(t.Context(), graph.Query{Type: "Customer", Filter: fields{"name": "Renamed"}})
	if err != nil || page.Total != 0 {
		t.Errorf("an event of the other mode: got %v, %v", page.Results, err)
	}
	connectortest.WaitFor(t, "both are well", func() bool {
		return a.Integration(t, live).Text("status") == "Synced" && a.Integration(t, a.id).Text("status") == "Synced"
	})
}
