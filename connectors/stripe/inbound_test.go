package stripe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/connectortest"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/stripe/stripetest"
)

func TestWebhooksInAnyOrderAndMoreThanOnceEndAtTheSameState(t *testing.T) {
	a := connected(t, 1)
	cus := a.stripe.All("customers")[0]["id"].(string)
	for i := range 6 {
		a.stripe.Act("POST", "/v1/customers/"+cus, fmt.Sprintf("name=Name %d", i))
		if i%2 == 0 {
			a.Clock.Advance(time.Second) // some within the same second, which is all that Stripe tells
		}
	}
	sub := a.stripe.All("subscriptions")[0]["id"].(string)
	a.stripe.Act("POST", "/v1/subscriptions/"+sub, "pause_collection[behavior]=void")
	a.Clock.Advance(time.Second)
	a.stripe.Act("POST", "/v1/subscriptions/"+sub, "pause_collection=")
	a.Clock.Advance(time.Second)
	a.stripe.Act("DELETE", "/v1/subscriptions/"+sub, "")
	all := a.stripe.Webhooks()
	slices.Reverse(all)
	for _, d := range append(slices.Clone(all), all...) {
		a.deliver(t, d)
	}
	e := a.find(t, "Customer", "stripeCustomerId", cus)
	if e.Text("name") != "Name 5" {
		t.Errorf("got %s", e.Doc())
	}
	s := a.find(t, "Subscription", "stripeSubscriptionId", sub)
	if got := a.history(t, s.ID); s.Text("status") != "Cancelled" || got != "Created Updated Cancelled" {
		t.Errorf("got %s after %s", s.Text("status"), got)
	}
}

func TestAnUnknownObjectIsReadAndADeletedOneStaysDeleted(t *testing.T) {
	a := connected(t, 1)
	made := a.stripe.Act("POST", "/v1/customers", "name=Late&email=late@example.com")
	id := made["id"].(string)
	a.stripe.Act("POST", "/v1/customers/"+id, "name=Later")
	created := a.stripe.Webhooks()[0]
	a.stripe.Act("POST", "/v1/customers/"+id, "name=Latest")
	updated := a.stripe.Webhooks()[0]
	a.deliver(t, updated) // its creation never came
	if e := a.find(t, "Customer", "stripeCustomerId", id); e.Text("name") != "Latest" {
		t.Errorf("got %s", e.Doc())
	}
	a.Clock.Advance(time.Minute)
	a.stripe.Act("DELETE", "/v1/customers/"+id, "")
	a.deliver(t, a.stripe.Webhooks()...)
	a.deliver(t, created) // late
	if n := a.count(t, "Customer"); n != 1 {
		t.Errorf("%d customers, want the deleted one to stay away", n)
	}
}

func TestSignaturesAreCheckedBothWaysInTime(t *testing.T) {
	a := connected(t, 1)
	cus := a.stripe.All("customers")[0]["id"].(string)
	a.stripe.Act("POST", "/v1/customers/"+cus, "name=X")
	d := a.stripe.Webhooks()[0]
	good := a.receipt(d)
	for name, row := range map[string]struct {
		ok     bool
		change func()
	}{
		"as it came":                  {true, func() {}},
		"five minutes old":            {true, func() { a.Clock.Advance(5 * time.Minute) }},
		"older":                       {false, func() { a.Clock.Advance(5*time.Minute + time.Second) }},
		"of a future not far away":    {true, func() { a.Clock.Advance(-5 * time.Minute) }},
		"of a future farther than it": {false, func() { a.Clock.Advance(-5*time.Minute - time.Second) }},
		"another body":                {false, func() { good.Body = append(bytes.Clone(d.Body), ' ') }},
		"no signature":                {false, func() { good.Headers = "" }},
		"of another secret":           {false, func() { good.Headers = strings.ReplaceAll(good.Headers, "v1=", "v1=00") }},
	} {
		was := a.Clock.Now()
		good = a.receipt(d)
		row.change()
		if err := a.Connections.Verify(&good); (err == nil) != row.ok {
			t.Errorf("%s: got %v", name, err)
		}
		a.Clock.Advance(was.Sub(a.Clock.Now()))
	}
	for name, r := range map[string]func(){
		"another integration": func() { good.Integration = "integration_aaaaaaaaaa" },
		"another tenant":      func() { good.Tenant = "other" },
		"another provider":    func() { good.Provider = "github" },
	} {
		good = a.receipt(d)
		r()
		if err := a.Connections.Verify(&good); !errors.Is(err, connectors.ErrUnknown) {
			t.Errorf("%s: got %v, want unknown", name, err)
		}
	}
}

