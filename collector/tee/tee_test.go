package tee_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly/collector/tee"
)

var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func inflate(_ string, body []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

func zip(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s))
	_ = z.Close()
	return b.String()
}

// read matches a path and reads a request.
func read(t testing.TB, path, query, body string, headers ...string) (tee.Result, error) {
	t.Helper()
	kind, ok := tee.Match(path)
	if !ok {
		t.Fatalf("%s is nobody's path", path)
	}
	h := http.Header{}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return tee.Read(kind, &tee.Request{Path: path, Query: query, Header: h.Get, Body: []byte(body), Now: now, Inflate: inflate})
}

// at looks a value up in an event.
func at(t testing.TB, raw json.RawMessage, path string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	for part := range strings.SplitSeq(path, "/") {
		switch x := v.(type) {
		case map[string]any:
			v = x[part]
		case []any:
			if part != "0" || len(x) == 0 {
				return ""
			}
			v = x[0]
		default:
			return ""
		}
	}
	if v == nil {
		return ""
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMatch(t *testing.T) {
	for path, want := range map[string]tee.Kind{
		"/g/collect": tee.GA, "/api/42/envelope/": tee.Sentry, "/api/42/envelope": tee.Sentry, "/e/": tee.PostHogEvents, "/i/v0/e/": tee.PostHogEvents,
		"/batch": tee.PostHogEvents, "/batch/": tee.PostHogEvents, "/s/": tee.PostHogRecords, "/flags/": tee.PostHogFlags, "/decide": tee.PostHogFlags,
		"/array/phc_x/config.js": tee.PostHogConfig, "/array/phc_x/config": tee.PostHogConfig, "/static/array.js": tee.PostHogAsset, "/static/1.2.3/recorder.js": tee.PostHogAsset,
		"/e": 0, "/g/collect/": 0, "/": 0, "/api/42/store/": 0, "/api/projects/": 0, "/array/phc_x/secrets": 0, "/static/../api/users": 0, "/static/%2e%2e/x": 0,
		"/static//x": 0, "/healthz": 0, "/v1": 0, "/statics/x.js": 0, "/api/users/@me/": 0,
	} {
		if got, ok := tee.Match(path); ok != (want != 0) || ok && got != want {
			t.Errorf("%s: got kind %d, %v, want %d", path, got, ok, want)
		}
	}
}

func TestGoogleHits(t *testing.T) {
	const common = "v=2&tid=G-ABC&cid=11.22&sid=1764158400&sct=3&ul=de-de&sr=1920x1080&dl=https%3A%2F%2Fshop.example%2F&dt=Shop&dr=https%3A%2F%2Fs.example%2F&gcs=G101&uid=user-7"
	got, err := read(t, "/g/collect", common, "en=page_view&_et=5\r\nen=purchase&ep.transaction_id=o-1&epn.value=42.5&cu=EUR&pr1=idp1~nmShirt~pr21.25~qt2~k0size~v0XL&up.plan=pro\r\n")
	if err != nil || len(got.Events) != 2 || !slices.Equal(got.Claim.Keys, []string{"G-ABC"}) {
		t.Fatalf("got %+v, %v", got, err)
	}
	for path, want := range map[string]string{
		"type": `"page"`, "event": "", "anonymousId": `"11.22"`, "userId": `"user-7"`, "sessionId": `"1764158400"`, "url": `"https://shop.example/"`, "title": `"Shop"`,
		"referrer": `"https://s.example/"`, "context/ga/sessionNumber": `"3"`, "context/screen/width": "1920", "context/locale": `"de-de"`,
		"context/consent/analytics": "true", "context/consent/marketing": "false", "integrations/All": "false", "context/tunnel": `"ga4"`, "properties/engagement_time_msec": "5",
	} {
		if g := at(t, got.Events[0], path); g != want {
			t.Errorf("page view: %s is %s, want %s", path, g, want)
		}
	}
	for path, want := range map[string]string{
		"type": `"track"`, "event": `"purchase"`, "properties/value": "42.5", "properties/currency": `"EUR"`, "properties/transaction_id": `"o-1"`,
		"properties/items/0/item_id": `"p1"`, "properties/items/0/quantity": "2", "properties/items/0/size": `"XL"`, "traits/plan": `"pro"`,
	} {
		if g := at(t, got.Events[1], path); g != want {
			t.Errorf("purchase: %s is %s, want %s", path, g, want)
		}
	}
	one, err := read(t, "/g/collect", common+"&en=scroll&epn.percent_scrolled=90", "")
	if err != nil || len(one.Events) != 1 || at(t, one.Events[0], "properties/percent_scrolled") != "90" {
		t.Errorf("a hit in the query: %s, %v", one.Events, err)
	}
	if smuggled, err := read(t, "/g/collect", common, "en=x&tid=G-OTHER"); err != nil || len(smuggled.Claim.Keys) != 2 {
		t.Errorf("a line with an id of its own: %+v, %v: want a claim on both", smuggled.Claim, err)
	}
	if _, err := read(t, "/g/collect", "en=x", ""); !errors.Is(err, tee.ErrNoKey) {
		t.Errorf("without an id: %v", err)
	}
}

const sentryEvent = `{"event_id":"0123456789abcdef0123456789abcdef","timestamp":1764158400.5,"platform":"javascript","level":"error","release":"shop@1","environment":"prod",` +
	`"exception":{"values":[{"type":"Error","value":"cause"},{"type":"RangeError","value":"thrown","stacktrace":{"frames":[{"filename":"a.js","lineno":1},{"filename":"b.js","lineno":2}]}}]},` +
	`"breadcrumbs":[{"message":"one"}],"user":{"id":"user-7","email":"a@b.example","ip_address":"{{auto}}"},"tags":{"plan":"pro"},"request":{"url":"https://shop.example/","headers":{"Referer":"https://s.example/"}},` +
	`"sdk":{"name":"sentry.javascript.browser","version":"10.1"},"contexts":{"trace":{"trace_id":"x"}}}`

func TestSentryEnvelopes(t *testing.T) {
	body := `{"event_id":"0123456789abcdef0123456789abcdef","sent_at":"2026-11-26T12:00:00Z"}` + "\n" +
		`{"type":"event","length":` + itoa(len(sentryEvent)) + "}\n" + sentryEvent + "\n" +
		`{"type":"session"}` + "\n" + `{"sid":"x"}` + "\n" +
		`{"type":"attachment","length":5}` + "\n" + "a\nb\nc\n" +
		`{"type":"transaction"}` + "\n" + `{"event_id":"1123456789abcdef0123456789abcdef","transaction":"/cart","start_timestamp":1,"timestamp":1.25,"spans":[{},{}]}`
	got, err := read(t, "/api/42/envelope/", "sentry_version=7&sentry_key=public", body)
	if err != nil || len(got.Events) != 2 || !slices.Equal(got.Claim.Keys, []string{"public"}) || got.Claim.Project != "42" {
		t.Fatalf("got %+v, %v", got, err)
	}
	for path, want := range map[string]string{
		"type": `"error"`, "messageId": `"0123456789abcdef0123456789abcdef"`, "ts": "1764158400.5", "release": `"shop@1"`, "userId": `"user-7"`,
		"exception/values/0/value": `"cause"`, "breadcrumbs/0/message": `"one"`, "tags/plan": `"pro"`, "url": `"https://shop.example/"`,
		"context/user/email": `"a@b.example"`, "context/user/ip_address": "", "context/library/name": `"sentry.javascript.browser"`, "context/tunnel": `"sentry"`,
	} {
		if g := at(t, got.Events[0], path); g != want {
			t.Errorf("%s is %s, want %s", path, g, want)
		}
	}
	if g := at(t, got.Events[1], "properties/duration_ms"); g != "250" {
		t.Errorf("the transaction took %s ms, want 250", g)
	}
	zipped, err := read(t, "/api/42/envelope/", "", zip(body), "Content-Encoding", "gzip", "X-Sentry-Auth", "Sentry sentry_version=7, sentry_key=public")
	if err != nil || len(zipped.Events) != 2 || !slices.Equal(zipped.Claim.Keys, []string{"public"}) {
		t.Errorf("compressed, with a header: %+v, %v", zipped.Claim, err)
	}
	tunnel, err := read(t, "/api/42/envelope/", "", `{"dsn":"https://public@o1.ingest.example/42"}`+"\n"+`{"type":"event"}`+"\n"+`{"message":"hello"}`)
	if err != nil || at(t, tunnel.Events[0], "type") != `"message"` || tunnel.Claim.Keys[0] != "public" || tunnel.Claim.Hosts[0] != "o1.ingest.example" {
		t.Errorf("with a dsn in the envelope: %+v, %v", tunnel, err)
	}
	for name, row := range map[string]struct{ query, body string }{
		"two different keys":    {"sentry_key=other", `{"dsn":"https://public@h/42"}`},
		"another project":       {"sentry_key=public", `{"dsn":"https://public@h/43"}`},
		"no envelope":           {"sentry_key=public", "hello"},
		"a length too long":     {"sentry_key=public", "{}\n" + `{"type":"event","length":99}` + "\n{}"},
		"a negative length":     {"sentry_key=public", "{}\n" + `{"type":"event","length":-1}` + "\n{}"},
		"an event that is none": {"sentry_key=public", "{}\n" + `{"type":"event"}` + "\n[]"},
		"no key":                {"", "{}"},
	} {
		if got, err := read(t, "/api/42/envelope/", row.query, row.body); err == nil && len(got.Claim.Keys) < 2 {
			t.Errorf("%s: got %+v, want an error or a claim on both", name, got.Claim)
		}
	}
}

func itoa(n int) string {
	b, _ := json.Marshal(n) // a number always encodes
	return string(b)
}

const postHogEvent = `{"uuid":"0193a2b4-7c11-7e00-8a3c-5f0d1f4a9c77","event":"Signed Up","properties":{"token":"phc_x","distinct_id":"user-7","$device_id":"d-1","$user_id":"user-7","$session_id":"s-1","plan":"pro"},"offset":1500}`

func TestPostHogRequests(t *testing.T) {
	for _, row := range []struct {
		name, query, body string
		headers           []string
		events            int
	}{
		{"one event", "", postHogEvent, nil, 1},
		{"an array", "", "[" + postHogEvent + "," + postHogEvent + "]", nil, 2},
		{"a batch", "", `{"api_key":"phc_x","batch":[` + postHogEvent + "]}", nil, 1},
		{"gzip by query", "compression=gzip-js", zip("[" + postHogEvent + "]"), nil, 1},
		{"gzip by header", "", zip(postHogEvent), []string{"Content-Encoding", "gzip"}, 1},
		{"base64 in a form", "compression=base64", "data=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(postHogEvent))), nil, 1},
		{"gzip in base64", "", "data=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(zip(postHogEvent)))), nil, 1},
		{"a recording's part", "", `{"event":"$snapshot","properties":{"token":"phc_x"}}`, nil, 0},
	} {
		got, err := read(t, "/e/", row.query, row.body, row.headers...)
		if err != nil || len(got.Events) != row.events || !slices.Equal(got.Claim.Keys, []string{"phc_x"}) {
			t.Errorf("%s: got %d events, claim %+v, %v", row.name, len(got.Events), got.Claim, err)
			continue
		}
		if row.events == 0 {
			continue
		}
		for path, want := range map[string]string{
			"event": `"Signed Up"`, "messageId": `"0193a2b4-7c11-7e00-8a3c-5f0d1f4a9c77"`, "anonymousId": `"d-1"`, "userId": `"user-7"`, "sessionId": `"s-1"`,
			"ts": `"2026-11-26T11:59:58.5Z"`, "properties/plan": `"pro"`, "properties/token": "", "integrations/All": "false", "context/tunnel": `"posthog"`,
		} {
			if g := at(t, got.Events[0], path); g != want {
				t.Errorf("%s: %s is %s, want %s", row.name, path, g, want)
			}
		}
	}
	mixed, err := read(t, "/batch/", "", `{"api_key":"phc_x","batch":[{"event":"a","properties":{"token":"phc_y"}}]}`)
	if err != nil || len(mixed.Claim.Keys) != 2 {
		t.Errorf("two keys in one request: %+v, %v: want a claim on both", mixed.Claim, err)
	}
	vitals, err := read(t, "/e/", "", `{"uuid":"u","event":"$web_vitals","properties":{"token":"phc_x","$web_vitals_LCP_value":1200.5,"$web_vitals_LCP_event":{"rating":"good"},"$web_vitals_CLS_value":0.1}}`)
	if err != nil || len(vitals.Events) != 2 || at(t, vitals.Events[0], "properties/name") != `"LCP"` || at(t, vitals.Events[0], "properties/rating") != `"good"` || at(t, vitals.Events[1], "messageId") != `"u:CLS"` {
		t.Errorf("web vitals: %s, %v", vitals.Events, err)
	}
	flags, err := read(t, "/flags/", "v=2", `{"token":"phc_x","distinct_id":"d"}`)
	if err != nil || len(flags.Events) != 0 || flags.Claim.Keys[0] != "phc_x" {
		t.Errorf("flags: %+v, %v", flags, err)
	}
	if config, err := read(t, "/array/phc_x/config.js", "", ""); err != nil || config.Claim.Keys[0] != "phc_x" {
		t.Errorf("configuration: %+v, %v", config, err)
	}
	if file, err := read(t, "/static/array.js", "", ""); err != nil || !file.Claim.Asset {
		t.Errorf("a file: %+v, %v", file, err)
	}
	for name, body := range map[string]string{"not JSON": "hello", "not base64": "data=%%%", "half a gzip": zip(postHogEvent)[:20], "no key": `{"event":"a"}`, "an array of numbers": "[1]"} {
		if got, err := read(t, "/e/", "", body); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, path := range []string{"/g/collect", "/api/42/envelope/", "/e/", "/flags/"} {
		for _, body := range []string{sentryEvent, postHogEvent, "en=x&pr1=idp~nmx", "{}\n{\"type\":\"event\"}\n{}", zip(postHogEvent), "data=e30="} {
			f.Add(path, "tid=G-1&sentry_key=k", body)
		}
	}
	f.Fuzz(func(t *testing.T, path, query, body string) {
		kind, ok := tee.Match(path)
		if !ok {
			return
		}
		got, err := tee.Read(kind, &tee.Request{Path: path, Query: query, Header: func(string) string { return "" }, Body: []byte(body), Now: now, Inflate: inflate})
		if err == nil && len(got.Claim.Keys) == 0 && !got.Claim.Asset {
			t.Error("a request without a key was read")
		}
		for _, e := range got.Events {
			if !json.Valid(e) {
				t.Errorf("an event is not JSON: %q", e)
			}
		}
	})
}
