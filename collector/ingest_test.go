package collector_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector"
)

func TestABatchIsAcceptedOnlyOnceItIsInTheLog(t *testing.T) {
	g := start(t)
	res, r := g.post(t, "/e", []byte(`{"tenant":"acme","sentAt":1772366400000,"events":[{"type":"page","url":"https://shop.example/a?utm_source=partner"},{"event":"Signed Up","userId":7}]}`), "Content-Type: text/plain")
	if res.StatusCode != http.StatusAccepted || r.Accepted != 2 || len(r.Rejected) != 0 || r.ID == "" {
		t.Fatalf("got %d %+v", res.StatusCode, r)
	}
	events := g.log.events(t)
	if len(events) != 2 {
		t.Fatalf("got %d events in the log, want 2", len(events))
	}
	if e := events[0]; e.Tenant != "acme" || e.Type != "page" || e.Host != "shop.example" || e.Path != "/a" || e.UTMSource != "partner" || e.Channel != "referral" {
		t.Errorf("got %+v", e)
	}
	if e := events[1]; e.Type != "track" || e.Event != "Signed Up" || e.UserID != "7" || len(e.MessageID) != 36 {
		t.Errorf("got %+v", e)
	}
}

func TestWhenTheLogFailsNothingIsAcknowledged(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{headlessly.ErrLogFull, 507, "log_full"},
		{headlessly.ErrLogFailed, 503, "log_failed"},
		{headlessly.ErrLogBusy, 503, "unavailable"},
	} {
		g := start(t)
		g.log.err = c.err
		res, r := g.post(t, "/e?t=acme", []byte(`{"event":"x"}`))
		if res.StatusCode != c.status || r.Error != c.code || r.Accepted != 0 || res.Header.Get("Retry-After") == "" {
			t.Errorf("%v: got %d %+v, Retry-After %q", c.err, res.StatusCode, r, res.Header.Get("Retry-After"))
		}
	}
}

func TestOneBadEventDoesNotCostItsNeighbours(t *testing.T) {
	g := start(t)
	big := strings.Repeat("a", headlessly.MaxEventBytes)
	res, r := g.post(t, "/e?t=acme", []byte(`{"events":[{"event":"a"},{"event":5},{"type":"track"},7,{"event":"x","properties":[]},{"event":"x","ts":"yesterday"},{"event":"x","properties":{"p":"`+big+`"}},{"event":"b"}]}`))
	if res.StatusCode != 202 || r.Accepted != 2 {
		t.Fatalf("got %d %+v", res.StatusCode, r)
	}
	want := []struct{ code, field string }{
		{"wrong_type", "events[1].event"},
		{"missing", "events[2].event"},
		{"wrong_type", "events[3]"},
		{"wrong_type", "events[4].properties"},
		{"bad_time", "events[5].ts"},
		{"too_large", "events[6]"},
	}
	if len(r.Rejected) != len(want) {
		t.Fatalf("got %+v", r.Rejected)
	}
	kept := g.log.rejected(t)
	if len(kept) != len(want) {
		t.Fatalf("%d rejected records kept, want %d", len(kept), len(want))
	}
	for i, w := range want {
		if got := r.Rejected[i]; got.Error != w.code || got.Field != w.field || got.Index != i+1 {
			t.Errorf("rejected %d: got %+v, want %+v", i, got, w)
		}
		if k := kept[i]; k.Reason != w.code || k.Field != w.field || k.Tenant != "acme" || !json.Valid(k.Raw) {
			t.Errorf("kept %d: got %+v", i, k)
		}
	}
}

