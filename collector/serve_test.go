package collector_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"

	"github.com/headlessly/headlessly/collector"
)

func TestTheScriptIsServedForCaches(t *testing.T) {
	g := start(t)
	res, _ := g.do(t, http.MethodGet, "/v1", nil, "Accept-Encoding: gzip, br")
	h := res.Header
	if res.StatusCode != 200 || h.Get("Content-Encoding") != "br" || h.Get("Cache-Control") != "public, max-age=3600, stale-while-revalidate=86400" ||
		h.Get("Cross-Origin-Resource-Policy") != "cross-origin" || h.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(h.Get("Content-Type"), "text/javascript") {
		t.Errorf("got %d %v", res.StatusCode, h)
	}
	if got, want := h.Get("Content-Location"), "v1/"+g.c.ScriptHash()+".js"; got != want || !strings.HasPrefix(h.Get("X-Integrity"), "sha384-") {
		t.Errorf("got location %q, integrity %q, want %q", got, h.Get("X-Integrity"), want)
	}
	again, _ := g.do(t, http.MethodGet, "/v1.js", nil, "Accept-Encoding: br", "If-None-Match: "+h.Get("ETag"))
	if again.StatusCode != http.StatusNotModified {
		t.Errorf("same ETag: got %d, want 304", again.StatusCode)
	}
	twin, _ := g.do(t, http.MethodGet, "/v1/"+g.c.ScriptHash()+".js", nil)
	if twin.StatusCode != 200 || !strings.Contains(twin.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("twin: got %d %v", twin.StatusCode, twin.Header)
	}
	if gone, _ := g.do(t, http.MethodGet, "/v1/0000000000000000.js", nil); gone.StatusCode != 404 {
		t.Errorf("unknown hash: got %d, want 404", gone.StatusCode)
	}
}

func TestTheBuildThatTheAddressAsksForIsServed(t *testing.T) {
	small := []byte("(function(){/* page views */})()")
	g := start(t, func(c *collector.Config) {
		c.SmallScripts = [][]byte{small}
		c.PickScript = func(query iter.Seq2[[]byte, []byte]) int {
			for name, value := range query {
				if string(name) == "auto" && string(value) == "pageviews" {
					return 1
				}
			}
			return 0
		}
	})
	fetch := func(path string) (body, etag string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://gateway"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := g.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("%s: got %d, %v", path, res.StatusCode, err)
		}
		return string(b), res.Header.Get("ETag")
	}
	full, fullTag := fetch("/v1")
	got, tag := fetch("/v1?auto=pageviews&spa=hash")
	if got != string(small) || tag == fullTag {
		t.Errorf("auto=pageviews: got %q with ETag %s", got, tag)
	}
	for _, path := range []string{"/v1.js", "/v1?auto=errors", "/v1?x=1"} {
		if got, _ := fetch(path); got != full {
			t.Errorf("%s: got %q, want the full script", path, got)
		}
	}
	sum := sha256.Sum256(small)
	if got, _ := fetch("/v1/" + hex.EncodeToString(sum[:8]) + ".js"); got != string(small) {
		t.Errorf("twin: got %q", got)
	}
}

func TestPreflightIsCachedADayAndTakesNoCredentials(t *testing.T) {
	g := start(t)
	res, _ := g.do(t, http.MethodOptions, "/e", nil, "Origin: https://a.example", "Access-Control-Request-Method: POST")
	h := res.Header
	if res.StatusCode != 204 || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Max-Age") != "86400" || h.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("got %d %v", res.StatusCode, h)
	}
}

func TestReadyFollowsTheLog(t *testing.T) {
	var fault error
	g := start(t, func(c *collector.Config) { c.Ready = func() error { return fault } })
	if res, _ := g.do(t, http.MethodGet, "/readyz", nil); res.StatusCode != 200 {
		t.Errorf("got %d, want 200", res.StatusCode)
	}
	fault = errors.New("disk is full")
	if res, r := g.do(t, http.MethodGet, "/readyz", nil); res.StatusCode != 503 || !strings.Contains(r.Message, "disk is full") {
		t.Errorf("got %d %+v, want 503", res.StatusCode, r)
	}
	if res, _ := g.do(t, http.MethodGet, "/healthz", nil); res.StatusCode != 200 {
		t.Errorf("liveness: got %d, want 200", res.StatusCode)
	}
}

func TestMetricsCountWhatHappened(t *testing.T) {
	g := start(t)
	g.post(t, "/e?t=acme", []byte(`[{"event":"a"},{"event":"b"},{}]`))
	g.post(t, "/e?t=acme", []byte(`nope`))
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://gateway/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := g.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := map[string]bool{}
	for s := bufio.NewScanner(res.Body); s.Scan(); {
		lines[s.Text()] = true
	}
	for _, want := range []string{
		"headlessly_events_accepted_total 2", `headlessly_events_rejected_total{reason="missing"} 1`,
		`headlessly_requests_refused_total{reason="invalid_json"} 1`, "headlessly_rejected_kept_total 2", "headlessly_ingest_requests_total 2",
	} {
		if !lines[want] {
			t.Errorf("no line %q in %v", want, lines)
		}
	}
}

// TestARequestThatCannotBeReadClosesTheConnection speaks on a raw socket:
// what follows a request with two meanings is never taken for a new one.
func TestARequestThatCannotBeReadClosesTheConnection(t *testing.T) {
	second := "POST /e?t=acme HTTP/1.1\r\nHost: g\r\nContent-Length: 15\r\n\r\n{\"event\":\"bad\"}"
	for name, first := range map[string]string{
		"negative length":       "POST /e?t=acme HTTP/1.1\r\nHost: g\r\nContent-Length: -1\r\n\r\n",
		"length overflow":       "POST /e?t=acme HTTP/1.1\r\nHost: g\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"no request line":       "hello\r\n\r\n",
		"headers without end":   "POST /e HTTP/1.1\r\nX: " + strings.Repeat("a", 20<<10) + "\r\n\r\n",
		"chunk size is no size": "POST /e?t=acme HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"two lengths":           "POST /e?t=acme HTTP/1.1\r\nHost: g\r\nContent-Length: 0\r\nContent-Length: 15\r\n\r\n",
		"length and chunks":     "POST /e?t=acme HTTP/1.1\r\nHost: g\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t)
			conn, err := g.dial()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			go func() { _, _ = fmt.Fprint(conn, first+second) }()
			r := bufio.NewReader(conn)
			res, err := http.ReadResponse(r, nil)
			if err == nil {
				defer res.Body.Close()
				if res.StatusCode < 400 {
					t.Errorf("got %d, want a refusal", res.StatusCode)
				}
			}
			for _, e := range g.log.events(t) {
				t.Errorf("event %q was smuggled in", e.Event)
			}
		})
	}
}