func TestOtherVersionsOtherModesAndOddObjects(t *testing.T) {
	a := connected(t, 1)
	cus := a.stripe.All("customers")[0]["id"].(string)
	a.stripe.Act("POST", "/v1/customers/"+cus, "name=Now")
	hook := a.stripe.Webhooks()[0]
	a.Clock.Advance(time.Minute)
	send := func(old, repl string) {
		d := hook
		d.Body = bytes.ReplaceAll(bytes.ReplaceAll(d.Body, []byte(`"id":"evt_`), []byte(`"id":"evt_x`+fmt.Sprint(len(repl)))), []byte(old), []byte(repl))
		if err := a.Connections.Receive(t.Context(), receipts(a.receipt(d))); err != nil {
			t.Fatal(err)
		}
	}
	send(`"livemode":true`, `"livemode":false`)
	if e := a.find(t, "Customer", "stripeCustomerId", cus); e.Text("name") != "Customer 0" {
		t.Errorf("an event of test mode changed %s", e.Doc())
	}
	// Rendered in another version: the fields may mean anything.
	send(stripetest.Version+`"`, `2019-01-01","was":"`+`"`)
	if e := a.find(t, "Customer", "stripeCustomerId", cus); e.Text("name") != "Now" {
		t.Errorf("an event of another version: got %s", e.Doc())
	}
	send(`"name":"Now"`, `"name":{"odd":1}`) // an object that nobody can read is dropped, and costs no other
	send(`"type":"customer.updated"`, `"type":"never.heard"`)
	a.stripe.Act("POST", "/v1/customers/"+cus, "name=After")
	a.deliver(t, a.stripe.Webhooks()...)
	if e := a.find(t, "Customer", "stripeCustomerId", cus); e.Text("name") != "After" {
		t.Errorf("got %s", e.Doc())
	}
}

func TestWhatWebhooksLostIsInTheEvents(t *testing.T) {
	a := connected(t, 2)
	for i := range 250 {
		a.stripe.Act("POST", "/v1/customers", fmt.Sprintf("name=N%d&email=n%d@example.com", i, i))
	}
	a.stripe.Act("DELETE", "/v1/customers/"+a.stripe.All("customers")[0]["id"].(string), "")
	a.stripe.Webhooks() // lost
	a.Clock.Advance(16 * time.Minute)
	connectortest.WaitFor(t, "the periodic sync", func() bool { return a.count(t, "Customer") == 251 })
	// After a pause longer than Stripe keeps events everything is listed again.
	a.stripe.Do(func(s *stripetest.Server) { s.Outage = true })
	cus := a.stripe.All("customers")[0]["id"].(string)
	a.stripe.Act("POST", "/v1/customers/"+cus, "name=Long ago")
	a.stripe.Act("DELETE", "/v1/customers/"+a.stripe.All("customers")[5]["id"].(string), "")
	a.stripe.Webhooks()
	a.Clock.Advance(40 * 24 * time.Hour)
	a.WaitStatus(t, a.id, "Errored")
	a.stripe.Do(func(s *stripetest.Server) { s.Outage = false; s.ForgetEvents() })
	a.Clock.Advance(time.Hour)
	a.WaitStatus(t, a.id, "Synced")
	if e := a.find(t, "Customer", "stripeCustomerId", cus); e.Text("name") != "Long ago" {
		t.Errorf("got %s", e.Doc())
	}
	connectortest.WaitFor(t, "what was deleted meanwhile is gone", func() bool { return a.count(t, "Customer") == 250 })
	if got := a.history(t, a.id); !strings.Contains(got, "Errored") || !strings.Contains(got, "Recovered Synced") {
		t.Errorf("got %s", got)
	}
}