func TestBadInputIsRefusedWithTheFieldNamed(t *testing.T) {
	deep := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	keys := `{"event":"x","properties":{`
	for i := range headlessly.MaxJSONKeys {
		keys += fmt.Sprintf(`"k%d":1,`, i)
	}
	keys += `"last":1}}`
	many := `{"events":[` + strings.Repeat(`{},`, headlessly.MaxBatchEvents) + `{}]}`
	bomb := gz(bytes.Repeat([]byte(" "), 64<<20))
	for _, c := range []struct {
		name, path, body string
		headers          []string
		status           int
		code, field      string
		kept             bool // readable in rejected afterwards
	}{
		{"not JSON", "/e?t=acme", `{"events":[`, nil, 400, "invalid_json", "body", true},
		{"empty", "/e?t=acme", ``, nil, 400, "invalid_json", "body", true},
		{"a number that is none", "/e?t=acme", `{"event":"x","properties":{"a":1.2.3}}`, nil, 400, "invalid_json", "body", true},
		{"NaN", "/e?t=acme", `{"event":"x","properties":{"a":NaN}}`, nil, 400, "invalid_json", "body", true},
		{"a bare string", "/e?t=acme", `"hello"`, nil, 400, "validation_failed", "body", true},
		{"events is no array", "/e?t=acme", `{"events":{}}`, nil, 400, "validation_failed", "events", true},
		{"a depth bomb", "/e?t=acme", deep, nil, 400, "too_deep", "body", true},
		{"too many keys", "/e?t=acme", keys, nil, 400, "validation_failed", "event", true},
		{"too many events", "/e?t=acme", many, nil, 413, "too_many", "events", true},
		{"bad UTF-8", "/e?t=acme", "{\"event\":\"x\",\"title\":\"a\xff\"}", nil, 400, "validation_failed", "title", true},
		{"an id too long", "/e?t=acme", `{"event":"x","userId":"` + strings.Repeat("u", 257) + `"}`, nil, 400, "validation_failed", "userId", true},
		{"a time in the year 3000", "/e?t=acme", `{"event":"x","ts":"3000-01-01T00:00:00Z"}`, nil, 400, "validation_failed", "ts", true},
		{"over 4 MiB", "/e?t=acme", `{"event":"` + strings.Repeat("x", headlessly.MaxBodyBytes) + `"}`, nil, 413, "too_large", "body", true},
		{"a decompression bomb", "/e?t=acme", string(bomb), []string{"Content-Encoding: gzip"}, 413, "too_large", "body", true},
		{"not gzip", "/e?t=acme", "hello", []string{"Content-Encoding: gzip"}, 400, "invalid_encoding", "body", true},
		{"unknown encoding", "/e?t=acme", "hello", []string{"Content-Encoding: lzma"}, 415, "unsupported_encoding", "Content-Encoding", false},
		{"a form", "/e?t=acme", "a=b", []string{"Content-Type: application/x-www-form-urlencoded"}, 400, "invalid_json", "body", true},
		{"XML", "/e?t=acme", "<a/>", []string{"Content-Type: application/xml"}, 415, "unsupported_media_type", "Content-Type", false},
		{"no tenant", "/e", `{"event":"x"}`, nil, 400, "no_tenant", "tenant", true},
		{"a tenant inside an event does not count", "/e", `{"event":"x","tenant":"acme"}`, nil, 400, "no_tenant", "tenant", true},
		{"unknown tenant", "/e?t=nobody", `{"event":"x"}`, nil, 403, "unknown_tenant", "tenant", true},
		{"malformed tenant", "/e?t=A%20b", `{"event":"x"}`, nil, 400, "invalid_tenant", "tenant", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t)
			res, r := g.post(t, c.path, []byte(c.body), c.headers...)
			if res.StatusCode != c.status || r.Error != c.code || !strings.HasPrefix(r.Field, c.field) || r.Message == "" {
				t.Errorf("got %d %+v, want %d %s %s", res.StatusCode, r, c.status, c.code, c.field)
			}
			if n := len(g.log.events(t)); n != 0 {
				t.Errorf("%d events reached the log", n)
			}
			if kept := g.log.rejected(t); (len(kept) == 1) != c.kept {
				t.Errorf("%d rejected records kept, want kept %v", len(kept), c.kept)
			}
		})
	}
}

func gz(b []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, _ = w.Write(b)
	_ = w.Close()
	return buf.Bytes()
}

func TestEveryContentEncodingArrivesWhole(t *testing.T) {
	body := []byte(`{"event":"packed","properties":{"text":"` + strings.Repeat("héllo ", 300) + `"}}`)
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	var br, zl bytes.Buffer
	bw := brotli.NewWriter(&br)
	_, _ = bw.Write(body)
	_ = bw.Close()
	zw := zlib.NewWriter(&zl)
	_, _ = zw.Write(body)
	_ = zw.Close()
	for name, packed := range map[string][]byte{"gzip": gz(body), "br": br.Bytes(), "zstd": enc.EncodeAll(body, nil), "deflate": zl.Bytes(), "identity": body} {
		g := start(t)
		res, _ := g.post(t, "/e?t=acme", packed, "Content-Encoding: "+name)
		events := g.log.events(t)
		if res.StatusCode != 202 || len(events) != 1 || !strings.Contains(events[0].Properties, strings.Repeat("héllo ", 300)) {
			t.Errorf("%s: got %d, %d events", name, res.StatusCode, len(events))
		}
	}
}

// A page that named the encoding would cost the browser a preflight.
func TestGzipIsKnownByItsFirstBytes(t *testing.T) {
	g := start(t)
	res, _ := g.post(t, "/e?t=acme", gz([]byte(`{"event":"packed"}`)))
	if events := g.log.events(t); res.StatusCode != 202 || len(events) != 1 || events[0].Event != "packed" {
		t.Errorf("got %d, %d events", res.StatusCode, len(events))
	}
	bomb := gz(bytes.Repeat([]byte(" "), 8<<20))
	if res, r := g.post(t, "/e?t=acme", bomb); res.StatusCode != 413 || r.Error != "too_large" {
		t.Errorf("a bomb: got %d %+v, want 413", res.StatusCode, r)
	}
}

