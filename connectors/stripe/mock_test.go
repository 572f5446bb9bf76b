package stripe_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
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

// description has every request of a connector judged by stripe-mock on its way
// to the stand-in.
type description struct {
	mock string

	mu      sync.Mutex
	shapes  map[string]int // accepted, by method, path and names of the parameters
	params  map[string]bool
	refused []string
}

// RoundTrip implements http.RoundTripper.
func (d *description) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	status, answer, err := d.ask(r.Method, r.URL.RequestURI(), r.Header, body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	for name, v := range r.URL.Query() {
		form[name] = append(form[name], v...)
	}
	shape := r.Method + " " + object.ReplaceAllString(r.URL.Path, "/{id}")
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []string
	for _, name := range slices.Sorted(maps.Keys(form)) {
		d.params[name] = true
		names = append(names, name)
	}
	if status != http.StatusOK {
		d.refused = append(d.refused, fmt.Sprintf("%s %v: %d %s", shape, form, status, answer))
	}
	d.shapes[shape+" "+strings.Join(names, " ")]++
	return http.DefaultTransport.RoundTrip(r)
}

var object = regexp.MustCompile(`/[a-z]+_[A-Za-z0-9]*[0-9][A-Za-z0-9]*`)

func (d *description) ask(method, uri string, header http.Header, body []byte) (int, string, error) {
	req, err := http.NewRequest(method, d.mock+uri, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header = header.Clone()
	req.Header.Set("Authorization", "Bearer "+stripetest.MockKey)
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	return res.StatusCode, string(raw), err
}

// TestStripesOwnDescription holds the connector against Stripe's OpenAPI
// description and its examples.
func TestStripesOwnDescription(t *testing.T) {
	d := &description{mock: stripetest.StartMock(t, "../.."), shapes: map[string]int{}, params: map[string]bool{}}
	t.Run("takes every request", func(t *testing.T) { requests(t, d) })
	t.Run("has examples that are read", func(t *testing.T) { examples(t, d) })
}

// requests has the connector do everything that it can with every argument.
// Each request has to be one that the description allows; that none is left out
// is checked against the connector's source.
func requests(t *testing.T, d *description) {
	t.Helper()
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for body, want := range map[string]int{"name=Ada": 200, "name=Ada&unheard=of": 400, "invoice_settings[default_payment_method][x]=1": 400} {
		if status, answer, err := d.ask("POST", "/v1/customers", form, []byte(body)); err != nil || status != want {
			t.Fatalf("stripe-mock on %s: got %d %s, %v; want %d", body, status, answer, err, want)
		}
	}
	a := &account{logs: new(bytes.Buffer)}
	a.Bench = connectortest.Start(t, connectortest.Options{Registry: connectors.Registry{stripe.New()}, Client: &http.Client{Transport: d}})
	a.stripe = stripetest.Start(t, a.Clock.Now)
	a.stripe.Seed(120) // more than a page
	a.stripe.Act("POST", "/v1/customers", "name=Without&email=without@example.com")
	a.subscribe(stripetest.ItemsShown + 1)
	a.connect(t, a.args())
	a.WaitStatus(t, a.id, "Synced")
	everything(t, a)

	// A sync of what has happened; one after more than the thirty days that
	// events are kept; connecting again; a platform's account; the end.
	resync := func() {
		t.Helper()
		before := a.Integration(t, a.id).Text("lastSyncAt")
		a.Clock.Advance(time.Second)
		must(t)(a.Scope.Verb(t.Context(), "Integration", "sync", a.id, nil))
		connectortest.WaitFor(t, "the sync ends", func() bool {
			e := a.Integration(t, a.id)
			return e.Text("status") == "Synced" && e.Text("lastSyncAt") != before
		})
	}
	resync()
	a.stripe.Do(func(s *stripetest.Server) { s.ForgetEvents() })
	a.Clock.Advance(40 * 24 * time.Hour)
	resync()
	a.connect(t, a.args())
	platform := maps.Clone(a.args())
	platform["account"], platform["slug"] = "acct_connected", "platform"
	first := a.id
	a.connect(t, platform)
	a.WaitStatus(t, a.id, "Synced")
	for _, id := range []string{first, a.id} {
		must(t)(a.Scope.Verb(t.Context(), "Integration", "disconnect", id, nil))
	}

	for _, r := range d.refused {
		t.Errorf("Stripe's description does not allow %s", r)
	}
	t.Logf("%d shapes of requests", len(d.shapes))
	paths, params := source(t)
	for _, p := range paths {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(d.shapes)), func(s string) bool { return strings.Contains(s, " "+strings.TrimSuffix(p, "/")) }) {
			t.Errorf("no request to %s was made", p)
		}
	}
	for _, p := range params {
		if !d.params[p] {
			t.Errorf("no request with the parameter %s was made", p)
		}
	}
}

