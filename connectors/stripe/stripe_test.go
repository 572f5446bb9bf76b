package stripe_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/connectortest"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/stripe"
	"github.com/headlessly/headlessly/connectors/stripe/stripetest"
)

type fields = map[string]any

// account is a bench with a Stripe behind it.
type account struct {
	*connectortest.Bench
	stripe *stripetest.Server
	logs   *bytes.Buffer
	id     string // the integration's, once connected
}

func open(t testing.TB, customers int) *account {
	t.Helper()
	a := &account{logs: new(bytes.Buffer)}
	a.Bench = connectortest.Start(t, connectortest.Options{Registry: connectors.Registry{stripe.New()}, Logs: connectortest.Locked(a.logs)})
	a.stripe = stripetest.Start(t, a.Clock.Now)
	if customers > 0 {
		a.stripe.Seed(customers)
	}
	return a
}

func (a *account) args() fields {
	return fields{"provider": "stripe", "apiKey": stripetest.LiveKey, "apiBaseUrl": a.stripe.URL}
}

func (a *account) connect(t testing.TB, args fields) *graph.Entity {
	t.Helper()
	e, err := a.Scope.Verb(t.Context(), "Integration", "connect", "", args)
	if err != nil {
		t.Fatal(err)
	}
	a.id = e.ID
	return e
}

// connected is an account that has synced.
func connected(t testing.TB, customers int) *account {
	t.Helper()
	a := open(t, customers)
	a.connect(t, a.args())
	a.WaitStatus(t, a.id, "Synced")
	return a
}

// receipt is a webhook as the collector stores it.
func (a *account) receipt(d stripetest.Delivery) headlessly.Receipt {
	return headlessly.Receipt{
		Tenant: connectortest.Tenant, Provider: "stripe", Integration: a.id, ReceivedAt: a.Clock.Now().UnixMicro(),
		Headers: "content-type: application/json\nstripe-signature: " + d.Signature + "\n", Body: d.Body,
	}
}

