package forwarders_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/all"
	"github.com/headlessly/headlessly/forwarders/egress"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
	"github.com/headlessly/headlessly/forwarders/sinks"
)

// eventually waits until ok, and fails when that takes far too long.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 12_000 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("never happened: %s", what)
}

// start runs a router until stop is called, which waits for its end.
func start(t testing.TB, cfg forwarders.Config) (r *forwarders.Router, stop func()) {
	t.Helper()
	r, err := forwarders.NewRouter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	t.Cleanup(stop)
	return r, stop
}

// standIns gives a server of stand-ins and a tenant's three destinations there.
func standIns(t testing.TB) (*sinks.Sinks, headlessly.Destinations) {
	t.Helper()
	s := sinks.New(sinks.Config{})
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	return s, headlessly.Destinations{
		GA:      &headlessly.GADestination{MeasurementID: "G-TEST", APISecret: headlessly.NewSecret("ga-canary-secret"), Endpoint: server.URL},
		Sentry:  &headlessly.SentryDestination{DSN: headlessly.NewSecret("http://sentrycanarykey@" + host + "/42")},
		PostHog: &headlessly.PostHogDestination{APIKey: headlessly.NewSecret("phc_canary"), Host: server.URL},
	}
}

func TestEveryTypeOfEventReachesTheDestinationsThatTakeIt(t *testing.T) {
	s, d := standIns(t)
	log, parked, source := forwardertest.NewLog(headlessly.SystemClock), forwardertest.NewParked(), forwardertest.NewSource()
	source.Set("acme", d)
	r, stop := start(t, forwarders.Config{
		Log: log, Parked: parked, Destinations: source, Registry: all.Registry(),
		Client: egress.New(egress.Config{AllowPrivate: true}),
	})
	now := headlessly.SystemClock()
	for n, kind := range forwardertest.Types() {
		log.Events(forwardertest.Event("acme", kind, n, now), forwardertest.Event("other", kind, 100+n, now))
	}
	eventually(t, "everything is committed", func() bool { return r.Totals().Committed == uint64(len(forwardertest.Types())) })
	stop()

	types := int64(len(forwardertest.Types()))
	for name, want := range map[string]forwarders.Stat{
		"ga4":     {Accepted: types, Delivered: types - 2, Skipped: 2}, // alias, session
		"sentry":  {Accepted: types, Delivered: 3, Skipped: types - 3}, // error, message, session of a release
		"posthog": {Accepted: types, Delivered: types - 1, Skipped: 1}, // session
	} {
		got := r.Stats()[forwarders.Key{Tenant: "acme", Destination: name}]
		if got.Accepted != want.Accepted || got.Delivered != want.Delivered || got.Skipped != want.Skipped {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
		if n := int64(s.Counts().Events[name]); n != want.Delivered {
			t.Errorf("%s: %d events arrived, want %d", name, n, want.Delivered)
		}
	}
	if v := s.Violations(); len(v) > 0 {
		t.Errorf("providers would complain:\n%s", strings.Join(v, "\n"))
	}
	if got := parked.All(); len(got) > 0 {
		t.Errorf("parked: %+v", got)
	}
	for _, e := range s.Events("") {
		if strings.Contains(string(e.Payload), "other") {
			t.Errorf("event of a tenant without destinations arrived: %s", e.Payload)
		}
	}
}
