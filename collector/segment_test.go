package collector_test

import (
	"context"
	"encoding/base64"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
)

func basic(user string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"))
}

func TestTheSegmentAPI(t *testing.T) {
	for _, c := range []struct {
		name, path, body string
		headers          []string
		status           int
		want             string // type/event of what is stored, or the field at fault
	}{
		{"track", "/v1/track", `{"userId":"u","event":"Buy"}`, []string{basic(publicKey)}, 200, "track/Buy"},
		{"t", "/v1/t", `{"userId":"u","event":"Buy","writeKey":"hly_pk_acme"}`, nil, 200, "track/Buy"},
		{"page", "/v1/p", `{"anonymousId":"a","name":"Pricing"}`, []string{basic(publicKey)}, 200, "page/Pricing"},
		{"page without a name", "/v1/page", `{"anonymousId":"a"}`, []string{basic(publicKey)}, 200, "page/page"},
		{"screen", "/v1/s", `{"anonymousId":"a","name":"Home"}`, []string{basic(publicKey)}, 200, "screen/Home"},
		{"identify", "/v1/i", `{"userId":"u","traits":{"a":1}}`, []string{basic(publicKey)}, 200, "identify/identify"},
		{"group", "/v1/g", `{"userId":"u","groupId":"g"}`, []string{basic(publicKey)}, 200, "group/group"},
		{"alias", "/v1/a", `{"userId":"u","previousId":"p"}`, []string{basic(publicKey)}, 200, "alias/alias"},
		{"the path says the type", "/v1/identify", `{"userId":"u","type":"track","event":"x"}`, []string{basic(publicKey)}, 200, "identify/x"},
		{"a key named events is a property like others", "/v1/t", `{"userId":"u","event":"x","events":[{}]}`, []string{basic(publicKey)}, 200, "track/x"},
		{"batch", "/v1/batch", `{"batch":[{"type":"track","userId":"u","event":"Buy"}],"writeKey":"hly_pk_acme"}`, nil, 200, "track/Buy"},
		{"tenant in the address", "/v1/t?tenant=acme", `{"userId":"u","event":"Buy"}`, nil, 200, "track/Buy"},
		{"an open tenant's name as write key", "/v1/t", `{"userId":"u","event":"Buy"}`, []string{basic("acme")}, 200, "track/Buy"},
		{"the same in the body", "/v1/t", `{"userId":"u","event":"Buy","writeKey":"acme"}`, nil, 200, "track/Buy"},
		{"the name of one that demands keys", "/v1/t", `{"userId":"u","event":"Buy"}`, []string{basic("strict")}, 401, "key"},
		{"a revoked key", "/v1/t", `{"userId":"u","event":"Buy"}`, []string{basic("hly_pk_gone")}, 401, "key"},
		{"track without an event", "/v1/t", `{"userId":"u"}`, []string{basic(publicKey)}, 400, "event"},
		{"nobody", "/v1/t", `{"event":"x"}`, []string{basic(publicKey)}, 400, "userId"},
		{"group without an id", "/v1/g", `{"userId":"u"}`, []string{basic(publicKey)}, 400, "groupId"},
		{"alias without the former id", "/v1/a", `{"userId":"u"}`, []string{basic(publicKey)}, 400, "previousId"},
		{"not JSON", "/v1/t", `{`, []string{basic(publicKey)}, 400, "body"},
		{"no such call", "/v1/x", `{}`, nil, 404, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t)
			res, r := g.post(t, c.path, []byte(c.body), c.headers...)
			if res.StatusCode != c.status || r.Success != (c.status == 200) {
				t.Fatalf("got %d %+v, want %d", res.StatusCode, r, c.status)
			}
			events := g.log.events(t)
			if c.status != 200 {
				if r.Field != c.want || len(events) != 0 {
					t.Errorf("got field %q and %d events, want %q and none", r.Field, len(events), c.want)
				}
				return
			}
			if len(events) != 1 || events[0].Type+"/"+events[0].Event != c.want || events[0].Tenant != "acme" {
				t.Errorf("got %+v, want %s", events, c.want)
			}
		})
	}
}

