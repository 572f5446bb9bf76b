package control_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/collector/eventlog"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/analytics"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/lifecycle"
	"github.com/headlessly/headlessly/connectors/outbox/outboxtest"
	"github.com/headlessly/headlessly/connectors/slack"
	"github.com/headlessly/headlessly/connectors/store"
	"github.com/headlessly/headlessly/connectors/webhook"
)

const canary = "c4nary-credential"

type plane struct {
	url                          string
	dir                          string
	store                        *store.Store
	graph                        *graph.Store
	analytics                    *analytics.Connector
	secret, public, admin, other string
	logs                         *bytes.Buffer
}

func open(t testing.TB, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), store.Config{Dir: dir, Clock: headlessly.SystemClock, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// openGraph opens a graph over a log of its own, as the gateway does.
func openGraph(t testing.TB, dir string) *graph.Store {
	t.Helper()
	log, err := eventlog.Open(context.Background(), eventlog.DefaultConfig(filepath.Join(dir, "log")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close(context.Background()) })
	js, err := log.JetStream("graph")
	if err != nil {
		t.Fatal(err)
	}
	g, err := graph.Open(context.Background(), graph.DefaultConfig(js, filepath.Join(dir, "graph")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g
}

// openBox opens an outbox that runs until the test ends, with what stands on it.
func openBox(t testing.TB, g *graph.Store) *control.Webhooks {
	t.Helper()
	box, stop := outboxtest.Open(t, g, t.TempDir(), headlessly.SystemClock, time.After)
	t.Cleanup(stop)
	check := func(ctx context.Context, url string) error {
		if strings.Contains(url, "10.0.0.1") {
			return errors.New("is not on the public internet")
		}
		return ctx.Err()
	}
	return &control.Webhooks{Box: box, Webhook: webhook.New(box, check), Slack: slack.New(box, check), Inbound: func(tenant, id string) string {
		return "https://headless.ly/~" + tenant + "/in/webhook/" + id
	}}
}

// openConnections connects integrations of the providers analytics, webhook and
// slack.
func openConnections(t testing.TB, s *store.Store, g *graph.Store, w *control.Webhooks) *analytics.Connector {
	t.Helper()
	a := analytics.New(func(d headlessly.Destinations) error {
		if d.HTTP != nil && d.HTTP.Batch > 1 && d.HTTP.Body != "" {
			return &headlessly.FieldError{Code: "validation_failed", Field: "destinations.http", Message: "a body needs a batch of 1"}
		}
		return nil
	})
	cfg := lifecycle.Default()
	cfg.Graph, cfg.Store, cfg.Registry, cfg.Client, cfg.PublicURL = g, s, connectors.Registry{a, w.Webhook, w.Slack}, http.DefaultClient, "https://headless.ly"
	c, err := lifecycle.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done; _ = c.Close() })
	return a
}

func start(t testing.TB) *plane {
	t.Helper()
	ctx := context.Background()
	p := &plane{dir: t.TempDir(), logs: new(bytes.Buffer)}
	p.store = open(t, p.dir)
	for _, name := range []string{"acme", "other"} {
		if _, err := p.store.AddTenant(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range []struct {
		dst    *string
		tenant string
		kind   headlessly.KeyKind
	}{{&p.secret, "acme", headlessly.KeySecret}, {&p.public, "acme", headlessly.KeyPublic}, {&p.admin, "", headlessly.KeyAdmin}, {&p.other, "other", headlessly.KeySecret}} {
		_, v, err := p.store.CreateKey(ctx, k.tenant, k.kind)
		if err != nil {
			t.Fatal(err)
		}
		*k.dst = v.Reveal()
	}
	p.graph = openGraph(t, p.dir)
	keys, err := control.OpenKeys(ctx, p.store, p.graph, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(keys.Close)
	w := openBox(t, p.graph)
	p.analytics = openConnections(t, p.store, p.graph, w)
	h := control.New(control.Config{
		Store: p.store, Graph: p.graph, Webhooks: w, PublicURL: "https://headless.ly", Ready: func() error { return nil },
		Logger: slog.New(slog.NewTextHandler(p.logs, nil)),
		SQL: func(_ context.Context, tenant string, q control.Query, w io.Writer) error {
			if q.SQL == "bad" {
				return &control.QueryError{Status: 400, Code: "invalid_sql", Message: "no such column"}
			}
			if q.MaxRows > 0 {
				q.Cut()
			}
			_, err := io.WriteString(w, tenant+":"+q.SQL)
			return err
		},
		Live: func(ctx context.Context, tenant string, f control.LiveFilter, emit func(string, any) error) error {
			if f.Event == "fault" {
				return errors.New("the tap is broken")
			}
			if err := emit("open", map[string]string{"tenant": tenant}); err != nil {
				return err
			}
			<-ctx.Done()
			return nil
		},
		Status: func(_ context.Context, tenant string) (any, error) { return map[string]string{"tenant": tenant}, nil },
	})
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	p.url = srv.URL
	return p
}

func (p *plane) call(t testing.TB, key, method, path, body string, headers ...string) (int, map[string]any, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]any{}
	_ = json.Unmarshal(raw, &m)
	return res.StatusCode, m, string(raw)
}

const connectBody = `{"provider":"analytics","destinations":{
	"ga":{"measurementId":"G-ABC1234567","apiSecret":"` + canary + `"},
	"sentry":{"dsn":"https://` + canary + `@o1.ingest.sentry.io/42"},
	"posthog":{"apiKey":"phc_` + canary + `","host":"https://eu.i.posthog.com"}}}`

func TestConnectMergesSurvivesARestartAndNeverShowsACredential(t *testing.T) {
	p := start(t)
	status, first, raw := p.call(t, p.secret, "POST", "/~acme/Integration/connect", connectBody)
	if status != 200 || first["status"] != "Connected" || first["$type"] != "Integration" || first["$context"] != "https://headless.ly/~acme" || first["$version"] != 1.0 || !strings.HasPrefix(first["$id"].(string), "integration_") {
		t.Fatalf("got %d %s", status, raw)
	}
	_, second, raw2 := p.call(t, p.secret, "POST", "/~acme/Integration/connect", `{"provider":"analytics","destinations":{"ga":{"measurementId":"G-NEW1234567"}}}`)
	if second["$id"] != first["$id"] || second["$version"] != 2.0 {
		t.Errorf("connecting again: got %s, want the same integration, version 2", raw2)
	}
	_, list, raw3 := p.call(t, p.secret, "GET", "/~acme/Integration?status=Active", "")
	if list["total"] != 1.0 {
		t.Errorf("find Active: got %s", raw3)
	}
	d, version := openConnections(t, open(t, p.dir), p.graph, openBox(t, p.graph)).Destinations("acme")
	if version == 0 || d.GA == nil || d.GA.MeasurementID != "G-NEW1234567" || d.Sentry == nil || d.Sentry.DSN.Reveal() != "https://"+canary+"@o1.ingest.sentry.io/42" || d.PostHog == nil {
		t.Errorf("after a restart: got %+v", d)
	}
	for where, text := range map[string]string{"answers": raw + raw2 + raw3, "logs": p.logs.String()} {
		if strings.Contains(text, canary) {
			t.Errorf("the credential shows in the %s: %s", where, text)
		}
	}
	err := filepath.WalkDir(p.dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(canary)) {
			t.Errorf("the credential lies readable in %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDisconnectForgetsTheCredentials(t *testing.T) {
	p := start(t)
	_, i, _ := p.call(t, p.secret, "POST", "/~acme/Integration/connect", connectBody)
	status, got, raw := p.call(t, p.secret, "POST", "/~acme/Integration/"+i["$id"].(string)+"/disconnect", "")
	if status != 200 || got["status"] != "Disconnected" {
		t.Fatalf("got %d %s", status, raw)
	}
	if d, version := p.analytics.Destinations("acme"); version != 0 || d != (headlessly.Destinations{}) {
		t.Errorf("destinations are still there: %+v", d)
	}
	if _, list, raw := p.call(t, p.secret, "GET", "/~acme/Integration?status=Active", ""); list["total"] != 0.0 {
		t.Errorf("find Active: got %s", raw)
	}
}

func TestEveryFaultOfAConnectIsNamed(t *testing.T) {
	p := start(t)
	for _, c := range []struct{ name, body, fields string }{
		{"empty", ``, "provider"},
		{"no JSON", `{`, "body"},
		{"other provider", `{"provider":"acme"}`, "provider"},
		{"no destinations", `{"provider":"analytics"}`, "destinations"},
		{"none named", `{"provider":"analytics","destinations":{}}`, "destinations"},
		{"misspelt", `{"provider":"analytics","destinations":{"google":{}}}`, "destinations"},
		{"wrong type", `{"provider":"analytics","destinations":{"ga":{"measurementId":5}}}`, "destinations"},
		{"an HTTP destination without an address", `{"provider":"analytics","destinations":{"http":{}}}`, "destinations.http.url"},
		{"one that cannot be built", `{"provider":"analytics","destinations":{"http":{"url":"https://a.example","batch":5,"body":"x"}}}`, "destinations.http"},
		{"three at once", `{"provider":"analytics","destinations":{"ga":{"measurementId":"UA-1"},"sentry":{"dsn":"x"},"posthog":{"apiKey":"","host":"eu"}}}`, "destinations.ga.measurementId destinations.sentry.dsn destinations.posthog.apiKey destinations.posthog.host"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, got, raw := p.call(t, p.secret, "POST", "/~acme/Integration/connect", c.body)
			if status != 400 || got["message"] == "" {
				t.Errorf("got %d %s", status, raw)
			}
			for _, f := range strings.Fields(c.fields) {
				if !strings.Contains(raw, `"field":"`+f+`"`) {
					t.Errorf("no field %s in %s", f, raw)
				}
			}
		})
	}
}

// TestEveryRouteForEveryKindOfKey is the table of routes × keys.
func TestEveryRouteForEveryKindOfKey(t *testing.T) {
	p := start(t)
	gone, value, err := p.store.CreateKey(context.Background(), "acme", headlessly.KeySecret)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := p.store.RevokeKey(context.Background(), "acme", gone.ID); !ok || err != nil {
		t.Fatal(ok, err)
	}
	routes := []struct{ method, path, body string }{
		{"GET", "/~acme/Integration", ""},
		{"POST", "/~acme/Integration/connect", connectBody},
		{"GET", "/~acme/status", ""},
		{"POST", "/~acme/sql", `{"sql":"select 1"}`},
		{"GET", "/~acme/keys", ""},
	}
	for _, r := range routes {
		for _, c := range []struct {
			name, key string
			status    int
			headers   []string
		}{
			{"none", "", 401, nil},
			{"unknown", "hly_sk_nope", 401, nil},
			{"public", p.public, 403, nil},
			{"secret", p.secret, 200, nil},
			{"admin", p.admin, 200, nil},
			{"another tenant's", p.other, 403, nil},
			{"revoked", value.Reveal(), 401, nil},
			{"secret from a page", p.secret, 403, []string{"Origin: https://evil.example"}},
		} {
			if status, _, raw := p.call(t, c.key, r.method, r.path, r.body, c.headers...); status != c.status {
				t.Errorf("%s %s with key %s: got %d %s, want %d", r.method, r.path, c.name, status, raw, c.status)
			}
		}
	}
	if status, _, raw := p.call(t, p.admin, "POST", "/~/sql", `{"sql":"select 1"}`); status != 200 || !strings.HasPrefix(raw, ":") {
		t.Errorf("SQL over every tenant with the admin key: got %d %s", status, raw)
	}
	if status, _, _ := p.call(t, p.secret, "POST", "/~/sql", `{"sql":"select 1"}`); status != 403 {
		t.Errorf("SQL over every tenant with a secret key: got %d, want 403", status)
	}
	for key, want := range map[string]int{"": 403, p.secret: 403, p.admin: 200} {
		if status, _, _ := p.call(t, key, "GET", "/debug/pprof/", ""); status != want {
			t.Errorf("profiles: got %d, want %d", status, want)
		}
	}
	if status, _, _ := p.call(t, p.admin, "GET", "/~nobody/status", ""); status != 404 {
		t.Errorf("unknown tenant: got %d, want 404", status)
	}
}

func TestAKeyIsShownOnceAndStopsAtOnce(t *testing.T) {
	p := start(t)
	status, k, raw := p.call(t, p.secret, "POST", "/~acme/keys", `{"kind":"secret"}`)
	if status != 201 || !strings.HasPrefix(k["key"].(string), "hly_sk_") {
		t.Fatalf("got %d %s", status, raw)
	}
	if _, _, raw := p.call(t, p.secret, "GET", "/~acme/keys", ""); strings.Contains(raw, k["key"].(string)) {
		t.Errorf("the list shows the key: %s", raw)
	}
	if status, _, _ := p.call(t, k["key"].(string), "GET", "/~acme/status", ""); status != 200 {
		t.Errorf("new key: got %d, want 200", status)
	}
	p.call(t, p.secret, "POST", "/~acme/keys/"+k["$id"].(string)+"/revoke", "")
	if status, _, _ := p.call(t, k["key"].(string), "GET", "/~acme/status", ""); status != 401 {
		t.Errorf("revoked key: got %d, want 401", status)
	}
	if status, _, raw := p.call(t, p.secret, "POST", "/~acme/keys", `{"kind":"admin"}`); status != 400 {
		t.Errorf("a tenant makes an admin key: got %d %s, want 400", status, raw)
	}
}

// TestAnAnswerThatLacksRowsSaysSo asks in a format that has no place for it.
func TestAnAnswerThatLacksRowsSaysSo(t *testing.T) {
	p := start(t)
	for body, want := range map[string]string{`{"sql":"select 1","format":"csv"}`: "", `{"sql":"select 1","format":"csv","maxRows":1}`: "true"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/~acme/sql", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+p.secret)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if got := res.Header.Get(control.HeaderTruncated); res.StatusCode != 200 || got != want {
			t.Errorf("%s: got %d, truncated %q, want %q", body, res.StatusCode, got, want)
		}
	}
}

func TestSQLErrorsNameTheField(t *testing.T) {
	p := start(t)
	for body, want := range map[string]int{`{"sql":"bad"}`: 400, `{}`: 400, `{"sql":"select 1","format":"xml"}`: 400, `{"sql":"select 1","format":"csv"}`: 200} {
		if status, _, raw := p.call(t, p.secret, "POST", "/~acme/sql", body); status != want {
			t.Errorf("%s: got %d %s, want %d", body, status, raw, want)
		}
	}
}
