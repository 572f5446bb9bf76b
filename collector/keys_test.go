package collector_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/headlessly/headlessly/collector"
)

// TestEveryRouteWithEveryKindOfKey is the table of routes × keys: what each
// pair is answered, and that nothing refused is stored.
func TestEveryRouteWithEveryKindOfKey(t *testing.T) {
	const event = `{"event":"x","userId":"u"}`
	kinds := []struct {
		name    string
		headers []string
	}{
		{"no key", nil},
		{"public", []string{"Authorization: Bearer " + publicKey}},
		{"secret", []string{"Authorization: Bearer " + secretKey}},
		{"secret from a page", []string{"Authorization: Bearer " + secretKey, "Origin: https://a.example"}},
		{"admin", []string{"Authorization: Bearer " + adminKey}},
		{"another tenant's", []string{"Authorization: Bearer " + otherKey}},
		{"revoked", []string{"Authorization: Bearer hly_pk_gone"}},
	}
	for _, r := range []struct {
		method, path, body string
		want               [7]int // by kind
	}{
		// Routes that take events for the open tenant acme.
		{"POST", "/e?t=acme", event, [7]int{202, 202, 202, 403, 202, 403, 401}},
		{"POST", "/e/ndjson?t=acme", event + "\n", [7]int{202, 202, 202, 403, 202, 403, 401}},
		{"GET", "/e.gif?t=acme&event=x", "", [7]int{200, 200, 200, 403, 200, 403, 401}},
		{"POST", "/v1/batch?t=acme", `{"batch":[{"type":"track","event":"x","userId":"u"}]}`, [7]int{200, 200, 200, 403, 200, 403, 401}},
		{"POST", "/v1/track?t=acme", event, [7]int{200, 200, 200, 403, 200, 403, 401}},
		{"POST", "/v1/p?t=acme", event, [7]int{200, 200, 200, 403, 200, 403, 401}},
		{"POST", "/v1/identify?t=acme", event, [7]int{200, 200, 200, 403, 200, 403, 401}},
		{"POST", "/v1/s?t=acme", event, [7]int{200, 200, 200, 403, 200, 403, 401}},
		{"POST", "/v1/g?t=acme", `{"userId":"u","groupId":"g"}`, [7]int{200, 200, 200, 403, 200, 403, 401}},
		{"POST", "/v1/a?t=acme", `{"userId":"u","previousId":"p"}`, [7]int{200, 200, 200, 403, 200, 403, 401}},
		// And for one that demands keys, none of which is its own.
		{"POST", "/e?t=strict", event, [7]int{401, 403, 403, 403, 202, 403, 401}},
		{"POST", "/e/ndjson?t=strict", event + "\n", [7]int{401, 403, 403, 403, 202, 403, 401}},
		{"GET", "/e.gif?t=strict&event=x", "", [7]int{401, 403, 403, 403, 200, 403, 401}},
		{"POST", "/v1/t?t=strict", event, [7]int{401, 403, 403, 403, 200, 403, 401}},
		// Inbound receipts are verified by their signature; keys say nothing.
		{"POST", "/~acme/in/github/integration_1", "{}", [7]int{401, 401, 401, 401, 401, 401, 401}},
		// Behind the tunnel the provider's project says whose it is. A Bearer token
		// counts as a key of the provider's, so ours is one of a project of
		// nobody's; and a tenant that demands our keys has no way in.
		{"POST", "/e/", captured, [7]int{207, 403, 403, 403, 403, 403, 403}},
		{"POST", "/~acme/e/", captured, [7]int{207, 403, 403, 403, 403, 403, 403}},
		{"POST", "/~other/e/", captured, [7]int{403, 403, 403, 403, 403, 403, 403}},
		{"POST", "/e/", strings.ReplaceAll(captured, "phc_acme", "phc_strict"), [7]int{401, 403, 403, 403, 403, 403, 403}},
		{"POST", "/e/", strings.ReplaceAll(captured, "phc_acme", "phc_nobody"), [7]int{403, 403, 403, 403, 403, 403, 403}},
		{"POST", "/api/42/envelope/", `{"dsn":"https://public@gateway/42"}` + "\n", [7]int{207, 207, 207, 207, 207, 207, 207}},
		{"GET", "/~acme/static/array.js", "", [7]int{207, 207, 207, 207, 207, 207, 207}},
		{"GET", "/static/array.js", "", [7]int{403, 403, 403, 403, 403, 403, 403}},
		{"DELETE", "/e/", captured, [7]int{405, 405, 405, 405, 405, 405, 405}},
		// Nothing of a tenant's is behind the rest.
		{"POST", "/e/flags", "{}", [7]int{200, 200, 200, 200, 200, 200, 200}},
		{"POST", "/v1/m", "{}", [7]int{200, 200, 200, 200, 200, 200, 200}},
		{"GET", "/v1", "", [7]int{200, 200, 200, 200, 200, 200, 200}},
		{"GET", "/v1/projects/hly_pk_gone/settings", "", [7]int{200, 200, 200, 200, 200, 200, 200}},
		{"GET", "/healthz", "", [7]int{200, 200, 200, 200, 200, 200, 200}},
		{"GET", "/readyz", "", [7]int{200, 200, 200, 200, 200, 200, 200}},
		{"GET", "/metrics", "", [7]int{200, 200, 200, 200, 200, 200, 200}},
		{"GET", "/e", "", [7]int{405, 405, 405, 405, 405, 405, 405}},
		{"POST", "/~acme/events", "{}", [7]int{404, 404, 404, 404, 404, 404, 404}},
	} {
		p := &passage{stored: func() int { return 0 }}
		g := start(t, withInbound, func(c *collector.Config) { c.Tunnel = p })
		for i, k := range kinds {
			t.Run(r.method+" "+r.path+" "+k.name, func(t *testing.T) {
				g.log.mu.Lock()
				g.log.records = nil
				g.log.mu.Unlock()
				res, answer := g.do(t, r.method, r.path, []byte(r.body), k.headers...)
				if res.StatusCode != r.want[i] {
					t.Errorf("got %d %+v, want %d", res.StatusCode, answer, r.want[i])
				}
				stored := len(g.log.events(t))
				if res.StatusCode >= http.StatusBadRequest && stored+len(p.passed) != 0 {
					t.Errorf("refused, and %d events are in the log, %d requests were passed on", stored, len(p.passed))
				}
				if res.StatusCode == http.StatusMultiStatus && len(p.passed) != 1 {
					t.Errorf("passed on %d times", len(p.passed))
				}
				p.passed = nil
			})
		}
	}
}
