package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/headlessly/headlessly/forwarders/sinks"
)

// visited is what the page with the vendors' SDKs reports.
type visited struct {
	PostHog []struct{ UUID, Event string }
	Sentry  struct{ ErrorID, MessageID string }
	Flags   []string
	Faults  []string
	Answers []string
}

// vendors serves a page that runs posthog-js, @sentry/browser and what gtag
// sends, each pointed at the gateway.
func vendors(t testing.TB, settings map[string]string) string {
	t.Helper()
	built := api.Build(api.BuildOptions{EntryPoints: []string{"testdata/tunnel/page.js"}, Bundle: true, Format: api.FormatIIFE, Write: false})
	if len(built.Errors) > 0 {
		t.Fatalf("bundle the page (run make deps): %v", built.Errors[0].Text)
	}
	conf, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	page := fmt.Sprintf(`<!doctype html><title>Shop</title><button id="buy">Buy</button><script type="application/json" id="settings">%s</script><script src="/page.js"></script>`, conf)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/page.js" {
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write(built.OutputFiles[0].Contents)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(page))
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// runPage opens a page in Chromium, which stays open until the test ends.
func runPage(t testing.TB, url, tenant string) visited {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "node", "testdata/tunnel/visit.mjs", url, tenant)
	cmd.Env = append(os.Environ(), "CHROMIUM="+browser(t))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var v visited
	told := json.NewDecoder(stdout).Decode(&v)
	end := func() error { return errors.Join(stdin.Close(), cmd.Wait()) }
	if told != nil {
		t.Fatalf("visit: %v\n%s", errors.Join(told, end()), stderr.String())
	}
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Errorf("visit: %v\n%s", err, stderr.String())
		}
	})
	return v
}

// TestVendorSDKsThroughTheTunnel runs the real SDKs in a real browser: each
// event is at its provider once and in the table once, and no destination gets
// it a second time.
func TestVendorSDKsThroughTheTunnel(t *testing.T) {
	for _, row := range []struct{ name, path, tunnel string }{
		{"found by their keys", "", ""},
		{"named in the path", "/~shop", "/~shop/api/42/envelope/"},
	} {
		t.Run(row.name, func(t *testing.T) {
			standins, host := providers(t)
			g := newGateway(t, analytics("shop", host))
			base := "http://" + g.listen
			settings := map[string]string{"gateway": base, "measurementId": "G-E2E1234567", "posthogKey": "phc_e2e", "dsn": "http://e2epublic@" + g.listen + "/42"}
			if row.tunnel != "" {
				settings["dsn"], settings["sentryTunnel"] = "http://e2epublic@"+host+"/42", base+row.tunnel
			}
			v := runPage(t, vendors(t, settings), row.path)
			t.Logf("answers: %s", strings.Join(v.Answers, ", "))
			if len(v.Faults) > 0 {
				t.Errorf("the page had faults: %q", v.Faults)
			}
			if len(v.Flags) != 1 || v.Flags[0] != "tunnelled" {
				t.Errorf("got flags %v, want those of the stand-in", v.Flags)
			}
			// The SDKs send some of it a while after they were asked to.
			poll(func() bool { return arrived(t, g, standins, v) })
			checkTunnelTables(t, g, v)
			checkTunnelProviders(t, standins, v)
		})
	}
}

// hits are what gtag sends, as Google has it.
var hits = []string{"ga4 page_view", "ga4 purchase", "ga4 level_up", "ga4 image_hit"} //nolint:gochecknoglobals // a constant table

// tunnelled is what is in the table once each.
var tunnelled = []string{ //nolint:gochecknoglobals // a constant table
	"ga4 page page", "ga4 track purchase", "ga4 track level_up", "ga4 track image_hit", "posthog page page", "posthog track Signed Up", "posthog identify identify",
	"posthog error error", "sentry error error", "sentry message message", "sentry feedback feedback", "sentry transaction /",
}

