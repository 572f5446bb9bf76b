package collector_test

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector"
)

// passage is a tunnel that knows one project of each of some tenants and notes
// what it is given.
type passage struct {
	mu     sync.Mutex
	passed []headlessly.TunnelRequest
	claims []headlessly.TunnelClaim
	stored func() int // events that are durable
	before []int      // at each Pass
	err    error
}

func (p *passage) Find(c *headlessly.TunnelClaim) (headlessly.TunnelRoute, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claims = append(p.claims, *c)
	tenants := map[string]string{"phc_acme": "acme", "phc_strict": "strict", "phc_listed": "listed", "phc_keeper": "keeper", "G-ACME": "acme", "public": "acme"}
	if c.Asset && c.Tenant != "" {
		return passageRoute{p, c.Tenant}, nil
	}
	if len(c.Keys) == 0 {
		return nil, headlessly.ErrTunnelUnknown
	}
	if c.Keys[0] == "phc_shared" {
		return nil, headlessly.ErrTunnelAmbiguous
	}
	tenant := tenants[c.Keys[0]]
	if tenant == "" || len(c.Keys) > 1 || len(c.Hosts) > 0 || c.Tenant != "" && c.Tenant != tenant {
		return nil, headlessly.ErrTunnelUnknown
	}
	return passageRoute{p, tenant}, nil
}

type passageRoute struct {
	p      *passage
	tenant string
}

func (r passageRoute) Tenant() string { return r.tenant }

func (r passageRoute) Pass(_ context.Context, in *headlessly.TunnelRequest) (headlessly.TunnelAnswer, error) {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	r.p.passed = append(r.p.passed, *in)
	r.p.before = append(r.p.before, r.p.stored())
	if r.p.err != nil {
		return headlessly.TunnelAnswer{}, r.p.err
	}
	return headlessly.TunnelAnswer{Status: 207, Header: http.Header{"Content-Type": {"text/plain"}, "X-Sentry-Rate-Limits": {"60::org"}}, Body: []byte("as the provider says")}, nil
}

func startTunnel(t *testing.T) (*gateway, *passage) {
	t.Helper()
	p := new(passage)
	g := start(t, func(c *collector.Config) { c.Tunnel = p })
	p.stored = func() int { return len(g.log.events(t)) }
	return g, p
}

const captured = `{"uuid":"0193a2b4-7c11-7e00-8a3c-5f0d1f4a9c77","event":"Signed Up","properties":{"token":"phc_acme","distinct_id":"d-1","plan":"pro"}}`

func TestTheTunnelStoresAndThenPassesOnUnchanged(t *testing.T) {
	g, p := startTunnel(t)
	res, _ := g.post(t, "/e/?ver=1&_=2", []byte(captured), "Origin: https://shop.example", "Cookie: session=secret", "Content-Type: text/plain")
	events := g.log.events(t)
	if res.StatusCode != 207 || len(events) != 1 || p.before[0] != 1 {
		t.Fatalf("got %d, %d events, %v of them before the request was passed on", res.StatusCode, len(events), p.before)
	}
	e := events[0]
	if e.Tenant != "acme" || e.Event != "Signed Up" || e.AnonymousID != "d-1" || e.MessageID != "0193a2b4-7c11-7e00-8a3c-5f0d1f4a9c77" || !strings.Contains(e.Context, `"integrations":{"All":false}`) {
		t.Errorf("stored %+v", e)
	}
	out := p.passed[0]
	if out.Method != "POST" || out.Path != "/e/" || out.Query != "ver=1&_=2" || string(out.Body) != captured || out.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("passed on %+v", out)
	}
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "https://shop.example", "Access-Control-Allow-Credentials": "true", "Content-Type": "text/plain", "X-Sentry-Rate-Limits": "60::org",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("answer's %s is %q, want %q", name, got, want)
		}
	}
}