// everything does every verb with every argument that reaches Stripe.
func everything(t *testing.T, a *account) {
	t.Helper()
	ctx := t.Context()
	create := func(typ string, f fields) *graph.Entity {
		t.Helper()
		return must(t)(a.Scope.Create(ctx, typ, f))
	}
	do := func(e *graph.Entity, verb string, f fields) {
		t.Helper()
		a.Clock.Advance(time.Minute)
		if _, err := a.Scope.Verb(ctx, e.Type, verb, e.ID, f); err != nil {
			t.Errorf("%s %v: %v", verb, f, err)
		}
	}
	soon := a.Clock.Now().Add(30 * 24 * time.Hour).Format(time.RFC3339)
	more := fields{"tier": "gold"}

	contact := create("Contact", fields{"name": "Grace", "email": "grace@example.com"})
	ada := create("Customer", fields{"name": "Ada", "email": "ada@example.com", "phone": "1", "description": "d", "taxExempt": "none", "paymentMethod": "pm_card_visa", "contact": contact.ID, "metadata": more})
	do(ada, "update", fields{"name": "Ada L", "phone": nil, "description": "", "taxExempt": "exempt", "paymentMethod": "pm_card_visa", "metadata": fields{"tier": nil}})
	gone := create("Customer", fields{"name": "Gone", "email": "gone@example.com"})
	if err := a.Scope.Delete(ctx, "Customer", gone.ID); err != nil {
		t.Error(err)
	}

	gold := create("Product", fields{"name": "Gold", "slug": "gold", "description": "d", "image": "https://example.com/i.png", "features": []any{"a", "b"}, "status": "Active", "metadata": more})
	do(gold, "update", fields{"name": "Gold 2", "status": "Archived", "slug": "gold-2"})
	do(gold, "update", fields{"status": "Active"})
	bare := create("Product", fields{"name": "Bare"})
	if err := a.Scope.Delete(ctx, "Product", bare.ID); err != nil {
		t.Error(err)
	}

	var prices []*graph.Entity
	for i, interval := range []string{"Monthly", "Daily", "Weekly", "Quarterly", "Yearly", "OneTime", "Usage"} {
		prices = append(prices, create("Price", fields{"amount": 1000 + i, "currency": "EUR", "interval": interval, "intervalCount": 1, "active": true, "nickname": interval, "lookupKey": "gold-" + interval, "product": gold.ID, "metadata": more}))
	}
	do(prices[1], "update", fields{"active": false, "nickname": "old", "lookupKey": "gold-old"})

	sub := create("Subscription", fields{
		"price": prices[0].ID, "customer": ada.ID, "quantity": 2, "cancelAtPeriodEnd": false, "collectionMethod": "charge_automatically", "trialDays": 7,
		"paymentMethod": "pm_card_visa", "paymentBehavior": "allow_incomplete", "metadata": more,
	})
	do(sub, "activate", nil)
	do(sub, "update", fields{"quantity": 3, "proration": "always_invoice"})
	do(sub, "update", fields{"trialEnd": soon, "collectionMethod": "charge_automatically", "cancelAtPeriodEnd": true, "contact": contact.ID})
	do(sub, "reactivate", nil)
	do(sub, "upgrade", fields{"price": prices[4].ID, "proration": "none"})
	do(sub, "downgrade", fields{"plan": "gold-Monthly", "proration": true})
	do(sub, "pause", fields{"behavior": "keep_as_draft", "resumesAt": soon})
	do(sub, "reactivate", nil)
	do(sub, "renew", nil)
	do(sub, "cancel", fields{"atPeriodEnd": true, "cancelFeedback": "too_expensive", "comment": "c"})
	do(sub, "cancel", fields{"cancelFeedback": "other", "comment": "c", "prorate": true, "invoiceNow": true})
	a.stripe.Act("POST", "/v1/coupons", "id=ten&percent_off=10&duration=forever")
	create("Subscription", fields{"plan": "pro", "contact": contact.ID, "coupon": "ten", "trialEnd": soon, "collectionMethod": "send_invoice", "daysUntilDue": 14})
	poor := create("Contact", fields{"name": "Poor", "email": "poor@example.com"})
	waiting := create("Subscription", fields{"plan": "pro", "contact": poor.ID})
	do(waiting, "activate", nil)
	ended := create("Subscription", fields{"plan": "pro", "contact": contact.ID, "trialDays": 1})
	a.stripe.Webhooks() // lost
	a.stripe.EndTrial(ended.Text("stripeSubscriptionId"))
	a.deliver(t, a.stripe.Webhooks()...)
	do(ended, "reactivate", nil)

	inv := create("Invoice", fields{
		"customer": ada.ID, "currency": "EUR", "autoAdvance": true, "description": "d", "collectionMethod": "charge_automatically", "metadata": more,
		"lineItems": []any{fields{"amount": 700, "description": "work"}, fields{"price": prices[5].Text("stripePriceId"), "quantity": 2}},
	})
	do(inv, "update", fields{"description": "other", "metadata": fields{"tier": "iron"}})
	do(inv, "finalize", nil)
	do(inv, "pay", fields{"paymentMethod": "pm_card_visa"})
	due := create("Invoice", fields{"customer": ada.ID, "currency": "EUR", "dueAt": soon, "lineItems": []any{fields{"amount": 100}}})
	do(due, "update", fields{"dueAt": soon})
	do(due, "finalize", nil)
	do(due, "pay", fields{"outOfBand": true})
	void := create("Invoice", fields{"customer": ada.ID, "currency": "EUR", "lineItems": []any{fields{"amount": 100}}})
	do(void, "finalize", nil)
	do(void, "void", nil)
	draft := create("Invoice", fields{"customer": ada.ID, "currency": "EUR"})
	if err := a.Scope.Delete(ctx, "Invoice", draft.ID); err != nil {
		t.Error(err)
	}

	pay := create("Payment", fields{"amount": 900, "currency": "EUR", "description": "d", "customer": ada.ID, "captureMethod": "manual", "paymentMethod": "pm_card_visa", "confirm": true, "metadata": more})
	do(pay, "capture", fields{"amount": 800})
	do(pay, "refund", fields{"amount": 100, "reason": "requested_by_customer"})
	do(pay, "refund", nil)
	open := create("Payment", fields{"amount": 900, "currency": "EUR"})
	do(open, "update", fields{"amount": 1000, "description": "other"})
}