func TestARefusedCredentialLeavesNothing(t *testing.T) {
	a := open(t, 1)
	for name, row := range map[string]struct {
		key    string
		status int
		field  string
		says   string
	}{
		"unknown":        {"sk_live_wrong", 502, "apiKey", "refuses the credential"},
		"publishable":    {"pk_live_x", 400, "apiKey", "publishable"},
		"no key of them": {"hello", 400, "apiKey", "does not look like"},
		"none":           {"", 400, "apiKey", "missing"},
	} {
		args := a.args()
		args["apiKey"] = row.key
		_, err := a.Scope.Verb(t.Context(), "Integration", "connect", "", args)
		var e *graph.Error
		if !errors.As(err, &e) || e.Status() != row.status || e.Field != row.field || !strings.Contains(e.Message, row.says) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	page, err := a.Scope.Find(t.Context(), graph.Query{Type: "Integration"})
	if err != nil || len(page.Results) != 1 || page.Results[0].Text("status") != "Errored" || page.Results[0].Text("error") == "" {
		t.Fatalf("got %v, %v; want one that is Errored", page.Results, err)
	}
	id := page.Results[0].ID
	if got := a.history(t, id); got != "Created Errored" {
		t.Errorf("got %s", got)
	}
	if a.Store.Credentials(id) != nil || len(a.stripe.All("webhook_endpoints")) != 0 || a.count(t, "Customer") != 0 {
		t.Error("something was half-made")
	}
	// A key that works makes the same integration work.
	if e := a.connect(t, a.args()); e.ID != id {
		t.Errorf("got another integration: %s", e.ID)
	}
	a.WaitStatus(t, id, "Synced")
}

func TestARestrictedKeyIsToldWhatItLacks(t *testing.T) {
	a := open(t, 1)
	a.stripe.Do(func(s *stripetest.Server) {
		s.Forbid = map[string]string{"GET /v1/invoices": "rak_invoice_read", "GET /v1/events": "rak_event_read", "POST /v1/webhook_endpoints": "rak_webhook_write", "GET /v1/account": "rak_accounts_kyc_basic_read"}
	})
	args := a.args()
	args["apiKey"] = stripetest.RestrictedKey
	_, err := a.Scope.Verb(t.Context(), "Integration", "connect", "", args)
	var e *graph.Error
	if !errors.As(err, &e) || !strings.Contains(e.Message, "rak_event_read, rak_invoice_read") || len(e.Details) != 2 {
		t.Fatalf("got %v", err)
	}
	a.stripe.Do(func(s *stripetest.Server) { delete(s.Forbid, "GET /v1/invoices"); delete(s.Forbid, "GET /v1/events") })
	got := a.connect(t, args) // without a webhook it lives from the periodic sync
	if !strings.Contains(string(got.Doc()), "rak_webhook_write") {
		t.Errorf("got %s", got.Doc())
	}
	a.WaitStatus(t, a.id, "Synced")
	a.stripe.Act("POST", "/v1/customers", "name=N&email=n@example.com")
	a.Clock.Advance(16 * time.Minute)
	connectortest.WaitFor(t, "the periodic sync", func() bool { return a.count(t, "Customer") == 2 })
}

func TestConnectingOutlastsARateLimit(t *testing.T) {
	a := open(t, 1)
	left := map[string]int{}
	crowd := func() {
		a.stripe.Do(func(s *stripetest.Server) {
			for _, call := range []string{"GET /v1/account", "GET /v1/events", "GET /v1/webhook_endpoints", "POST /v1/webhook_endpoints"} {
				left[call] = 2
			}
			s.Fail = func(w http.ResponseWriter, r *http.Request) bool {
				parts := strings.Split(r.URL.Path, "/")
				call := r.Method + " /v1/" + parts[2]
				if left[call]--; left[call] < 0 {
					return false
				}
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(http.StatusTooManyRequests)
				_, _ = io.WriteString(w, `{"error":{"type":"invalid_request_error","code":"rate_limit","message":"Too many requests"}}`)
				return true
			}
		})
	}
	crowd()
	a.connect(t, a.args())
	a.WaitStatus(t, a.id, "Synced")
	crowd()
	a.connect(t, a.args()) // the endpoint that is there is changed
	if n := len(a.stripe.All("webhook_endpoints")); n != 1 {
		t.Errorf("%d endpoints, want one", n)
	}
	a.stripe.Do(func(*stripetest.Server) {
		for call, n := range left {
			if n >= 0 {
				t.Errorf("%s was not tried again", call)
			}
		}
	})
}

func TestRotationModesAndDisconnect(t *testing.T) {
	a := connected(t, 1)
	ctx := t.Context()
	rotated := a.args()
	rotated["apiKey"] = stripetest.LiveKey + "2"
	if e := a.connect(t, rotated); e.Number("errorCount") != "0" {
		t.Errorf("got %s", e.Doc())
	}
	a.stripe.Revoke(stripetest.LiveKey)
	a.WaitStatus(t, a.id, "Synced")
	if n := len(a.stripe.All("webhook_endpoints")); n != 1 {
		t.Errorf("%d endpoints after a rotation, want one", n)
	}
	if a.Store.Credentials(a.id)["apiKey"].Reveal() != stripetest.LiveKey+"2" {
		t.Error("the old key is still there")
	}
	test := a.args()
	test["apiKey"] = stripetest.TestKey
	_, err := a.Scope.Verb(ctx, "Integration", "connect", "", test)
	if graph.CodeOf(err) != graph.CodeValidation || !strings.Contains(err.Error(), "another slug") {
		t.Errorf("a key of test mode: got %v", err)
	}
	// The key is revoked at Stripe: the integration turns Errored, and mutations are told.
	a.stripe.Revoke(stripetest.LiveKey + "2")
	if _, err := a.Scope.Verb(ctx, "Integration", "sync", a.id, nil); err != nil {
		t.Fatal(err)
	}
	a.WaitStatus(t, a.id, "Errored")
	_, err = a.Scope.Create(ctx, "Customer", fields{"name": "A", "email": "a@example.com"})
	if graph.CodeOf(err) != graph.CodeProvider || a.count(t, "Customer") != 1 {
		t.Errorf("a create with a revoked key: got %v", err)
	}
	rotated["apiKey"] = stripetest.LiveKey + "3"
	a.connect(t, rotated)
	a.WaitStatus(t, a.id, "Synced")
	if _, err := a.Scope.Verb(ctx, "Integration", "disconnect", a.id, nil); err != nil {
		t.Fatal(err)
	}
	if n := len(a.stripe.All("webhook_endpoints")); n != 0 || a.Store.Credentials(a.id) != nil {
		t.Errorf("after disconnect: %d endpoints, credentials %v", n, a.Store.Credentials(a.id) != nil)
	}
	before := a.stripe.Created["customers"]
	if _, err := a.Scope.Create(ctx, "Customer", fields{"name": "B", "email": "b@example.com"}); err != nil {
		t.Error(err)
	}
	if a.stripe.Created["customers"] != before {
		t.Error("a disconnected Stripe was called")
	}
	if page, err := a.Scope.Find(ctx, graph.Query{Type: "Integration", Filter: fields{"status": "Active"}}); err != nil || page.Total != 0 {
		t.Errorf("find Active: %d, %v", page.Total, err)
	}
}

func TestNoCredentialLiesOrShowsAnywhere(t *testing.T) {
	a := open(t, 1)
	const canary = stripetest.LiveKey + "_c4nary"
	args := a.args()
	args["apiKey"] = canary
	a.connect(t, args)
	a.WaitStatus(t, a.id, "Synced")
	a.stripe.Do(func(s *stripetest.Server) {
		s.Outage = true
	})
	_, err := a.Scope.Create(context.Background(), "Customer", fields{"name": "A", "email": "a@example.com"})
	if err == nil {
		t.Error("it was made although Stripe was down")
	}
	secret := a.Store.Credentials(a.id)["webhookSecret"].Reveal()
	if secret == "" {
		t.Fatal("no webhook secret")
	}
	if _, err := a.Scope.Verb(context.Background(), "Integration", "sync", a.id, nil); err != nil {
		t.Fatal(err)
	}
	a.WaitStatus(t, a.id, "Errored")
	events, err2 := a.Scope.Events(context.Background(), graph.EventQuery{Limit: 1000})
	if err2 != nil {
		t.Fatal(err2)
	}
	texts := map[string]string{"the error": err.Error(), "the entity": string(a.Integration(t, a.id).Doc())}
	for _, e := range events {
		texts["event "+e.Name] = string(e.Data)
	}
	a.Close(t)
	texts["the log"] = a.logs.String()
	for where, text := range texts {
		if strings.Contains(text, canary) || strings.Contains(text, secret) {
			t.Errorf("a credential shows in %s: %s", where, text)
		}
	}
	if err := filepath.WalkDir(a.Dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if bytes.Contains(raw, []byte(canary)) || bytes.Contains(raw, []byte(secret)) {
			t.Errorf("a credential lies readable in %s", path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	a.Open(t)
}
