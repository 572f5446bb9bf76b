package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/outbox"
	"github.com/headlessly/headlessly/connectors/outbox/outboxtest"
	"github.com/headlessly/headlessly/connectors/webhook"
	"github.com/headlessly/headlessly/connectors/webhook/signature"
)

type fields = map[string]any

const (
	hookID = "integration_hook"
	secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

// post is one request as a receiver got it.
type post struct {
	header http.Header
	body   []byte
}

// receiver is a tenant's server.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	posts  []post
	answer func(n int, w http.ResponseWriter)
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.posts = append(r.posts, post{req.Header.Clone(), body})
		n, answer := len(r.posts), r.answer
		r.mu.Unlock()
		if answer != nil {
			answer(n, w)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answers(f func(n int, w http.ResponseWriter)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

func (r *receiver) got() []post {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]post(nil), r.posts...)
}

type rig struct {
	t     testing.TB
	graph *graph.Store
	acme  *graph.Scope
	clock *outboxtest.Clock
	box   *outbox.Box
	c     *webhook.Connector
	to    *receiver
	mu    sync.Mutex
	fails []string
}

func open(ctx context.Context, url string) error {
	if strings.Contains(url, "10.0.0.1") {
		return errors.New("address is not allowed")
	}
	return ctx.Err()
}

func start(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t, clock: outboxtest.NewClock(), to: newReceiver(t)}
	r.graph = outboxtest.Graph(t, t.TempDir())
	r.acme = outboxtest.Scope(t, r.graph)
	r.box = outboxtest.Box(t, r.graph, r.clock, nil)
	r.c = webhook.New(r.box, open)
	return r
}

func (r *rig) link(f fields, secrets map[string]string) *connectors.Link {
	r.t.Helper()
	all := fields{"url": r.to.URL + "/hook?token=abcdef", "events": []any{"Deal.*"}}
	for k, v := range f {
		all[k] = v
	}
	return outboxtest.Link(r.t, r.graph, r.clock, hookID, all, secrets, func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if err != nil {
			r.fails = append(r.fails, err.Error())
		} else {
			r.fails = append(r.fails, "")
		}
	})
}

// connect does what lifecycle does.
func (r *rig) connect(l *connectors.Link) (detach func()) {
	r.t.Helper()
	for _, err := range []error{r.c.Validate(r.t.Context(), l), r.c.Register(r.t.Context(), l)} {
		if err != nil {
			r.t.Fatal(err)
		}
	}
	detach, err := r.c.Attach(r.t.Context(), l)
	if err != nil {
		r.t.Fatal(err)
	}
	return detach
}

func (r *rig) arrived(n int) []post {
	r.t.Helper()
	outboxtest.Until(r.t, "requests arrive", func() bool { return len(r.to.got()) >= n })
	return r.to.got()
}