func TestTheTunnelIsNoOpenRelay(t *testing.T) {
	listed, sentry := strings.ReplaceAll(captured, "phc_acme", "phc_listed"), `{"dsn":"https://public@evil.example/42"}`+"\n"
	for _, row := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		code                     string
		passed                   int
	}{
		{"a key of nobody's", "POST", "/e/", strings.ReplaceAll(captured, "phc_acme", "phc_evil"), nil, 403, "unknown_project", 0},
		{"no key", "POST", "/e/", `{"event":"x"}`, nil, 400, "invalid_request", 0},
		{"two keys", "POST", "/batch/", `{"api_key":"phc_acme","batch":[{"event":"x","properties":{"token":"phc_evil"}}]}`, nil, 403, "unknown_project", 0},
		{"a key that two tenants have", "POST", "/e/", strings.ReplaceAll(captured, "phc_acme", "phc_shared"), nil, 409, "ambiguous_tenant", 0},
		{"another tenant in the path", "POST", "/~other/e/", captured, nil, 403, "unknown_project", 0},
		{"the tenant in the path", "POST", "/~acme/e/", captured, nil, 207, "", 1},
		{"a DSN of another host", "POST", "/api/42/envelope/", sentry, nil, 403, "unknown_project", 0},
		{"a DSN of this host", "POST", "/api/42/envelope/", `{"dsn":"https://public@gateway/42"}` + "\n", nil, 207, "", 1},
		{"a path of nobody's", "POST", "/api/projects/", captured, nil, 404, "not_found", 0},
		{"a wrong method", "DELETE", "/e/", captured, nil, 405, "method_not_allowed", 0},
		{"a preflight", "OPTIONS", "/e/", "", []string{"Origin: https://shop.example", "Access-Control-Request-Headers: x-sentry-auth"}, 204, "", 0},
		{"a tenant that takes keys only", "POST", "/e/", strings.ReplaceAll(captured, "phc_acme", "phc_strict"), nil, 401, "unauthorized", 0},
		{"an origin that is not listed", "POST", "/e/", listed, []string{"Origin: https://evil.example"}, 403, "forbidden", 0},
		{"an origin that is listed", "POST", "/e/", listed, []string{"Origin: https://shop.example"}, 207, "", 1},
		{"a file, by a script tag", "GET", "/~listed/static/array.js", "", nil, 207, "", 1},
		{"a body that is too large", "POST", "/e/?token=phc_acme", strings.Repeat("x", headlessly.MaxBodyBytes+1), nil, 413, "too_large", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			g, p := startTunnel(t)
			res, r := g.do(t, row.method, row.path, []byte(row.body), row.headers...)
			if res.StatusCode != row.status || r.Error != row.code || len(p.passed) != row.passed {
				t.Errorf("got %d %q, passed on %d times, want %d %q, %d", res.StatusCode, r.Error, len(p.passed), row.status, row.code, row.passed)
			}
			if row.status == 204 && res.Header.Get("Access-Control-Allow-Headers") != "x-sentry-auth" {
				t.Errorf("preflight answers %v", res.Header)
			}
			if row.passed == 0 && row.status != 413 && len(g.log.events(t)) > 0 {
				t.Error("an event of a request that was refused is stored")
			}
		})
	}
}

func TestWhatTheTunnelCannotReadIsKeptAndPassedOn(t *testing.T) {
	g, p := startTunnel(t)
	g.post(t, "/e/?token=phc_acme", []byte("\x1f\x8bno gzip"))
	large := strings.ReplaceAll(captured, `"pro"`, `"`+strings.Repeat("p", headlessly.MaxEventBytes)+`"`)
	g.post(t, "/e/", []byte(large))
	if len(p.passed) != 2 || len(g.log.events(t)) != 0 {
		t.Errorf("passed on %d of 2 requests, stored %d events", len(p.passed), len(g.log.events(t)))
	}
	if rejected := g.log.rejected(t); len(rejected) != 2 || rejected[0].Tenant != "acme" || rejected[1].Reason != "too_large" {
		t.Errorf("kept %+v", rejected)
	}
}

func TestWhatTheLogDoesNotTakeIsNotPassedOn(t *testing.T) {
	g, p := startTunnel(t)
	g.log.err = headlessly.ErrLogFull
	if res, r := g.post(t, "/e/", []byte(captured)); res.StatusCode != 507 || len(p.passed) != 0 {
		t.Errorf("got %d %+v, passed on %d times", res.StatusCode, r, len(p.passed))
	}
}

func TestAProviderThatCannotBeReached(t *testing.T) {
	for want, err := range map[int]error{502: errors.New("connection refused"), 503: headlessly.ErrTunnelBusy} {
		g, p := startTunnel(t)
		p.err = err
		if res, _ := g.post(t, "/e/", []byte(captured)); res.StatusCode != want || len(g.log.events(t)) != 1 {
			t.Errorf("%v: got %d with %d events stored, want %d and 1", err, res.StatusCode, len(g.log.events(t)), want)
		}
	}
}

func TestTheVisitorsAddressIsPassedOnAsTheTenantLetsItBeKnown(t *testing.T) {
	for key, want := range map[string]string{"phc_acme": "203.0.113.0", "phc_keeper": "203.0.113.77"} {
		p := &passage{stored: func() int { return 0 }}
		g := start(t, func(c *collector.Config) {
			c.Tunnel, c.TrustedProxies = p, []netip.Prefix{netip.MustParsePrefix("0.0.0.0/32")} // what the listener in memory says
		})
		g.post(t, "/e/", []byte(strings.ReplaceAll(captured, "phc_acme", key)), "X-Forwarded-For: 203.0.113.77")
		if len(p.passed) != 1 || p.passed[0].IP != want {
			t.Errorf("%s: got %+v, want %s", key, p.passed, want)
		}
	}
}