func TestABatchsContextAndIntegrationsApplyToEachEvent(t *testing.T) {
	g := start(t)
	_, r := g.post(t, "/v1/batch", []byte(`{"context":{"locale":"de","app":{"v":1}},"integrations":{"All":true,"A":false},"batch":[
		{"type":"track","event":"x","userId":"u","integrations":{"A":true,"B":false},"context":{"locale":"fr"}},
		{"type":"track","event":"y","userId":"u"},
		{"type":"group","userId":"u"}]}`), basic(publicKey))
	if !r.Success || len(r.Rejected) != 1 || r.Rejected[0].Field != "batch[2].groupId" {
		t.Fatalf("got %+v", r)
	}
	e := g.log.events(t)
	for i, want := range []string{
		`fr {"app":{"v":1},"integrations":{"A":true,"B":false,"All":true}}`,
		`de {"app":{"v":1},"integrations":{"All":true,"A":false}}`,
	} {
		if got := e[i].Language + " " + e[i].Context; got != want {
			t.Errorf("event %d: got %s, want %s", i, got, want)
		}
	}
}

func TestAPixelIsAnEvent(t *testing.T) {
	g := start(t)
	res, _ := g.do(t, http.MethodGet, "/e.gif?t=acme&event=Mail+Opened&userId=u1&messageId=m-1&p.campaign=spring&p.n=%22", nil)
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "image/gif" || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %v", res.StatusCode, res.Header)
	}
	g.do(t, http.MethodGet, "/e.gif?key="+publicKey, nil, "Referer: https://shop.example/a", "User-Agent: Mozilla/5.0")
	e := g.log.events(t)
	if len(e) != 2 || e[0].Event != "Mail Opened" || e[0].UserID != "u1" || e[0].Properties != `{"campaign":"spring","n":"\""}` {
		t.Fatalf("got %+v", e)
	}
	if e[1].Type != "page" || e[1].Host != "shop.example" {
		t.Errorf("got %+v", e[1])
	}
	if res, r := g.do(t, http.MethodGet, "/e.gif", nil); res.StatusCode != 400 || r.Error != "no_tenant" {
		t.Errorf("without a tenant: got %d %+v", res.StatusCode, r)
	}
	g.log.err = headlessly.ErrLogFull
	if res, _ := g.do(t, http.MethodGet, "/e.gif?t=acme", nil); res.StatusCode != 507 {
		t.Errorf("with a full log: got %d, want 507", res.StatusCode)
	}
}

func TestAPixelMayCarryANativeBody(t *testing.T) {
	g := start(t)
	d := url.QueryEscape(`{"tenant":"acme","context":{"timezone":"Europe/Paris"},"events":[{"messageId":"m-1","type":"track","event":"A"},{"event":"B"}]}`)
	res, _ := g.do(t, http.MethodGet, "/e.gif?t=acme&key=&d="+d, nil)
	if h := res.Header; res.StatusCode != 200 || h.Get("Content-Type") != "image/gif" || h.Get("Cross-Origin-Resource-Policy") != "cross-origin" {
		t.Errorf("got %d %v", res.StatusCode, h)
	}
	e := g.log.events(t)
	if len(e) != 2 || e[0].Event != "A" || e[1].Event != "B" || e[1].Timezone != "Europe/Paris" {
		t.Fatalf("got %+v", e)
	}
	if res, _ := g.do(t, http.MethodGet, "/e.gif?t=acme&d=nonsense", nil); res.StatusCode != 400 {
		t.Errorf("not JSON: got %d, want 400: an image that loads means that the event is there", res.StatusCode)
	}
}

// serveTCP makes a gateway reachable from other processes.
func serveTCP(t testing.TB, g *gateway) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- g.c.Serve(l) }()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return "http://" + l.Addr().String()
}

