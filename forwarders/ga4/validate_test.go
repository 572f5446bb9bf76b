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
