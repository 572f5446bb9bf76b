package stripe_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors/connectortest"
	"github.com/headlessly/headlessly/connectors/stripe/stripetest"
)

// unreadable answers reads of single customers with a fault while it is set.
func (a *account) unreadable(status int, code string) {
	a.stripe.Do(func(s *stripetest.Server) {
		s.Fail = func(w http.ResponseWriter, r *http.Request) bool {
			if status == 0 || r.Method != http.MethodGet || !strings.HasPrefix(r.URL.Path, "/v1/customers/") {
				return false
			}
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, `{"error":{"type":%q,"message":"not now"}}`, code)
			return true
		}
	})
}

func TestWhatASyncCouldNotReadAgainIsNotPassedOver(t *testing.T) {
	for _, row := range []struct {
		name, typ string
		status    int
	}{
		{"while Stripe has a fault", "api_error", http.StatusInternalServerError},
		{"while Stripe limits the rate", "rate_limit_error", http.StatusTooManyRequests},
		{"while Stripe does not take the key", "authentication_error", http.StatusUnauthorized},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := connected(t, 3)
			// Two changes within a second: only Stripe knows which one counts.
			cus := a.stripe.All("customers")[0]["id"].(string)
			a.stripe.Act("POST", "/v1/customers/"+cus, "name=Before")
			a.stripe.Act("POST", "/v1/customers/"+cus, "name=After")
			a.stripe.Webhooks() // lost
			a.unreadable(row.status, row.typ)
			a.Clock.Advance(16 * time.Minute)
			a.WaitStatus(t, a.id, "Errored")
			a.unreadable(0, "")
			if row.status == http.StatusUnauthorized {
				a.connect(t, a.args()) // the credential has to be given again
			}
			connectortest.WaitFor(t, "it is synced again", func() bool {
				a.Clock.Advance(16 * time.Minute)
				return a.Integration(t, a.id).Text("status") == "Synced"
			})
			if e := a.find(t, "Customer", "stripeCustomerId", cus); e.Text("name") != "After" {
				t.Errorf("got %s", e.Doc())
			}
		})
	}
}

func TestAnAccountMayBeQuietForLongerThanStripeKeepsEvents(t *testing.T) {
	a := connected(t, 2)
	cus := a.stripe.All("customers")[0]["id"].(string)
	a.stripe.Act("POST", "/v1/customers/"+cus, "name=The last for long")
	for range 40 { // days
		a.Clock.Advance(24 * time.Hour)
		at := a.Integration(t, a.id).Text("lastSyncAt")
		connectortest.WaitFor(t, "the next sync", func() bool {
			e := a.Integration(t, a.id)
			return e.Text("status") == "Synced" && e.Text("lastSyncAt") > at
		})
	}
	a.stripe.Do(func(s *stripetest.Server) { s.ForgetEvents() })
	a.stripe.Act("POST", "/v1/customers/"+cus, "name=At last")
	a.stripe.Webhooks() // lost
	a.Clock.Advance(16 * time.Minute)
	connectortest.WaitFor(t, "the change arrives", func() bool {
		return a.find(t, "Customer", "stripeCustomerId", cus).Text("name") == "At last"
	})
	if e := a.WaitStatus(t, a.id, "Synced"); e.Text("error") != "" {
		t.Errorf("got %s", e.Doc())
	}
}

// subscribe makes a subscription with n items at Stripe and gives its id.
func (a *account) subscribe(n int) string {
	product := a.stripe.Act("POST", "/v1/products", "name=Seat")["id"]
	form := fmt.Sprintf("customer=%s", a.stripe.Act("POST", "/v1/customers", "name=Many&invoice_settings[default_payment_method]=pm_card")["id"])
	for i := range n {
		price := a.stripe.Act("POST", "/v1/prices", fmt.Sprintf("product=%s&currency=eur&unit_amount=%d&recurring[interval]=month", product, 100+i))["id"]
		form += fmt.Sprintf("&items[%d][price]=%s", i, price)
	}
	return a.stripe.Act("POST", "/v1/subscriptions", form)["id"].(string)
}

func TestEveryItemOfASubscriptionCounts(t *testing.T) {
	a := open(t, 0)
	whole := func(how, id string) {
		t.Helper()
		items, _ := a.find(t, "Subscription", "stripeSubscriptionId", id).Fields()["items"].([]any)
		if len(items) != 15 {
			t.Errorf("%s: got %d items, want 15", how, len(items))
		}
	}
	first := a.subscribe(15)
	a.connect(t, a.args())
	a.WaitStatus(t, a.id, "Synced")
	whole("by the first sync", first)
	a.stripe.Webhooks()
	second := a.subscribe(15)
	a.deliver(t, a.stripe.Webhooks()...)
	whole("by a webhook", second)
	e := a.find(t, "Subscription", "stripeSubscriptionId", second)
	if _, err := a.Scope.Verb(t.Context(), "Subscription", "pause", e.ID, nil); err != nil {
		t.Fatal(err)
	}
	whole("after a change made here", second)
}
