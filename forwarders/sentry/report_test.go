package sentry_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/egress"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
	"github.com/headlessly/headlessly/forwarders/sentry"
)

// relay takes envelopes, answers as told and notes their items' kinds.
type relay struct {
	t      testing.TB
	now    time.Time
	status func(kinds []string, body string) int

	mu        sync.Mutex
	envelopes [][]string // kinds of the items, by envelope that was taken
	reports   []string
}

func (r *relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	z, err := gzip.NewReader(req.Body)
	if err != nil {
		r.t.Error(err)
		return
	}
	body, err := io.ReadAll(z)
	if err != nil {
		r.t.Error(err)
		return
	}
	var kinds, reports []string
	lines := bytes.Split(bytes.TrimSpace(body), []byte("\n"))
	for i := 1; i+1 < len(lines); i += 2 {
		var head struct{ Type string }
		if err := json.Unmarshal(lines[i], &head); err != nil {
			r.t.Errorf("item header %q: %v", lines[i], err)
		}
		kinds = append(kinds, head.Type)
		if head.Type == "client_report" {
			reports = append(reports, string(lines[i+1]))
		}
	}
	if status := r.status(kinds, string(body)); status != 200 {
		w.WriteHeader(status)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.envelopes, r.reports = append(r.envelopes, kinds), append(r.reports, reports...)
}

// open starts a relay and a destination that sends to it.
func open(t testing.TB, status func([]string, string) int) (*relay, *sentry.Destination) {
	t.Helper()
	r := &relay{t: t, status: status, now: headlessly.SystemClock()}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	d, err := sentry.New(*connect(server.URL).Sentry, forwarders.Deps{Client: egress.New(egress.Config{AllowPrivate: true}), Clock: func() time.Time { return r.now }})
	if err != nil {
		t.Fatal(err)
	}
	return r, d
}

func items(kind string, n int) []forwarders.Item {
	var out []forwarders.Item
	for i := range n {
		e := forwardertest.Event("acme", kind, i, headlessly.SystemClock())
		e.Release, e.SessionID = "shop@1", forwardertest.ID(i)
		out = append(out, forwarders.Item{Event: e})
	}
	return out
}

func TestSessionsShareAnEnvelopeAndOneTooLargeIsHalved(t *testing.T) {
	r, d := open(t, func(kinds []string, _ string) int {
		if len(kinds) > 4 {
			return 413
		}
		return 200
	})
	for i, res := range d.Deliver(t.Context(), append(items(headlessly.TypeSession, 10), items(headlessly.TypeError, 1)...)) {
		if res.Err != nil {
			t.Errorf("item %d: %v", i, res.Err)
		}
	}
	sessions, events := 0, 0
	for _, kinds := range r.envelopes {
		for _, k := range kinds {
			switch k {
			case "session":
				sessions++
			case "event":
				events++
			}
		}
	}
	if sessions != 10 || events != 1 || len(r.envelopes) > 6 {
		t.Errorf("got %d sessions and %d events in %v", sessions, events, r.envelopes)
	}
}

func TestAnEventThatIsTooLargeIsSentAgainWithoutWhatMakesItSo(t *testing.T) {
	r, d := open(t, func(_ []string, body string) int {
		if strings.Contains(body, "ballast") {
			return 413
		}
		return 200
	})
	batch := items(headlessly.TypeError, 1)
	batch[0].Event.Properties = `{"a":"ballast"}`
	batch[0].Event.Context = `{"extra":{"b":"ballast"},"breadcrumbs":[{"message":"ballast"}],"tags":{"plan":"pro"}}`
	if res := d.Deliver(t.Context(), batch); res[0].Err != nil || len(r.envelopes) != 1 {
		t.Errorf("got %+v, %d envelopes taken", res[0], len(r.envelopes))
	}
	batch[0].Event.Context = `{"tags":{"plan":"ballast"}}`
	if res := d.Deliver(t.Context(), batch); res[0].Status != 413 || res[0].Err == nil {
		t.Errorf("an event that stays too large: %+v", res[0])
	}
}

func TestWhatSentryDoesNotGetIsReportedToIt(t *testing.T) {
	refuse := true
	r, d := open(t, func(kinds []string, _ string) int {
		if refuse && kinds[0] == "event" {
			return 400
		}
		return 200
	})
	d.Deliver(t.Context(), items(headlessly.TypeError, 3)) // refused: send_error
	event, session := items(headlessly.TypeError, 1)[0].Event, items(headlessly.TypeSession, 1)[0].Event
	for _, reason := range []string{forwarders.SkipSample, forwarders.SkipSample, forwarders.SkipRule, forwarders.DropBudget, forwarders.SkipConsent, forwarders.SkipUnmapped} {
		d.Dropped(event, reason)
	}
	d.Dropped(session, forwarders.DropExpired)
	if d.Due() {
		t.Error("a report is due at once")
	}
	refuse = false
	if res := d.Deliver(t.Context(), items(headlessly.TypeError, 1)); res[0].Err != nil {
		t.Fatal(res[0].Err)
	}
	want := `[{"reason":"cache_overflow","category":"session","quantity":1},{"reason":"event_processor","category":"error","quantity":1},` +
		`{"reason":"network_error","category":"error","quantity":1},{"reason":"sample_rate","category":"error","quantity":2},{"reason":"send_error","category":"error","quantity":3}]`
	if len(r.reports) != 1 || !strings.Contains(r.reports[0], want) {
		t.Errorf("got %q\nwant one with %s", r.reports, want)
	}
	d.Dropped(event, forwarders.SkipSample)
	r.now = r.now.Add(2 * time.Minute)
	if !d.Due() {
		t.Error("after two minutes no report is due")
	}
	d.Report(t.Context())
	if d.Due() || len(r.reports) != 2 || fmt.Sprint(r.envelopes[len(r.envelopes)-1]) != "[client_report]" {
		t.Errorf("a report of its own: %q in %v", r.reports, r.envelopes)
	}
}

func TestAReportThatDoesNotArriveIsToldLater(t *testing.T) {
	down := true
	r, d := open(t, func([]string, string) int {
		if down {
			return 503
		}
		return 200
	})
	d.Dropped(items(headlessly.TypeError, 1)[0].Event, forwarders.SkipRule)
	d.Report(t.Context())
	down = false
	d.Report(t.Context())
	if len(r.reports) != 1 || !strings.Contains(r.reports[0], `"quantity":1`) {
		t.Errorf("got %q", r.reports)
	}
}
