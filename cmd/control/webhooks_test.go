package control_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/outbox/outboxtest"
	"github.com/headlessly/headlessly/connectors/slack/slacktest"
	"github.com/headlessly/headlessly/connectors/webhook/signature"
)

// hookServer is a tenant's server, which answers as it is told.
type hookServer struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	bodies []string
	heads  []http.Header
}

func newHookServer(t testing.TB) *hookServer {
	t.Helper()
	s := &hookServer{status: 200}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.bodies, s.heads = append(s.bodies, string(body)), append(s.heads, r.Header.Clone())
		w.WriteHeader(s.status)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *hookServer) answers(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

func (s *hookServer) got() ([]string, []http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.bodies...), append([]http.Header(nil), s.heads...)
}

// webhook connects one and gives its path and its secret.
func (p *plane) webhook(t testing.TB, url string) (at, secret string) {
	t.Helper()
	status, made, raw := p.call(t, p.secret, "POST", "/~acme/webhooks", fmt.Sprintf(`{"url":%q,"events":["Deal.*"]}`, url))
	if status != 201 {
		t.Fatalf("got %d %s", status, raw)
	}
	secret, _ = made["secret"].(string)
	if !strings.HasPrefix(secret, "whsec_") || strings.Contains(fmt.Sprint(made["integration"]), secret) || made["inboundUrl"] != nil {
		t.Errorf("got %s, want a secret, and it beside the integration only", raw)
	}
	return "/~acme/webhooks/" + made["integration"].(map[string]any)["$id"].(string), secret
}

// deliveries waits for so many deliveries in a state.
func (p *plane) deliveries(t testing.TB, at, state string, n int) (list []map[string]any) {
	t.Helper()
	outboxtest.Until(t, fmt.Sprintf("%d are %s", n, state), func() bool {
		status, got, raw := p.call(t, p.secret, "GET", at+"/deliveries?state="+state, "")
		if status != 200 {
			t.Fatalf("got %d %s", status, raw)
		}
		list = nil
		for _, d := range got["results"].([]any) {
			list = append(list, d.(map[string]any))
		}
		return len(list) == n
	})
	return list
}

func TestAWebhookFromItsConnectionToItsEnd(t *testing.T) {
	p, to := start(t), newHookServer(t)
	at, secret := p.webhook(t, to.URL)

	// A test is posted at once, signed, and says what came of it.
	status, tested, raw := p.call(t, p.secret, "POST", at+"/test", "")
	if status != 200 || tested["delivered"] != true || tested["status"] != 200.0 {
		t.Errorf("a test: got %d %s", status, raw)
	}
	bodies, heads := to.got()
	if len(bodies) != 1 || signature.Verify(secret, heads[0], []byte(bodies[0]), headlessly.SystemClock()) != nil {
		t.Errorf("the test's request: got %q", bodies)
	}

	// Its events: delivered, then gone, then replayed.
	p.call(t, p.secret, "POST", "/~acme/Deal", `{"name":"first"}`)
	p.deliveries(t, at, "delivered", 1)
	to.answers(http.StatusGone)
	_, deal, _ := p.call(t, p.secret, "POST", "/~acme/Deal", `{"name":"second"}`)
	parked := p.deliveries(t, at, "parked", 1)[0]
	if parked["event"] != "Deal.Created" || parked["entity"] != deal["$id"] || parked["status"] != 410.0 || parked["attempts"] != 1.0 {
		t.Errorf("the parked one: got %v", parked)
	}
	id, _ := parked["id"].(string)
	if status, one, raw := p.call(t, p.secret, "GET", at+"/deliveries/"+id, ""); status != 200 || one["state"] != "parked" || len(one["failures"].([]any)) != 1 {
		t.Errorf("one delivery: got %d %s", status, raw)
	}
	_, whole, raw := p.call(t, p.secret, "GET", at, "")
	if counts, _ := whole["deliveries"].(map[string]any); counts["parked"] != 1.0 || counts["delivered"] != 1.0 || counts["stopped"] == nil {
		t.Errorf("the counts: got %s", raw)
	}
	to.answers(200)
	if status, got, raw := p.call(t, p.secret, "POST", at+"/replay", ""); status != 202 || got["replayed"] != 1.0 {
		t.Errorf("a replay of what is parked: got %d %s", status, raw)
	}
	p.deliveries(t, at, "delivered", 2)
	if status, got, raw := p.call(t, p.secret, "POST", at+"/deliveries/"+id+"/replay", ""); status != 202 || got["replayed"] != 1.0 {
		t.Errorf("a replay of one: got %d %s", status, raw)
	}
	outboxtest.Until(t, "it arrives again", func() bool {
		bodies, _ := to.got()
		return strings.Count(strings.Join(bodies, ""), id) == 3 // refused, replayed with the others, replayed alone
	})
	p.deliveries(t, at, "delivered", 2)
	for body, want := range map[string]float64{
		`{"all":true}`: 2,
		fmt.Sprintf(`{"all":true,"to":%q}`, time.Now().Add(-time.Hour).Format(time.RFC3339)):  0,
		fmt.Sprintf(`{"all":true,"from":%q}`, time.Now().Add(time.Hour).Format(time.RFC3339)): 0,
	} {
		if status, got, raw := p.call(t, p.secret, "POST", at+"/replay", body); status != 202 || got["replayed"] != want {
			t.Errorf("a replay of %s: got %d %s, want %v", body, status, raw, want)
		}
		p.deliveries(t, at, "delivered", 2)
	}

	// A page of the log, and where the next one begins.
	_, page, _ := p.call(t, p.secret, "GET", at+"/deliveries?limit=1", "")
	if page["hasMore"] != true || len(page["results"].([]any)) != 1 {
		t.Errorf("a page: got %v", page)
	}
	_, page, _ = p.call(t, p.secret, "GET", at+fmt.Sprintf("/deliveries?limit=1&before=%.0f", page["before"]), "")
	if page["hasMore"] != false || len(page["results"].([]any)) != 1 || page["results"].([]any)[0].(map[string]any)["id"] == id {
		t.Errorf("the page behind it: got %v", page)
	}

	// The end.
	if status, got, raw := p.call(t, p.secret, "DELETE", at, ""); status != 200 || got["integration"].(map[string]any)["status"] != "Disconnected" {
		t.Errorf("got %d %s", status, raw)
	}
	if status, _, raw := p.call(t, p.secret, "POST", at+"/test", ""); status != 409 {
		t.Errorf("a test of what is disconnected: got %d %s", status, raw)
	}
	for _, replay := range []string{"/replay", "/deliveries/" + id + "/replay"} {
		if status, _, raw := p.call(t, p.secret, "POST", at+replay, `{"all":true}`); status != 409 || !strings.Contains(raw, "connect it first") {
			t.Errorf("%s of what is disconnected: got %d %s", replay, status, raw)
		}
	}
	p.deliveries(t, at, "delivered", 2) // its log can still be read
}