// runNode runs a script of testdata/segment, installing its packages first
// where they are missing.
func runNode(t *testing.T, script string, args ...string) {
	t.Helper()
	dir := filepath.Join("testdata", "segment")
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
	defer cancel()
	run := func(name string, args ...string) {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json")); err != nil {
		run("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
	}
	run("node", append([]string{script}, args...)...)
}

// TestSegmentsNodeSDK: pointed at the gateway by its host, every call of the
// real SDK arrives.
func TestSegmentsNodeSDK(t *testing.T) {
	g := start(t, withDedupe(t), realClock)
	runNode(t, "node.mjs", serveTCP(t, g), publicKey)
	events := g.log.events(t)
	if len(events) != 56 {
		t.Fatalf("got %d events, want 56", len(events))
	}
	byType := map[string]headlessly.Event{}
	for _, e := range events {
		if e.Event != "Bulk" {
			byType[e.Type] = e
		}
		if e.Tenant != "acme" || e.Library != "@segment/analytics-node" || e.Source != headlessly.SourceNode || len(e.MessageID) != 36 || e.SentAt == 0 {
			t.Errorf("got %+v", e)
		}
	}
	if e := byType["identify"]; e.UserID != "u1" || e.Traits != `{"plan":"pro","name":"Zoë"}` || e.Language != "de-DE" || e.IP != "203.0.113.0" ||
		!strings.Contains(e.Context, `"integrations":{"All":true,"Mixpanel":false}`) || !strings.Contains(e.Context, `"app":{"name":"shop"}`) {
		t.Errorf("identify: got %+v", e)
	}
	if e := byType["track"]; e.Event != "Order Completed" || e.RevenueE4 != 399500 || e.Currency != "EUR" || !strings.Contains(e.Properties, `"items":[{"id":"p1"}]`) {
		t.Errorf("track: got %+v", e)
	}
	if e := byType["page"]; e.Event != "Pricing" || e.AnonymousID != "a1" {
		t.Errorf("page: got %+v", e)
	}
	if e := byType["screen"]; e.Event != "Home" {
		t.Errorf("screen: got %+v", e)
	}
	if e := byType["group"]; e.GroupID != "g1" || e.Traits != `{"company":"ACME"}` {
		t.Errorf("group: got %+v", e)
	}
	if e := byType["alias"]; e.PreviousID != "a1" || e.UserID != "u1" {
		t.Errorf("alias: got %+v", e)
	}
}

// TestSegmentsBrowserSDK: with its cdnURL set to the gateway, every call of the
// real SDK arrives from a page on another origin.
func TestSegmentsBrowserSDK(t *testing.T) {
	g := start(t, withDedupe(t), realClock)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, ok := strings.CutPrefix(r.URL.Path, "/umd/"); ok {
			http.ServeFile(w, r, filepath.Join("testdata", "segment", "node_modules", "@segment", "analytics-next", "dist", "umd", filepath.Base(name)))
			return
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><title>Shop</title>"))
	}))
	defer site.Close()
	runNode(t, "browser.mjs", site.URL, serveTCP(t, g), publicKey)
	byType := map[string]headlessly.Event{}
	events := g.log.events(t)
	for _, e := range events {
		byType[e.Type] = e
		if e.Tenant != "acme" || e.Library != "analytics.js" || e.Source != headlessly.SourceBrowser || e.Browser != "Headless Chrome" && e.Browser != "Chrome" || e.UTMSource != "news" || e.AnonymousID == "" {
			t.Errorf("got %+v", e)
		}
	}
	if len(events) != 6 || len(byType) != 6 {
		t.Fatalf("got %d events of %d types, want 6 of 6", len(events), len(byType))
	}
	if e := byType["track"]; e.Event != "Order Completed" || e.UserID != "u1" || e.RevenueE4 != 399500 || !strings.Contains(e.Context, `"Mixpanel":false`) || e.Path != "/shop" || e.Title != "Shop" {
		t.Errorf("track: got %+v", e)
	}
	if e := byType["identify"]; e.Traits != `{"plan":"pro","name":"Zoë"}` {
		t.Errorf("identify: got %+v", e)
	}
	if e := byType["group"]; e.GroupID != "g1" {
		t.Errorf("group: got %+v", e)
	}
	if e := byType["alias"]; e.PreviousID != "visitor-7" || e.UserID != "u1" {
		t.Errorf("alias: got %+v", e)
	}
}