// deliver brings webhooks as they come.
func (a *account) deliver(t testing.TB, all ...stripetest.Delivery) {
	t.Helper()
	var in []headlessly.Receipt
	for _, d := range all {
		r := a.receipt(d)
		if err := a.Connections.Verify(&r); err != nil {
			t.Fatalf("verify: %v", err)
		}
		in = append(in, r)
	}
	if err := a.Connections.Receive(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

func (a *account) find(t testing.TB, typ, key, value string) *graph.Entity {
	t.Helper()
	page, err := a.Scope.Find(context.Background(), graph.Query{Type: typ, Filter: fields{key: value}})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Results) != 1 {
		t.Fatalf("%d %s with %s %s, want one", len(page.Results), typ, key, value)
	}
	return page.Results[0]
}

func (a *account) count(t testing.TB, typ string) int64 {
	t.Helper()
	n, err := a.Scope.Count(context.Background(), typ, nil, graph.AsOf{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// history is the names of an entity's events, oldest first.
func (a *account) history(t testing.TB, id string) string {
	t.Helper()
	events, err := a.Scope.Events(context.Background(), graph.EventQuery{Entity: id, Limit: 100, Forward: true})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range events {
		_, name, _ := strings.Cut(e.Name, ".")
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

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

func TestConnectSyncsEveryObject(t *testing.T) {
	a := open(t, 12)
	e := a.connect(t, a.args())
	if e.Text("status") != "Connected" || e.Text("name") != "Stripe" || e.Text("slug") != "stripe" || e.Text("category") != "Payment" {
		t.Errorf("got %s", e.Doc())
	}
	e = a.WaitStatus(t, a.id, "Synced")
	for typ, want := range map[string]int64{"Customer": 12, "Product": 1, "Price": 2, "Subscription": 12, "Invoice": 12, "Payment": 12} {
		if got := a.count(t, typ); got != want {
			t.Errorf("%d of %s, want %d", got, typ, want)
		}
	}
	if got := e.Number("lastSyncCount"); got != "63" {
		t.Errorf("lastSyncCount %s, want 63", got)
	}
	if got := a.history(t, a.id); got != "Connected Syncing Synced" {
		t.Errorf("got %s", got)
	}
	sub := must(t)(a.Scope.Lookup(t.Context(), a.find(t, "Subscription", "stripeSubscriptionId", a.stripe.All("subscriptions")[0]["id"].(string)).ID, graph.Query{Type: "Subscription", Include: []string{"customer", "price"}}))
	raw, _ := sub.MarshalJSON()
	for _, want := range []string{`"status":"Active"`, `"name":"Customer 0"`, `"amount":2900`, `"quantity":1`, `"integration":"` + a.id + `"`} {
		if !bytes.Contains(raw, []byte(want)) {
			t.Errorf("no %s in %s", want, raw)
		}
	}
	pay := a.find(t, "Payment", "stripePaymentId", a.stripe.All("payment_intents")[0]["id"].(string))
	if pay.Text("invoice") == "" || pay.Text("method") != "card" || pay.Text("status") != "Succeeded" {
		t.Errorf("payment: %s", pay.Doc())
	}
	if n := len(a.stripe.All("webhook_endpoints")); n != 1 {
		t.Errorf("%d webhook endpoints, want one", n)
	}
}

func TestAWordOfTheUsersPageMakesARealSubscription(t *testing.T) {
	a := connected(t, 1)
	ctx := t.Context()
	ada := must(t)(a.Scope.Create(ctx, "Contact", fields{"name": "Ada", "email": "ada@example.com"}))
	sub := must(t)(a.Scope.Create(ctx, "Subscription", fields{"plan": "pro", "contact": ada.ID}))
	o := a.stripe.Get(sub.Text("stripeSubscriptionId"))
	if o == nil || sub.Text("status") != "Incomplete" || sub.Text("plan") != "pro" || sub.Text("contact") != ada.ID {
		t.Fatalf("got %s", sub.Doc())
	}
	cus := must(t)(a.Scope.Get(ctx, "Customer", sub.Text("customer"), graph.AsOf{}))
	if cus.Text("email") != "ada@example.com" || cus.Text("contact") != ada.ID || cus.Text("stripeCustomerId") != o["customer"] {
		t.Errorf("customer: %s", cus.Doc())
	}
	// A second subscription is the same customer's.
	again := must(t)(a.Scope.Create(ctx, "Subscription", fields{"plan": "Pro", "contact": ada.ID, "trialDays": 14}))
	if again.Text("customer") != cus.ID || again.Text("status") != "Trialing" || again.Text("trialDays") != "" {
		t.Errorf("got %s", again.Doc())
	}
	// Their webhooks are echoes: they change nothing.
	before := a.history(t, sub.ID) + a.history(t, cus.ID)
	a.deliver(t, a.stripe.Webhooks()...)
	a.Clock.Advance(time.Minute)
	if after := a.history(t, sub.ID) + a.history(t, cus.ID); after != before {
		t.Errorf("after the echo: %s, before: %s", after, before)
	}
	if n := a.count(t, "Customer"); n != 2 {
		t.Errorf("%d customers, want 2", n)
	}
	for _, row := range []struct{ plan, contact, field, says string }{
		{"gold", ada.ID, "plan", "no active recurring price"},
		{"pro", "", "contact", "name a contact"},
		{"pro", "contact_aaaaaaaaaa", "contact", "there is no Contact"},
	} {
		args := fields{"plan": row.plan}
		if row.contact != "" {
			args["contact"] = row.contact
		}
		_, err := a.Scope.Create(ctx, "Subscription", args)
		refusedAt(t, err, row.field, row.says)
	}
}

// refusedAt wants a 422 that names a field.
func refusedAt(t testing.TB, err error, field, says string) {
	t.Helper()
	var e *graph.Error
	if !asError(err, &e) || e.Status() != http.StatusUnprocessableEntity || e.Field != field || !strings.Contains(e.Message, says) {
		t.Errorf("got %v, want 422 at %s with %q", err, field, says)
	}
}

func TestEveryVerbOfASubscription(t *testing.T) {
	a := connected(t, 2)
	ctx := t.Context()
	a.stripe.Act("POST", "/v1/prices/"+a.stripe.All("prices")[1]["id"].(string), "active=true")
	a.deliver(t, a.stripe.Webhooks()...)
	id := a.find(t, "Subscription", "stripeSubscriptionId", a.stripe.All("subscriptions")[0]["id"].(string)).ID
	dear := a.find(t, "Price", "stripePriceId", a.stripe.All("prices")[1]["id"].(string)).ID
	cheap := a.find(t, "Price", "stripePriceId", a.stripe.All("prices")[0]["id"].(string)).ID
	for _, row := range []struct {
		verb string
		args fields
		want string // of the entity
		at   string // of the object
	}{
		{"update", fields{"quantity": 3}, `"quantity":3`, "quantity:3"},
		{"upgrade", fields{"price": dear, "proration": "none"}, `"amount":9900`, "unit_amount:9900"},
		{"downgrade", fields{"price": cheap}, `"amount":2900`, "unit_amount:2900"},
		{"pause", fields{"behavior": "void"}, `"status":"Paused"`, "behavior:void"},
		{"reactivate", nil, `"status":"Active"`, "pause_collection:<nil>"},
		{"cancel", fields{"atPeriodEnd": true}, `"cancelAtPeriodEnd":true`, "cancel_at_period_end:true"},
		{"reactivate", nil, `"cancelAtPeriodEnd":false`, "cancel_at_period_end:false"},
		{"renew", nil, `"status":"Active"`, "status:active"},
		{"cancel", fields{"cancelFeedback": "too_expensive"}, `"status":"Cancelled"`, "status:canceled"},
	} {
		a.Clock.Advance(time.Hour)
		e, err := a.Scope.Verb(ctx, "Subscription", row.verb, id, row.args)
		if err != nil {
			t.Fatalf("%s: %v", row.verb, err)
		}
		if !strings.Contains(string(e.Doc()), row.want) {
			t.Errorf("%s: got %s, want %s", row.verb, e.Doc(), row.want)
		}
		if at := fmt.Sprint(a.stripe.Get(e.Text("stripeSubscriptionId"))); !strings.Contains(at, row.at) {
			t.Errorf("%s: at Stripe %s, want %s", row.verb, at, row.at)
		}
		a.deliver(t, a.stripe.Webhooks()...)
	}
	want := "Created Updated Upgraded Downgraded Paused Reactivated Updated Reactivated Renewed Cancelled"
	if got := a.history(t, id); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	_, err := a.Scope.Verb(ctx, "Subscription", "reactivate", id, nil)
	refusedAt(t, err, "status", "create another")
	err = a.Scope.Delete(ctx, "Subscription", id)
	refusedAt(t, err, "status", "cancel it")
}

func TestTheOtherTypesGoBothWays(t *testing.T) {
	a := connected(t, 1)
	ctx := t.Context()
	ada := must(t)(a.Scope.Create(ctx, "Customer", fields{"name": "Ada", "email": "ada@example.com", "phone": "1"}))
	must(t)(a.Scope.Update(ctx, "Customer", ada.ID, fields{"name": "Ada L", "phone": nil}))
	if o := a.stripe.Get(ada.Text("stripeCustomerId")); o["name"] != "Ada L" || o["phone"] != nil {
		t.Errorf("customer at Stripe: %v", o)
	}
	prod := must(t)(a.Scope.Create(ctx, "Product", fields{"name": "Gold", "slug": "gold", "features": []any{"a", "b"}}))
	price := must(t)(a.Scope.Create(ctx, "Price", fields{"amount": 1200, "currency": "EUR", "interval": "Quarterly", "product": prod.ID}))
	if o := fmt.Sprint(a.stripe.Get(price.Text("stripePriceId"))["recurring"]); o != "map[interval:month interval_count:3 usage_type:licensed]" {
		t.Errorf("price at Stripe: %s", o)
	}
	_, err := a.Scope.Update(ctx, "Price", price.ID, fields{"amount": 1})
	refusedAt(t, err, "amount", "never changes")
	must(t)(a.Scope.Update(ctx, "Price", price.ID, fields{"active": false}))
	refusedAt(t, a.Scope.Delete(ctx, "Product", prod.ID), "$id", "cannot be deleted")
	inv := must(t)(a.Scope.Create(ctx, "Invoice", fields{"customer": ada.ID, "currency": "EUR", "lineItems": []any{fields{"amount": 700, "description": "work"}, fields{"amount": 300}}}))
	if inv.Number("total") != "1000" || inv.Text("status") != "Draft" {
		t.Errorf("invoice: %s", inv.Doc())
	}
	inv = must(t)(a.Scope.Verb(ctx, "Invoice", "finalize", inv.ID, nil))
	inv = must(t)(a.Scope.Verb(ctx, "Invoice", "pay", inv.ID, nil))
	if inv.Text("status") != "Paid" || inv.Text("paidAt") == "" || inv.Number("amountPaid") != "1000" {
		t.Errorf("paid: %s", inv.Doc())
	}
	a.deliver(t, a.stripe.Webhooks()...)
	pay := a.find(t, "Payment", "invoice", inv.ID)
	if got := a.history(t, pay.ID); got != "Created Captured Updated" {
		t.Errorf("payment: %s", got)
	}
	pay = must(t)(a.Scope.Verb(ctx, "Payment", "refund", pay.ID, fields{"amount": 400}))
	if pay.Text("status") != "Succeeded" || pay.Number("amountRefunded") != "400" || pay.Number("amount") != "1000" {
		t.Errorf("refund of a part: %s", pay.Doc())
	}
	pay = must(t)(a.Scope.Verb(ctx, "Payment", "refund", pay.ID, nil))
	if pay.Text("status") != "Refunded" {
		t.Errorf("refund: %s", pay.Doc())
	}
	if n := a.stripe.Created["refunds"]; n != 2 {
		t.Errorf("%d refunds at Stripe, want 2", n)
	}
	_, err = a.Scope.Create(ctx, "Payment", fields{"amount": 1, "currency": "EUR"})
	refusedAt(t, err, "amount", "at least 50")
	held := must(t)(a.Scope.Create(ctx, "Payment", fields{"amount": 900, "currency": "EUR", "paymentMethod": "pm_card", "confirm": true, "captureMethod": "manual"}))
	if held = must(t)(a.Scope.Verb(ctx, "Payment", "capture", held.ID, nil)); held.Text("status") != "Succeeded" {
		t.Errorf("capture: %s", held.Doc())
	}
	if err := a.Scope.Delete(ctx, "Customer", ada.ID); err != nil {
		t.Fatal(err)
	}
	if o := a.stripe.Get(ada.Text("stripeCustomerId")); o["deleted"] != true {
		t.Errorf("deleted customer at Stripe: %v", o)
	}
	a.deliver(t, a.stripe.Webhooks()...)
	if n := a.count(t, "Customer"); n != 1 {
		t.Errorf("%d customers, want 1", n)
	}
}
