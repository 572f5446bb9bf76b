package sinks_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/headlessly/headlessly/forwarders/sinks"
)

func serve(t testing.TB, cfg sinks.Config) (*sinks.Sinks, string) {
	t.Helper()
	s := sinks.New(cfg)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

func post(t testing.TB, url, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

const (
	auth  = "Sentry sentry_version=7, sentry_client=x/1, sentry_key=k"
	id    = "0123456789abcdef0123456789abcdef"
	event = `{"event_id":"` + id + `","timestamp":1,"platform":"javascript","message":"m"}`
)

func TestWhatSentryRefuses(t *testing.T) {
	good := `{"event_id":"` + id + `"}` + "\n" + `{"type":"event"}` + "\n" + event
	for _, row := range []struct {
		name, body, auth string
		want             int
	}{
		{"an event", good, auth, 200},
		{"no key", good, "", 403},
		{"an old protocol", good, "Sentry sentry_version=6, sentry_key=k", 403},
		{"a header that is no JSON", "x\n" + event, auth, 400},
		{"an event without an id", "{}\n" + `{"type":"event"}` + "\n" + event, auth, 400},
		{"an id with dashes", `{"event_id":"01234567-89ab-cdef-0123-456789abcdef"}` + "\n" + `{"type":"event"}` + "\n" + event, auth, 400},
		{"two events", good + "\n" + `{"type":"event"}` + "\n" + event, auth, 400},
		{"a length that is too long", `{"event_id":"` + id + `"}` + "\n" + `{"type":"event","length":9999}` + "\n" + event, auth, 400},
		{"a length that is too short", `{"event_id":"` + id + `"}` + "\n" + `{"type":"event","length":5}` + "\n" + event, auth, 400},
		{"two times of sending", `{"event_id":"` + id + `","sent_at":"2026-01-01T00:00:00Z","sent_at":"2026-01-01T00:00:00Z"}` + "\n" + `{"type":"event"}` + "\n" + event, auth, 400},
		{"an item of an unknown type", `{}` + "\n" + `{"type":"hologram"}` + "\n" + `{}`, auth, 200},
		{"a megabyte of event", `{"event_id":"` + id + `"}` + "\n" + `{"type":"event"}` + "\n" + `{"x":"` + strings.Repeat("x", 1<<20) + `"}`, auth, 413},
	} {
		_, url := serve(t, sinks.Config{})
		if got, answer := post(t, url+"/api/42/envelope/", row.body, "X-Sentry-Auth", row.auth); got != row.want {
			t.Errorf("%s: got %d (%s), want %d", row.name, got, answer, row.want)
		}
	}
}

func TestWhatPostHogRefuses(t *testing.T) {
	one := `{"event":"e","distinct_id":"d","uuid":"u","timestamp":"2026-01-01T00:00:00Z","properties":{}}`
	for _, row := range []struct {
		name, path, body string
		want             int
	}{
		{"a batch", "/batch/", `{"api_key":"phc_1","batch":[` + one + `]}`, 200},
		{"a single event", "/i/v0/e/", `{"api_key":"phc_1","event":"e","distinct_id":"d"}`, 200},
		{"no key", "/batch/", `{"batch":[` + one + `]}`, 401},
		{"a personal key", "/batch/", `{"api_key":"phx_1","batch":[` + one + `]}`, 401},
		{"keys of two projects", "/batch/", `{"api_key":"phc_1","batch":[{"api_key":"phc_2","event":"e"}]}`, 401},
		{"an empty batch", "/batch/", `{"api_key":"phc_1","batch":[]}`, 400},
		{"no JSON", "/batch/", `{`, 400},
		{"an event of the wrong type", "/batch/", `{"api_key":"phc_1","batch":[{"event":7}]}`, 400},
		{"an event without a name is taken, and lost", "/batch/", `{"api_key":"phc_1","batch":[{"distinct_id":"d"}]}`, 200},
		{"the newer interface without a bearer", "/i/v1/analytics/events", `{"batch":[` + one + `]}`, 401},
	} {
		_, url := serve(t, sinks.Config{})
		if got, answer := post(t, url+row.path, row.body); got != row.want {
			t.Errorf("%s: got %d (%s), want %d", row.name, got, answer, row.want)
		}
	}
	_, url := serve(t, sinks.Config{NoV1: true})
	if got, _ := post(t, url+"/i/v1/analytics/events", `{}`); got != 404 {
		t.Errorf("an older installation answers %d on the newer route, want 404", got)
	}
}

func TestGoogleTakesEverythingAndTheStandInKeepsTheBooks(t *testing.T) {
	params := func(p string) string {
		return `{"client_id":"1.2","events":[{"name":"x","params":{"engagement_time_msec":1` + p + `}}]}`
	}
	for _, row := range []struct{ name, body, want string }{ // "" for no violation
		{"a good event", params(""), ""},
		{"no JSON", "x", "VALUE_INVALID"},
		{"no client", `{"events":[{"name":"x","params":{"engagement_time_msec":1}}]}`, "client_id is missing"},
		{"no events", `{"client_id":"1.2","events":[]}`, "EXCEEDED_MAX_ENTITIES"},
		{"26 events", `{"client_id":"1.2","events":[` + strings.Repeat(`{"name":"x","params":{"engagement_time_msec":1}},`, 25) + `{"name":"x","params":{"engagement_time_msec":1}}]}`, "26 events"},
		{"a reserved name", strings.Replace(params(""), `"x"`, `"session_start"`, 1), "NAME_RESERVED"},
		{"page_view is reserved and works", strings.Replace(params(""), `"x"`, `"page_view"`, 1), ""},
		{"a name with a blank", strings.Replace(params(""), `"x"`, `"a b"`, 1), "NAME_INVALID"},
		{"a long value", params(`,"a":"` + strings.Repeat("ä", 101) + `"`), "over 100 characters"},
		{"a long title is allowed more", params(`,"page_title":"` + strings.Repeat("ä", 300) + `"`), ""},
		{"a forbidden prefix", params(`,"ga_x":1`), "NAME_INVALID"},
		{"an object as a value", params(`,"a":{}`), "not a scalar"},
		{"an item without id or name", params(`,"items":[{"price":1}]`), "neither item_id nor item_name"},
		{"an event of last month", `{"client_id":"1.2","events":[{"name":"x","timestamp_micros":1500000000000000,"params":{"engagement_time_msec":1}}]}`, "would be moved"},
		{"no engagement", `{"client_id":"1.2","events":[{"name":"x","params":{}}]}`, "engagement_time_msec is missing"},
	} {
		s, url := serve(t, sinks.Config{})
		if got, _ := post(t, url+"/mp/collect?measurement_id=G-1&api_secret=s", row.body); got != 204 {
			t.Errorf("%s: got %d, want 204", row.name, got)
		}
		found := strings.Join(s.Violations(), "\n")
		if (row.want == "") != (found == "") || !strings.Contains(found, row.want) {
			t.Errorf("%s: found %q, want %q", row.name, found, row.want)
		}
		_, answer := post(t, url+"/debug/mp/collect?measurement_id=G-1&api_secret=s", row.body)
		if clean := strings.Contains(answer, `"validationMessages":[]`); clean != (row.want == "") {
			t.Errorf("%s: the validation server says %s", row.name, answer)
		}
	}
	s, url := serve(t, sinks.Config{})
	_, _ = post(t, url+"/mp/collect?measurement_id=G-1", params(""))
	if found := strings.Join(s.Violations(), ""); !strings.Contains(found, "api_secret") {
		t.Errorf("without a secret: %q", found)
	}
}

func TestSeveralEventsInTheBrowsersProtocol(t *testing.T) {
	s, url := serve(t, sinks.Config{})
	_, _ = post(t, url+"/g/collect?v=2&tid=G-1&cid=1.2", "en=page_view\r\nen=click&ep.href=x")
	events := s.Events(sinks.GA4)
	if len(events) != 2 || events[0].Name != "page_view" || events[1].Name != "click" || events[1].Visitor != "1.2" {
		t.Errorf("got %+v", events)
	}
	_, _ = post(t, url+"/g/collect?tid=G-1", "")
	if v := s.Violations(); len(v) != 4 { // v, cid, en, the name
		t.Errorf("violations %q", v)
	}
}

func TestFaultsAreUsedUpInOrder(t *testing.T) {
	s, url := serve(t, sinks.Config{})
	s.Fail(sinks.Fault{Kind: sinks.Hook, Times: 2, Status: 503, Header: map[string]string{"Retry-After": "7"}})
	s.Fail(sinks.Fault{Kind: sinks.PostHog, Status: 429})
	var got []int
	for range 3 {
		status, _ := post(t, url+"/hook/x", "{}")
		got = append(got, status)
	}
	if got[0] != 503 || got[1] != 503 || got[2] != 200 {
		t.Errorf("got %v, want 503 503 200", got)
	}
	if status, _ := post(t, url+"/batch/", "{}"); status != 429 {
		t.Errorf("another kind's fault: %d", status)
	}
	s.Heal(sinks.PostHog)
	if status, _ := post(t, url+"/batch/", "{}"); status != 400 {
		t.Errorf("healed: %d, want its own answer", status)
	}
	if n := len(s.Events(sinks.Hook)); n != 1 {
		t.Errorf("%d events were taken, want 1", n)
	}
}

func TestRepeatsAreMarked(t *testing.T) {
	s, url := serve(t, sinks.Config{})
	for range 2 {
		_, _ = post(t, url+"/api/42/envelope/", `{"event_id":"`+id+`"}`+"\n"+`{"type":"event"}`+"\n"+event, "X-Sentry-Auth", auth)
	}
	events := s.Events(sinks.Sentry)
	if len(events) != 2 || events[0].Duplicate || !events[1].Duplicate || s.Counts().Duplicates[sinks.Sentry] != 1 {
		t.Errorf("got %+v", events)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	s, url := serve(t, sinks.Config{Keep: 50})
	for range 200 {
		_, _ = post(t, url+"/hook/x", "{}")
	}
	events := s.Events("")
	if len(events) > 50 || events[len(events)-1].Seq != 200 || s.Counts().Events[sinks.Hook] != 200 {
		t.Errorf("%d kept, counts %+v", len(events), s.Counts())
	}
}

func TestPagesForPeopleAndPrograms(t *testing.T) {
	s, url := serve(t, sinks.Config{})
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(`{"a":"<script>alert(1)</script>"}`)) // to memory: never fails
	_ = z.Close()
	_, _ = post(t, url+"/hook/x", packed.String(), "Content-Encoding", "gzip")
	if status, _ := post(t, url+"/hook/x", "x", "Content-Encoding", "lzma"); status != 415 {
		t.Errorf("an unknown encoding: %d, want 415", status)
	}
	read := func(path string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		b, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("%s: %d, %v", path, res.StatusCode, err)
		}
		return string(b)
	}
	if html := read("/"); strings.Contains(html, "<script>alert") || !strings.Contains(html, "/hook/x") || !strings.Contains(html, "1 problems") {
		t.Errorf("page: %s", html)
	}
	var got struct {
		Counts sinks.Counts
		Events []sinks.Event
	}
	if err := json.Unmarshal([]byte(read("/_/received?kind=hook")), &got); err != nil || len(got.Events) != 1 || got.Counts.Refused[sinks.Hook] != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
	s.Reset()
	if n := len(s.Events("")); n != 0 {
		t.Errorf("%d events after a reset", n)
	}
}
