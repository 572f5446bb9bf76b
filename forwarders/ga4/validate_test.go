package ga4_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/egress"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
	"github.com/headlessly/headlessly/forwarders/ga4"
	"github.com/headlessly/headlessly/forwarders/sinks"
)

func destination(t testing.TB, d headlessly.Destinations) *ga4.Destination {
	t.Helper()
	dest, err := ga4.New(*d.GA, forwarders.Deps{Client: egress.New(egress.Config{AllowPrivate: true}), Clock: headlessly.SystemClock})
	if err != nil {
		t.Fatal(err)
	}
	return dest
}

func TestWhatWeSendSatisfiesTheValidationServer(t *testing.T) {
	s := sinks.New(sinks.Config{})
	server := httptest.NewServer(s)
	defer server.Close()
	d := destination(t, measurement(server.URL))
	var events []*headlessly.Event
	for n, kind := range forwardertest.Types() {
		if kind != headlessly.TypeAlias && kind != headlessly.TypeSession { // which are not sent
			events = append(events, forwardertest.Event("acme", kind, n, headlessly.SystemClock()))
		}
	}
	found, err := d.Validate(t.Context(), events...)
	if err != nil || len(found) != 0 {
		t.Errorf("got %+v, %v", found, err)
	}
	if n := len(s.Events(sinks.GA4)); n != 0 {
		t.Errorf("%d events were recorded by a validation", n)
	}
}

func TestTheValidationServersComplaintsAreGivenOn(t *testing.T) {
	want := ga4.Finding{FieldPath: "events", Description: "a complaint", Code: "NAME_INVALID"}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/debug/mp/collect" {
			t.Errorf("asked %s", r.URL.Path)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"validationMessages": []ga4.Finding{want}})
	}))
	defer server.Close()
	page := forwardertest.Event("acme", headlessly.TypePage, 1, headlessly.SystemClock())
	found, err := destination(t, measurement(server.URL)).Validate(t.Context(), page)
	if err != nil || len(found) != 1 || found[0] != want {
		t.Errorf("got %+v, %v; want %+v", found, err, want)
	}
	if _, err := destination(t, browser(server.URL)).Validate(t.Context(), page); err == nil {
		t.Error("without an api secret there is no validation, and no error either")
	}
	old := forwardertest.Event("acme", headlessly.TypePage, 1, headlessly.SystemClock().Add(-100*time.Hour))
	if _, err := destination(t, measurement(server.URL)).Validate(t.Context(), old); err == nil {
		t.Error("an event that would not be sent is no error")
	}
}

func TestValidationModeSaysOfEachEventWhatGoogleThinks(t *testing.T) {
	answer := `{"validationMessages":[]}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/debug/mp/collect" {
			t.Errorf("sent to %s", r.URL.Path)
		}
		_, _ = w.Write([]byte(answer))
	}))
	defer server.Close()
	conf := measurement(server.URL)
	conf.GA.Validate = true
	d := destination(t, conf)
	var batch []forwarders.Item
	for n := range 2 { // of one visitor, so that they share a request
		e := forwardertest.Event("acme", headlessly.TypePage, n, headlessly.SystemClock())
		e.AnonymousID, e.SessionID = "anon", "s"
		batch = append(batch, forwarders.Item{Event: e})
	}
	for _, row := range []struct{ name, answer, first, second string }{
		{"both are fine", `{"validationMessages":[]}`, "skipped: " + ga4.SkipValid, "skipped: " + ga4.SkipValid},
		{
			"the second is not", `{"validationMessages":[{"fieldPath":"events[1].name","description":"is reserved","validationCode":"NAME_RESERVED"}]}`,
			"skipped: " + ga4.SkipValid, "google would not take it: NAME_RESERVED events[1].name is reserved",
		},
		{
			"the request is not", `{"validationMessages":[{"fieldPath":"client_id","description":"is missing","validationCode":"VALUE_REQUIRED"}]}`,
			"google would not take it: VALUE_REQUIRED client_id is missing", "google would not take it: VALUE_REQUIRED client_id is missing",
		},
		{"the answer cannot be read", `oops`, "the validation server's answer cannot be read", "the validation server's answer cannot be read"},
	} {
		answer = row.answer
		got := d.Deliver(t.Context(), batch)
		if got[0].Err == nil || got[1].Err == nil || got[0].Err.Error() != row.first || got[1].Err.Error() != row.second {
			t.Errorf("%s: got %v and %v", row.name, got[0].Err, got[1].Err)
		}
	}
}