var (
	sourcePath   = regexp.MustCompile(`"(/v1/[a-z_/]+)"`)
	sourceParams = regexp.MustCompile(`(?:Set\(|put\(form, "[a-zA-Z]+", )"([a-z_]+(?:\[[a-z_0-9]+\])*)"|url\.Values\{"([a-z_]+(?:\[[a-z_0-9]+\])*)"`)
)

// source finds the paths and parameters that the connector's source names.
func source(t *testing.T) (paths, params []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range sourcePath.FindAllSubmatch(raw, -1) {
			paths = append(paths, string(m[1]))
		}
		for _, m := range sourceParams.FindAllSubmatch(raw, -1) {
			params = append(params, string(m[1])+string(m[2]))
		}
	}
	if len(paths) < 12 || len(params) < 40 {
		t.Fatalf("found %d paths and %d parameters in the source: it is written otherwise now", len(paths), len(params))
	}
	return paths, params
}

// examples has the first sync's lists answered with Stripe's examples in place
// of the stand-in's objects.
func examples(t *testing.T, d *description) {
	t.Helper()
	for _, list := range stripe.Lists() {
		status, body, err := d.ask("GET", list.Path+"?"+list.Query.Encode(), http.Header{}, nil)
		if err != nil || status != http.StatusOK {
			t.Errorf("%s: got %d %s, %v", list.Path, status, body, err)
			continue
		}
		var page struct{ Data []json.RawMessage }
		if err := json.Unmarshal([]byte(body), &page); err != nil || len(page.Data) == 0 {
			t.Errorf("%s: got %s, %v", list.Path, body, err)
		}
		for _, raw := range page.Data {
			if typ, id, err := list.Read(raw); err != nil || list.Path != "/v1/invoice_payments" && (typ == "" || id == "") { // that example names no payment
				t.Errorf("%s: read %q %q, %v from %s", list.Path, typ, id, err, raw)
			}
		}
	}
}