func TestWebhooksAreListedPageByPage(t *testing.T) {
	p, to := start(t), newHookServer(t)
	want := map[string]bool{}
	for range 3 {
		at, _ := p.webhook(t, to.URL)
		want[at[strings.LastIndex(at, "/")+1:]] = true
	}
	path := "/~acme/webhooks?limit=1"
	for range 3 {
		status, page, raw := p.call(t, p.secret, "GET", path, "")
		list, _ := page["results"].([]any)
		if status != 200 || len(list) != 1 {
			t.Fatalf("got %d %s", status, raw)
		}
		delete(want, list[0].(map[string]any)["$id"].(string))
		path = fmt.Sprintf("/~acme/webhooks?limit=1&cursor=%v", page["cursor"])
	}
	if len(want) > 0 {
		t.Errorf("the pages leave out %v", want)
	}
	if status, _, raw := p.call(t, p.secret, "GET", "/~acme/webhooks?cursor=x", ""); status != 400 || !strings.Contains(raw, "first page") {
		t.Errorf("a cursor of nothing: got %d %s", status, raw)
	}
}

func TestAWebhooksSecretIsShownToWhoMayWriteAndRotated(t *testing.T) {
	p, to := start(t), newHookServer(t)
	at, secret := p.webhook(t, to.URL)
	if _, got, raw := p.call(t, p.secret, "GET", at+"/secret", ""); got["secret"] != secret {
		t.Errorf("got %s", raw)
	}
	_, key, _ := p.call(t, p.secret, "POST", "/~acme/ApiKey", `{"name":"reader","scopes":["read"]}`)
	reader, _ := key["key"].(string)
	if reader == "" {
		t.Fatalf("no key in %v", key)
	}
	for route, want := range map[string]int{"GET " + at + "/secret": 403, "GET " + at: 200, "GET " + at + "/deliveries": 200, "POST " + at + "/test": 403, "POST " + at + "/rotate": 403, "POST " + at + "/replay": 403, "DELETE " + at: 403} {
		method, path, _ := strings.Cut(route, " ")
		if status, _, raw := p.call(t, reader, method, path, ""); status != want {
			t.Errorf("%s with a key that may only read: got %d %.200s, want %d", route, status, raw, want)
		}
	}
	_, got, raw := p.call(t, p.secret, "POST", at+"/rotate", `{"overlapHours":1}`)
	next, _ := got["secret"].(string)
	if next == "" || next == secret {
		t.Fatalf("got %s, want another secret", raw)
	}
	outboxtest.Until(t, "both secrets sign", func() bool {
		p.call(t, p.secret, "POST", at+"/test", "")
		bodies, heads := to.got()
		n := len(bodies) - 1
		now := headlessly.SystemClock()
		return n >= 0 && signature.Verify(secret, heads[n], []byte(bodies[n]), now) == nil && signature.Verify(next, heads[n], []byte(bodies[n]), now) == nil
	})
	const mine = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	if _, got, raw := p.call(t, p.secret, "POST", at+"/rotate", `{"secret":"`+mine+`"}`); got["secret"] != mine {
		t.Errorf("got %s, want the secret that was given", raw)
	}
	if logs := p.logs.String(); strings.Contains(logs, secret) || strings.Contains(logs, next) || strings.Contains(logs, mine) {
		t.Error("a secret shows in the log")
	}
}