func (r *rig) deal(f fields) *graph.Entity {
	r.t.Helper()
	e, err := r.acme.Create(r.t.Context(), "Deal", f)
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

func TestADeliveryHasTheBodyAndHeadersOfTheSpecification(t *testing.T) {
	r := start(t)
	r.connect(r.link(nil, map[string]string{"secret": secret, "headers": `{"X-Team":"sales"}`}))
	deal := r.deal(fields{"name": "Enterprise <&>", "value": 50000, "contact": "contact_fX9bL5nRd", "stage": "Open"})
	r.arrived(1)
	if _, err := r.acme.Verb(t.Context(), "Deal", "close", deal.ID, fields{"reason": "signed"}); err != nil {
		t.Fatal(err)
	}
	p := r.arrived(2)[1]

	var body struct {
		ID, Event, Timestamp, Tenant string
		Data, Previous               fields
	}
	if err := json.Unmarshal(p.body, &body); err != nil {
		t.Fatalf("%v in %s", err, p.body)
	}
	if body.Event != "Deal.Closed" || body.Tenant != "acme" || !strings.HasPrefix(body.ID, "evt_") || !strings.HasSuffix(body.Timestamp, "Z") ||
		body.Data["$id"] != deal.ID || body.Data["stage"] != "Closed" || body.Data["value"] != 50000.0 || body.Data["name"] != "Enterprise <&>" ||
		body.Previous["stage"] != "Open" || len(body.Previous) != 2 || body.Previous["reason"] != nil {
		t.Errorf("got %s", p.body)
	}
	if !strings.Contains(string(p.body), `"previous":{"reason":null,"stage":"Open"}`) {
		t.Errorf("a field that was not there: got %s", p.body)
	}
	if strings.Contains(string(r.to.got()[0].body), "previous") {
		t.Errorf("a new entity has no previous: got %s", r.to.got()[0].body)
	}
	if p.header.Get("X-Team") != "sales" || p.header.Get("Content-Type") != "application/json" || p.header.Get("Webhook-Id") != body.ID {
		t.Errorf("got headers %v", p.header)
	}
	if err := signature.Verify(secret, p.header, p.body, r.clock.Now()); err != nil {
		t.Errorf("Standard Webhooks: %v", err)
	}
	if err := signature.VerifyBody(secret, p.header.Get("X-Headlessly-Signature"), p.body); err != nil {
		t.Errorf("X-Headlessly-Signature: %v", err)
	}
}

func TestARetryIsTheSameMessageSignedAnew(t *testing.T) {
	r := start(t)
	r.to.answers(func(n int, w http.ResponseWriter) {
		if n == 1 {
			w.WriteHeader(http.StatusFound) // not followed, and no success
		}
	})
	r.connect(r.link(nil, map[string]string{"secret": secret}))
	deal := r.deal(fields{"name": "one", "stage": "Open"})
	outboxtest.Until(t, "the failure is on disk", func() bool {
		d, err := r.box.Deliveries(t.Context(), "acme", hookID, outbox.Query{Limit: 1})
		return err == nil && len(d) == 1 && d[0].Attempts == 1 && d[0].Status == 302
	})
	if _, err := r.acme.Update(t.Context(), "Deal", deal.ID, fields{"name": "changed since"}); err != nil {
		t.Fatal(err)
	}
	r.arrived(2)
	r.clock.Forward(30 * time.Second)
	posts := r.arrived(3)
	first, again := posts[0], posts[2]
	if string(first.body) != string(again.body) || first.header.Get("Webhook-Id") != again.header.Get("Webhook-Id") {
		t.Errorf("got\n%s, first it was\n%s", again.body, first.body)
	}
	if err := signature.Verify(secret, again.header, again.body, r.clock.Now()); err != nil {
		t.Error(err)
	}
	if again.header.Get("Webhook-Timestamp") == first.header.Get("Webhook-Timestamp") {
		t.Error("the retry carries the first attempt's time: receivers would call it old")
	}
}

func TestABatchIsOneSignedBody(t *testing.T) {
	r := start(t)
	r.connect(r.link(fields{"batch": json.Number("3"), "batchWait": json.Number("60")}, map[string]string{"secret": secret}))
	for range 3 {
		r.deal(fields{"name": "one"})
	}
	p := r.arrived(1)[0]
	var body struct{ Events []fields }
	if err := json.Unmarshal(p.body, &body); err != nil || len(body.Events) != 3 || body.Events[0]["event"] != "Deal.Created" {
		t.Errorf("got %s, %v", p.body, err)
	}
	if err := signature.Verify(secret, p.header, p.body, r.clock.Now()); err != nil {
		t.Error(err)
	}
}

func TestARotationSignsWithBothSecretsForAWhile(t *testing.T) {
	r := start(t)
	first := r.link(nil, map[string]string{"secret": secret})
	detach := r.connect(first)
	detach()
	second := r.link(fields{"overlapHours": json.Number("2")}, map[string]string{"secret": "another secret of theirs"})
	second.Before = first
	r.connect(second)
	verify := func(want bool) {
		t.Helper()
		n := len(r.to.got())
		r.deal(fields{"name": "one"})
		p := r.arrived(n + 1)[n]
		if err := signature.Verify("another secret of theirs", p.header, p.body, r.clock.Now()); err != nil {
			t.Errorf("the new secret: %v", err)
		}
		if err := signature.Verify(secret, p.header, p.body, r.clock.Now()); (err == nil) != want {
			t.Errorf("the former secret: got %v, want it to sign: %v", err, want)
		}
	}
	verify(true)
	r.clock.Forward(2*time.Hour - time.Second)
	verify(true)
	r.clock.Forward(time.Second)
	verify(false)
}

func TestASecretIsMadeWhenNoneIsGiven(t *testing.T) {
	r := start(t)
	r.connect(r.link(nil, nil))
	made, _ := r.c.Secrets(hookID)
	if !strings.HasPrefix(made.Reveal(), "whsec_") {
		t.Fatalf("got %v", made)
	}
	tested, err := r.c.Test(t.Context(), "acme", hookID)
	if err != nil || !tested.Delivered || tested.Status != 200 {
		t.Errorf("the test: got %+v, %v", tested, err)
	}
	p := r.arrived(1)[0]
	if err := signature.Verify(made.Reveal(), p.header, p.body, r.clock.Now()); err != nil {
		t.Errorf("the test's signature: %v", err)
	}
	if !strings.Contains(string(p.body), `"event":"Webhook.Test"`) {
		t.Errorf("got %s", p.body)
	}
	r.to.answers(func(_ int, w http.ResponseWriter) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "no tea; "+made.Reveal())
	})
	if tested, err = r.c.Test(t.Context(), "acme", hookID); err != nil || tested.Delivered || tested.Status != 418 || !strings.Contains(tested.Answer, "no tea; [redacted]") {
		t.Errorf("a test that fails: got %+v, %v", tested, err)
	}
}