// arrived says whether the providers have all that the page sent, and the table
// all that is to be in it.
func arrived(t testing.TB, g *gateway, s *sinks.Sinks, v visited) bool {
	t.Helper()
	at := map[string]bool{}
	for _, e := range s.Events("") {
		at[e.Kind+" "+e.Name] = true
		var p struct {
			UUID    string `json:"uuid"`
			EventID string `json:"event_id"`
		}
		if json.Unmarshal(e.Payload, &p) == nil {
			at[dashed(p.UUID+p.EventID)] = true
		}
	}
	want := append([]string{dashed(v.Sentry.ErrorID), dashed(v.Sentry.MessageID)}, hits...)
	for _, e := range v.PostHog {
		want = append(want, e.UUID)
	}
	for _, w := range want {
		if !at[w] {
			return false
		}
	}
	var rows []struct {
		Name string `json:"name"`
	}
	g.sql(t, &rows, `select (context->>'tunnel') || ' ' || type || ' ' || event as name from events`, "--tenant", "shop")
	there := map[string]bool{}
	for _, r := range rows {
		there[r.Name] = true
	}
	for _, w := range tunnelled {
		if !there[w] {
			return false
		}
	}
	return true
}

func checkTunnelTables(t *testing.T, g *gateway, v visited) {
	t.Helper()
	var rows []struct {
		MessageID string  `json:"message_id"`
		Type      string  `json:"type"`
		Event     string  `json:"event"`
		UserID    string  `json:"user_id"`
		Tunnel    string  `json:"tunnel"`
		ErrorType string  `json:"error_type"`
		Revenue   float64 `json:"revenue"`
		N         int     `json:"n"`
	}
	g.sql(t, &rows, `select message_id, any_value(type) as type, any_value(event) as event, any_value(user_id) as user_id, any_value(context->>'tunnel') as tunnel,
		any_value(error_type) as error_type, any_value(revenue)::double as revenue, count(*) as n from events group by message_id`, "--tenant", "shop")
	got, ids := map[string]int{}, map[string]bool{}
	for _, r := range rows {
		got[r.Tunnel+" "+r.Type+" "+r.Event]++
		ids[r.MessageID] = true
		if r.N != 1 {
			t.Errorf("event %s is in the table %d times", r.MessageID, r.N)
		}
		switch r.Tunnel + " " + r.Type + " " + r.ErrorType {
		case "sentry error RangeError", "posthog error TypeError":
			if r.UserID != "user-7" {
				t.Errorf("%s: user %q, want user-7", r.Event, r.UserID)
			}
		}
	}
	for _, want := range tunnelled {
		if got[want] != 1 {
			t.Errorf("%q is in the table %d times, want once", want, got[want])
		}
	}
	t.Logf("table: %v", got)
	for _, e := range v.PostHog {
		if !ids[e.UUID] {
			t.Errorf("posthog-js's %s %s is not in the table", e.Event, e.UUID)
		}
	}
	if len(v.PostHog) < 4 || !ids[dashed(v.Sentry.ErrorID)] || !ids[dashed(v.Sentry.MessageID)] {
		t.Errorf("@sentry/browser's events are not in the table: %+v", v.Sentry)
	}
	var rejected []struct {
		Reason, Message string
	}
	g.sql(t, &rejected, "select reason, message from rejected", "--tenant", "shop")
	if len(rejected) > 0 {
		t.Errorf("rejected: %+v", rejected)
	}
	var attempts []struct{ N int }
	g.sql(t, &attempts, "select count(*) as n from deliveries", "--tenant", "shop")
	if len(attempts) != 1 || attempts[0].N != 0 {
		t.Errorf("the gateway sent %+v on its own: the page had sent them already", attempts)
	}
}

func checkTunnelProviders(t *testing.T, s *sinks.Sinks, v visited) {
	t.Helper()
	uuids, names := map[string]int{}, map[string]int{}
	for _, e := range s.Events("") {
		names[e.Kind+" "+e.Name]++
		var p struct {
			UUID    string `json:"uuid"`
			EventID string `json:"event_id"`
		}
		if json.Unmarshal(e.Payload, &p) == nil {
			uuids[dashed(p.UUID+p.EventID)]++
		}
	}
	for _, e := range v.PostHog {
		if uuids[e.UUID] != 1 {
			t.Errorf("posthog-js's %s %s is at PostHog %d times", e.Event, e.UUID, uuids[e.UUID])
		}
	}
	for _, id := range []string{v.Sentry.ErrorID, v.Sentry.MessageID} {
		if uuids[dashed(id)] != 1 {
			t.Errorf("@sentry/browser's event %s is at Sentry %d times", id, uuids[dashed(id)])
		}
	}
	for _, want := range hits {
		if names[want] != 1 {
			t.Errorf("%q is at its provider %d times, want once", want, names[want])
		}
	}
	t.Logf("providers: %v", names)
}