func TestWhatAWebhooksRoutesRefuse(t *testing.T) {
	p, to := start(t), newHookServer(t)
	at, _ := p.webhook(t, to.URL)
	_, other, _ := p.call(t, p.secret, "POST", "/~acme/Integration/connect", `{"provider":"analytics","destinations":{"posthog":{"apiKey":"phc_x"}}}`)
	none := "/~acme/webhooks/" + other["$id"].(string)
	for _, c := range []struct {
		name, route, body string
		status            int
		says              string
	}{
		{"a private address", "POST /~acme/webhooks", `{"url":"https://10.0.0.1/x","events":["*"]}`, 400, "public internet"},
		{"no events", "POST /~acme/webhooks", `{"url":"https://example.com"}`, 400, "events"},
		{"another provider", "POST /~acme/webhooks", `{"provider":"stripe"}`, 400, "Integration.connect"},
		{"an integration that is no webhook", "GET " + none, "", 404, "no webhook"},
		{"its deliveries", "GET " + none + "/deliveries", "", 404, "no webhook"},
		{"its test", "POST " + none + "/test", "", 404, "no webhook"},
		{"a limit that is no number", "GET " + at + "/deliveries?limit=many", "", 400, "1 to 1000"},
		{"a limit beyond the most", "GET " + at + "/deliveries?limit=1001", "", 400, "1 to 1000"},
		{"a place that is none", "GET " + at + "/deliveries?before=x", "", 400, "seq"},
		{"a state that is none", "GET " + at + "/deliveries?state=lost", "", 400, "pending, delivered, parked"},
		{"a time that is none", "POST " + at + "/replay", `{"from":"yesterday"}`, 400, ""},
		{"a delivery that is none", "POST " + at + "/deliveries/evt_x/replay", "", 404, "no such delivery"},
		{"another method", "GET " + at + "/test", "", 405, "POST"},
		{"a path that is none", "GET " + at + "/deliveries/evt_x/answer", "", 404, ""},
		{"a path that is longer", "GET " + at + "/a/b/c/d", "", 404, ""},
	} {
		method, path, _ := strings.Cut(c.route, " ")
		if status, _, raw := p.call(t, p.secret, method, path, c.body); status != c.status || !strings.Contains(raw, c.says) {
			t.Errorf("%s: got %d %.300s, want %d with %q", c.name, status, raw, c.status, c.says)
		}
	}
}

func TestSlackIsTestedAndListedLikeAWebhook(t *testing.T) {
	p := start(t)
	hub := &slacktest.Slack{Clock: headlessly.SystemClock}
	server := httptest.NewServer(hub)
	t.Cleanup(server.Close)
	status, made, raw := p.call(t, p.secret, "POST", "/~acme/webhooks", fmt.Sprintf(`{"provider":"slack","webhook":"%s%s","apiBaseUrl":%q}`, server.URL, slacktest.Path, server.URL))
	if status != 201 || strings.Contains(raw, slacktest.Path) {
		t.Fatalf("got %d %s", status, raw)
	}
	at := "/~acme/webhooks/" + made["integration"].(map[string]any)["$id"].(string)
	if _, tested, raw := p.call(t, p.secret, "POST", at+"/test", ""); tested["delivered"] != true || len(hub.Posted()) != 1 {
		t.Errorf("got %s", raw)
	}
	hub.Revoke("no_service")
	if _, tested, raw := p.call(t, p.secret, "POST", at+"/test", ""); tested["delivered"] != false || !strings.Contains(raw, "no_service") || strings.Contains(raw, slacktest.Path) {
		t.Errorf("got %s", raw)
	}
	if status, _, raw := p.call(t, p.secret, "POST", at+"/rotate", ""); status != 400 || !strings.Contains(raw, "no signature") {
		t.Errorf("got %d %s", status, raw)
	}
	if _, list, raw := p.call(t, p.secret, "GET", "/~acme/webhooks", ""); list["total"] != 1.0 {
		t.Errorf("got %s", raw)
	}
	p.call(t, p.secret, "DELETE", at, "")
	if status, _, raw := p.call(t, p.secret, "POST", at+"/test", ""); status != 409 {
		t.Errorf("a test of what is disconnected: got %d %s", status, raw)
	}
}
