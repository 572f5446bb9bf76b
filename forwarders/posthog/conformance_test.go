package posthog_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/egress"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
	"github.com/headlessly/headlessly/forwarders/posthog"
	"github.com/headlessly/headlessly/forwarders/sinks"
)

func target(capture string, ok func(http.ResponseWriter, *http.Request, []byte)) forwardertest.Target {
	return forwardertest.Target{
		Kind: posthog.Kind(), Type: headlessly.TypePage, OK: ok,
		Connect: func(base string) headlessly.Destinations {
			return headlessly.Destinations{PostHog: &headlessly.PostHogDestination{
				APIKey: headlessly.NewSecret("phc_" + forwardertest.Canary), Host: base, Capture: capture,
			}}
		},
	}
}

func okV0(w http.ResponseWriter, _ *http.Request, _ []byte) { _, _ = io.WriteString(w, `{"status":1}`) }

func okV1(w http.ResponseWriter, _ *http.Request, body []byte) {
	var b struct{ Batch []struct{ UUID string } }
	if json.Unmarshal(body, &b) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	results := map[string]any{}
	for _, e := range b.Batch {
		results[e.UUID] = map[string]string{"result": "ok"}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"results": results})
}

func TestConformanceV0(t *testing.T) { forwardertest.Run(t, target("v0", okV0)) }

func TestConformanceV1(t *testing.T) { forwardertest.Run(t, target("v1", okV1)) }

func TestTheInterfaceIsFoundOut(t *testing.T) {
	for name, old := range map[string]bool{"a host with the newer interface": false, "an older installation": true} {
		t.Run(name, func(t *testing.T) {
			s := sinks.New(sinks.Config{NoV1: old})
			server := httptest.NewServer(s)
			defer server.Close()
			kind := posthog.Kind()
			for n := range 3 { // each a new destination, as after an idle time
				d, err := kind.Build(target("", nil).Connect(server.URL), forwarders.Deps{
					Client: egress.New(egress.Config{AllowPrivate: true}), Clock: headlessly.SystemClock,
				})
				if err != nil {
					t.Fatal(err)
				}
				e := forwardertest.Event("acme", headlessly.TypePage, n, headlessly.SystemClock())
				if r := d.Deliver(t.Context(), []forwarders.Item{{Event: e}}); r[0].Err != nil {
					t.Fatal(r[0].Err)
				}
			}
			want := "/i/v1/analytics/events"
			if old {
				want = "/batch"
			}
			events := s.Events(sinks.PostHog)
			for _, e := range events {
				if e.Route != want {
					t.Errorf("event went to %s, want %s", e.Route, want)
				}
			}
			if len(events) != 3 {
				t.Errorf("%d events arrived, want 3: each once", len(events))
			}
		})
	}
}

func TestPostHogsWordOnEachEventCounts(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"results": map[string]any{
			forwardertest.ID(0): map[string]string{"result": "ok"}, forwardertest.ID(1): "warning",
			forwardertest.ID(2): map[string]string{"result": "drop", "details": "too old"}, forwardertest.ID(3): "retry",
		}})
	}))
	defer server.Close()
	d, err := posthog.New(*target("v1", nil).Connect(server.URL).PostHog, forwarders.Deps{
		Client: egress.New(egress.Config{AllowPrivate: true}), Clock: headlessly.SystemClock,
	})
	if err != nil {
		t.Fatal(err)
	}
	var batch []forwarders.Item
	for n := range 5 {
		batch = append(batch, forwarders.Item{Event: forwardertest.Event("acme", headlessly.TypePage, n, headlessly.SystemClock())})
	}
	var permanent *headlessly.Permanent
	var temporary *headlessly.Temporary
	var unknown *headlessly.Unknown
	r := d.Deliver(t.Context(), batch)
	if r[0].Err != nil || r[1].Err != nil || !errors.As(r[2].Err, &permanent) || !errors.As(r[3].Err, &temporary) || !errors.As(r[4].Err, &unknown) {
		t.Errorf("got %+v", r)
	}
	if permanent.Error() != "drop too old" {
		t.Errorf("reason %q", permanent.Error())
	}
}

func TestAUsedUpQuotaIsWaitedFor(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":1,"quota_limited":["recordings","events"]}`)
	}))
	defer server.Close()
	d, err := posthog.New(*target("v0", nil).Connect(server.URL).PostHog, forwarders.Deps{
		Client: egress.New(egress.Config{AllowPrivate: true}), Clock: headlessly.SystemClock,
	})
	if err != nil {
		t.Fatal(err)
	}
	var temporary *headlessly.Temporary
	r := d.Deliver(t.Context(), []forwarders.Item{{Event: forwardertest.Event("acme", headlessly.TypePage, 1, headlessly.SystemClock())}})
	if !errors.As(r[0].Err, &temporary) || !temporary.Throttled || temporary.After == 0 {
		t.Errorf("got %v", r[0].Err)
	}
}