func TestEventsBetweenDetachAndAttachAreNotMissed(t *testing.T) {
	r := start(t)
	l := r.link(nil, map[string]string{"secret": secret})
	r.connect(l)()
	r.deal(fields{"name": "meanwhile"})
	r.connect(l)
	if p := r.arrived(1)[0]; !strings.Contains(string(p.body), "meanwhile") {
		t.Errorf("got %s", p.body)
	}
	if err := r.c.Disconnect(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	r.deal(fields{"name": "afterwards"})
	if other, _ := r.c.Secrets("integration_other"); other.Set() {
		t.Error("another integration has a secret")
	}
}

func TestGoneStopsAnEndpointAndTellsWhy(t *testing.T) {
	r := start(t)
	r.to.answers(func(_ int, w http.ResponseWriter) { w.WriteHeader(http.StatusGone) })
	r.connect(r.link(nil, map[string]string{"secret": secret}))
	r.deal(fields{"name": "one"})
	outboxtest.Until(t, "its health is told", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.fails) == 1 && strings.Contains(r.fails[0], "410")
	})
}

func TestSettingsAtFaultAreNamed(t *testing.T) {
	r := start(t)
	for _, c := range []struct {
		name    string
		fields  fields
		secrets map[string]string
		field   string
	}{
		{"no url", fields{"url": ""}, nil, "url"},
		{"a private url", fields{"url": "https://10.0.0.1/x"}, nil, "url"},
		{"no events", fields{"events": []any{}}, nil, "events"},
		{"a pattern that is none", fields{"events": []any{"Deal.*", "everything"}}, nil, "events[1]"},
		{"a type that is declared nowhere", fields{"events": []any{"Deal.*", "Bogus.Thing"}}, nil, "events[1]"},
		{"an event that its type does not have", fields{"events": []any{"Subscription.Canceled"}}, nil, "events[0]"},
		{"an event that no type has", fields{"events": []any{"*.Craeted"}}, nil, "events[0]"},
		{"a pattern with spaces", fields{"events": []any{"Deal.Closed now"}}, nil, "events[0]"},
		{"a negative timeout", fields{"timeout": json.Number("-1")}, nil, "timeout"},
		{"a timeout beyond the most", fields{"timeout": json.Number("31")}, nil, "timeout"},
		{"a batch that is no number", fields{"batch": "many"}, nil, "batch"},
		{"ordered that is no boolean", fields{"ordered": "yes"}, nil, "ordered"},
		{"too short a secret", nil, map[string]string{"secret": "short"}, "secret"},
		{"a whsec_ secret that is not base64", nil, map[string]string{"secret": "whsec_not base64 at all"}, "secret"},
		{"headers that are no object", nil, map[string]string{"headers": "X-A: b"}, "headers"},
		{"a header of ours", nil, map[string]string{"headers": `{"webhook-id":"x"}`}, "headers"},
		{"a header with a line break", nil, map[string]string{"headers": `{"X-A":"b\r\nX-B: c"}`}, "headers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := r.c.Validate(t.Context(), r.link(c.fields, c.secrets))
			if err == nil || !strings.Contains(err.Error(), c.field+":") {
				t.Errorf("got %v, want a fault of %s", err, c.field)
			}
		})
	}
}