// TestEveryKindOfKey is the table of keys × route.
func TestEveryKindOfKey(t *testing.T) {
	for _, c := range []struct {
		name, path string
		headers    []string
		status     int
		tenant     string
	}{
		{"no key, open tenant", "/e?t=acme", nil, 202, "acme"},
		{"public", "/e", []string{"Authorization: Bearer " + publicKey}, 202, "acme"},
		{"public from a page", "/e", []string{"Authorization: Bearer " + publicKey, "Origin: https://a.example"}, 202, "acme"},
		{"public as basic user", "/e", []string{"Authorization: Basic aGx5X3BrX2FjbWU6"}, 202, "acme"},
		{"public in the address", "/e?key=" + publicKey, nil, 202, "acme"},
		{"secret", "/e", []string{"Authorization: Bearer " + secretKey}, 202, "acme"},
		{"secret from a page", "/e", []string{"Authorization: Bearer " + secretKey, "Origin: https://a.example"}, 403, ""},
		{"admin names the tenant", "/e?t=other", []string{"Authorization: Bearer " + adminKey}, 202, "other"},
		{"admin without a tenant", "/e", []string{"Authorization: Bearer " + adminKey}, 400, ""},
		{"another tenant's", "/e?t=acme", []string{"Authorization: Bearer " + otherKey}, 403, ""},
		{"revoked or unknown", "/e?t=acme", []string{"Authorization: Bearer hly_pk_gone"}, 401, ""},
		{"none where one is demanded", "/e?t=strict", nil, 401, ""},
		{"admin where one is demanded", "/e?t=strict", []string{"Authorization: Bearer " + adminKey}, 202, "strict"},
		{"listed origin", "/e?t=listed", []string{"Origin: https://shop.example"}, 202, "listed"},
		{"other origin", "/e?t=listed", []string{"Origin: https://evil.example"}, 403, ""},
		{"no origin where a list is", "/e?t=listed", nil, 403, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t)
			res, r := g.post(t, c.path, []byte(`{"events":[{"event":"x","tenant":"other"}]}`), c.headers...)
			if res.StatusCode != c.status {
				t.Fatalf("got %d %+v, want %d", res.StatusCode, r, c.status)
			}
			events := g.log.events(t)
			if c.tenant == "" && len(events) != 0 || c.tenant != "" && (len(events) != 1 || events[0].Tenant != c.tenant) {
				t.Errorf("got %+v, want tenant %q", events, c.tenant)
			}
		})
	}
}

// TestNothingOfARequestOutlivesItsHandler poisons every request's buffers
// after its handler and looks for the poison in the log.
func TestNothingOfARequestOutlivesItsHandler(t *testing.T) {
	g := start(t)
	agent := "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
	for i := range 50 {
		body := fmt.Sprintf(`{"tenant":"acme","context":{"locale":"de-%d","page":{"url":"https://h%d.example/p"},"x":"y%d"},"events":[{"event":"E%d","userId":"u%d","properties":{"n":%d},"exception":{"type":"T%d","value":"v"}}]}`, i, i, i, i, i, i, i)
		if res, r := g.post(t, "/e", []byte(body), "User-Agent: "+agent+fmt.Sprint(i)); res.StatusCode != 202 {
			t.Fatalf("got %d %+v", res.StatusCode, r)
		}
		// The same connection's buffer now holds X where the strings were.
		g.post(t, "/e", []byte(strings.Repeat("X", len(body)+600)), "User-Agent: "+strings.Repeat("X", len(agent)+2))
	}
	for i, e := range g.log.events(t) {
		if e.Event != fmt.Sprint("E", i) || e.UserID != fmt.Sprint("u", i) || e.Host != fmt.Sprintf("h%d.example", i) || e.Language != fmt.Sprint("de-", i) ||
			e.ErrorType != fmt.Sprint("T", i) || e.Context != fmt.Sprintf(`{"x":"y%d"}`, i) || e.Browser != "Chrome" || strings.Contains(fmt.Sprintf("%+v", e), "XX") {
			t.Errorf("event %d is spoiled: %+v", i, e)
		}
	}
}

func TestPathPrefixServesEverythingTwice(t *testing.T) {
	g := start(t, func(c *collector.Config) { c.PathPrefix = "/x7" })
	for _, p := range []string{"/e", "/x7/e"} {
		if res, _ := g.post(t, p+"?t=acme", []byte(`{"event":"x"}`)); res.StatusCode != 202 {
			t.Errorf("%s: got %d", p, res.StatusCode)
		}
	}
	if res, _ := g.do(t, http.MethodGet, "/x7/v1", nil); res.StatusCode != 200 {
		t.Errorf("script: got %d", res.StatusCode)
	}
}
