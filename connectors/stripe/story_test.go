package stripe_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors/connectortest"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/revenue"
	"github.com/headlessly/headlessly/connectors/stripe/stripetest"
)

// TestTwoHoursOfAnAccount is the whole story: a first sync that is killed twice,
// changes from both sides at once, an outage, webhooks that are lost, doubled
// and shuffled, a rotation. At the end both sides are equal object by object,
// mrr is what Stripe's own objects add up to, and each object that we made was
// made once. With HEADLESSLY_SOAK=1 the account has 100,000 objects.
func TestTwoHoursOfAnAccount(t *testing.T) {
	customers := 300
	if os.Getenv("HEADLESSLY_SOAK") != "" {
		customers = 20_000
	}
	a := open(t, 0)
	objects := a.stripe.Seed(customers)
	rnd := rand.New(rand.NewPCG(8, 8))
	begun := a.Clock.Now()

	// The first sync, killed twice.
	a.connect(t, a.args())
	for _, at := range []int{objects / 4, objects / 2} {
		connectortest.WaitFor(t, "progress", func() bool { return a.progress(t) >= int64(at) || a.Integration(t, a.id).Text("status") == "Synced" })
		a.Close(t)
		a.Clock.Advance(time.Minute)
		a.Open(t)
	}
	e := a.WaitStatus(t, a.id, "Synced")
	if got := e.Number("lastSyncCount").String(); got != fmt.Sprint(objects) {
		t.Errorf("lastSyncCount %s, want %d: nothing twice", got, objects)
	}
	t.Logf("%d objects; a sync of %s s of the story's clock", objects, e.Number("lastSyncDuration"))

	// Changes from both sides at once.
	made := map[string]int{}
	change := func(n int, refuses bool) {
		for i := range n {
			all := a.stripe.All("customers")
			cus := all[rnd.IntN(len(all))]["id"].(string)
			a.stripe.Act("POST", "/v1/customers/"+cus, fmt.Sprintf("name=There %d", rnd.IntN(1000)))
			if i%3 == 0 {
				a.stripe.Act("POST", "/v1/customers", fmt.Sprintf("name=New %d&email=new%d@example.com", i, rnd.IntN(1_000_000)))
			}
			subs := a.stripe.All("subscriptions")
			s := subs[rnd.IntN(len(subs))]
			if s["status"] != "canceled" {
				switch rnd.IntN(4) {
				case 0:
					a.stripe.Act("DELETE", "/v1/subscriptions/"+s["id"].(string), "")
				case 1:
					a.stripe.Act("POST", "/v1/subscriptions/"+s["id"].(string), "pause_collection[behavior]=void")
				default:
					item := s["items"].(fields)["data"].([]any)[0].(fields)["id"].(string)
					a.stripe.Act("POST", "/v1/subscriptions/"+s["id"].(string), fmt.Sprintf("items[0][id]=%s&items[0][quantity]=%d", item, 1+rnd.IntN(9)))
				}
			}
			// Ours, of which some fail while Stripe is down or crowded.
			ours := map[string]fields{"Customer": {"name": "Ours", "email": fmt.Sprintf("ours%d@example.com", rnd.IntN(1_000_000))}}
			if mine := a.known(t, "Customer", "stripeCustomerId", cus); mine != nil && i%2 == 0 {
				_, err := a.Scope.Update(t.Context(), "Customer", mine.ID, fields{"phone": fmt.Sprint(rnd.IntN(1000))})
				a.fine(t, err, refuses)
				ours = map[string]fields{"Subscription": {"plan": "pro", "customer": mine.ID}}
			}
			for typ, f := range ours {
				_, err := a.Scope.Create(t.Context(), typ, f)
				if a.fine(t, err, refuses); err == nil {
					made[typ]++
				}
			}
			a.Clock.Advance(time.Duration(rnd.IntN(20)) * time.Second)
		}
	}
	at := a.stripe.Counted()
	change(40, false)
	// Webhooks: a fifth lost, a fifth doubled, all shuffled.
	scatter := func() {
		var out []stripetest.Delivery
		for _, d := range a.stripe.Webhooks() {
			switch rnd.IntN(5) {
			case 0:
			case 1:
				out = append(out, d, d)
			default:
				out = append(out, d)
			}
		}
		rnd.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		for len(out) > 0 {
			n := min(len(out), 1+rnd.IntN(50))
			if err := a.Connections.Receive(t.Context(), a.receipts(out[:n])); err != nil {
				t.Fatal(err)
			}
			out = out[n:]
		}
	}
	scatter()

	// An outage of half an hour.
	a.stripe.Do(func(s *stripetest.Server) { s.Outage = true })
	change(10, true)
	a.Clock.Advance(30 * time.Minute)
	a.WaitStatus(t, a.id, "Errored")
	a.stripe.Do(func(s *stripetest.Server) { s.Outage = false; s.Throttle = 7 }) // and then a crowd
	a.stripe.Webhooks()                                                          // all lost
	a.Clock.Advance(20 * time.Minute)
	a.WaitStatus(t, a.id, "Synced")
	change(20, true) // while the sync catches up, a call may lose to it four times
	scatter()

	// A rotation, with one more change from each side.
	rotated := a.args()
	rotated["apiKey"] = stripetest.LiveKey + "_rotated"
	a.connect(t, rotated)
	a.stripe.Revoke(stripetest.LiveKey)
	change(10, true)
	a.stripe.Webhooks()
	a.Clock.Advance(20 * time.Minute)
	if _, err := a.Scope.Verb(t.Context(), "Integration", "sync", a.id, nil); err != nil {
		t.Fatal(err)
	}
	a.Clock.Advance(2*time.Hour - a.Clock.Now().Sub(begun)%(2*time.Hour))
	a.stripe.Do(func(s *stripetest.Server) { s.Throttle = 0 })
	connectortest.WaitFor(t, "both sides are equal", func() bool { return a.differences(t, 1) == "" })
	a.WaitStatus(t, a.id, "Synced")
	if d := a.differences(t, 5); d != "" {
		t.Errorf("the sides differ:\n%s", d)
	}
	for typ, kind := range map[string]string{"Customer": "customers", "Subscription": "subscriptions"} {
		if got := a.stripe.Counted()[kind] - at[kind]; got != made[typ]+a.stripe.Acted[kind] {
			t.Errorf("%d %s were made at Stripe, want %d by us and %d there: each once", got, kind, made[typ], a.stripe.Acted[kind])
		}
	}

	// mrr is what Stripe's objects add up to.
	var mrr int64
	for _, s := range a.stripe.All("subscriptions") {
		if s["status"] == "active" && s["pause_collection"] == nil {
			it := s["items"].(fields)["data"].([]any)[0].(fields)
			mrr += it["price"].(fields)["unit_amount"].(int64) * it["quantity"].(int64)
		}
	}
	r, err := revenue.At(t.Context(), a.Scope, revenue.Query{At: a.Clock.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Currencies["EUR"]; got == nil || got.MRR != mrr {
		t.Errorf("mrr: got %+v, want %d", got, mrr)
	}
	if _, err := a.Scope.Verb(t.Context(), "Integration", "disconnect", a.id, nil); err != nil {
		t.Fatal(err)
	}
	history := a.history(t, a.id)
	for _, name := range []string{"Connected", "Syncing", "Synced", "Errored", "Recovered", "Disconnected"} {
		if !strings.Contains(history, name) {
			t.Errorf("no %s in %s", name, history)
		}
	}
}

// fine takes an error for what it should be: none, or the provider's outage or
// rate limit.
func (a *account) fine(t testing.TB, err error, refuses bool) {
	t.Helper()
	var e *graph.Error
	if err != nil && (!refuses || !errors.As(err, &e) || e.Code != graph.CodeProvider) {
		t.Fatalf("got %v (Stripe refuses: %v)", err, refuses)
	}
}

// progress is how many objects the sync has brought.
func (a *account) progress(t testing.TB) int64 {
	t.Helper()
	all, err := a.Connections.Status(t.Context(), connectortest.Tenant)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.ID == a.id && p.Sync != nil {
			return p.Sync.Count
		}
	}
	return 0
}
