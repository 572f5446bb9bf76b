package forwarders_test

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
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

// numbers gives how often each event's number came to a stand-in. Each event
// carries its number as a property.
func numbers(t testing.TB, s *sinks.Sinks, kind string) map[int]int {
	t.Helper()
	out := map[int]int{}
	for _, e := range s.Events(kind) {
		for _, part := range strings.Split(string(e.Payload), `"number":`)[1:] { // a batch of the generic destination holds several
			digits := strings.TrimLeft(part, `"`)
			n, err := strconv.Atoi(digits[:strings.IndexFunc(digits, func(c rune) bool { return c < '0' || c > '9' })])
			if err != nil {
				t.Fatalf("%s: %v in %.300s", kind, err, e.Payload)
			}
			out[n]++
		}
	}
	return out
}

// freeAddr is an address that nobody listens on. It is below the ports that the
// system deals out, so that nobody else is given it meanwhile.
func freeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		addr := "127.0.0.1:" + strconv.Itoa(15_000+rand.IntN(15_000)) //nolint:gosec // no secret
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// patiently waits for as long as a busy machine needs.
func patiently(t testing.TB, what string, done func() bool) {
	t.Helper()
	for range 4000 {
		if done() {
			return
		}
		time.Sleep(30 * time.Millisecond)
	}
	t.Fatalf("never happened: %s", what)
}

// TestThreeSickBesideAHealthyOne runs the real destinations over HTTP, with
// Google dead, Sentry at 429 and a hook that drips, beside a healthy PostHog:
// PostHog has everything while the others are sick, frames are committed, the
// disk holds what the others lack, and after the recovery every event is at
// each of them.
func TestThreeSickBesideAHealthyOne(t *testing.T) {
	const n = 400
	s := sinks.New(sinks.Config{Keep: 100_000, NoV1: true})
	server := httptest.NewServer(s)
	defer server.Close()
	deadAddr := freeAddr(t) // nobody answers there until the recovery
	s.Fail(sinks.Fault{Kind: sinks.Sentry, Status: 429, Header: map[string]string{"Retry-After": "1"}})
	s.Fail(sinks.Fault{Kind: sinks.Hook, Status: 503, Drip: 50 * time.Millisecond})

	source, log, parked := forwardertest.NewSource(), forwardertest.NewLog(headlessly.SystemClock), forwardertest.NewParked()
	source.Set("acme", headlessly.Destinations{
		GA:      &headlessly.GADestination{MeasurementID: "G-SICK123", APISecret: headlessly.NewSecret("secret"), Endpoint: "http://" + deadAddr},
		Sentry:  &headlessly.SentryDestination{DSN: headlessly.NewSecret("http://public@" + strings.TrimPrefix(server.URL, "http://") + "/42")},
		PostHog: &headlessly.PostHogDestination{APIKey: headlessly.NewSecret("phc_sick"), Host: server.URL, Capture: "v0"},
		HTTP:    &headlessly.HTTPDestination{URL: headlessly.NewSecret(server.URL + "/hook/x"), Batch: 50},
	})
	r, stop := start(t, forwarders.Config{
		Log: log, Parked: parked, Destinations: source, Registry: all.Registry(), Client: egress.New(egress.Config{AllowPrivate: true}),
		Deliveries: log, RetryBase: 10 * time.Millisecond, BreakBase: 50 * time.Millisecond, BreakMax: 500 * time.Millisecond,
		ParkedBase: 100 * time.Millisecond, ParkedMax: time.Second, MaxRetryAfter: time.Second, Hold: time.Second, Scan: 50 * time.Millisecond,
	})
	for at := 0; at < n; at += 20 {
		var frame []*headlessly.Event
		for i := at; i < at+20; i++ {
			e := forwardertest.Event("acme", headlessly.TypeError, i, headlessly.SystemClock())
			e.Properties = `{"number":` + strconv.Itoa(i) + `}`
			frame = append(frame, e)
		}
		log.Events(frame...)
	}
	patiently(t, "the healthy one has everything", func() bool { return len(numbers(t, s, sinks.PostHog)) == n })
	patiently(t, "every event of the sick ones is on the disk or in memory, and the cursor is over its frames", func() bool {
		last, _ := log.Last(context.Background()) // never fails
		return r.Totals().Committed >= n/20 && last >= n/20
	})
	conserved(t, r, parked)
	for k, st := range r.Stats() {
		switch k.Destination {
		case headlessly.DestinationPostHog:
			if st.Delivered != n || st.Parked+st.Dead+st.Unknown != 0 {
				t.Errorf("the healthy one: %+v", st)
			}
		default:
			if st.Delivered != 0 || st.Dead+st.Unknown != 0 || st.Parked+st.Pending != n {
				t.Errorf("%s while it is sick: %+v", k.Destination, st)
			}
		}
	}

	s.Heal("")
	revived, err := net.Listen("tcp", deadAddr)
	if err != nil {
		t.Fatal(err)
	}
	alive := &httptest.Server{Listener: revived, Config: &http.Server{Handler: server.Config.Handler}}
	alive.Start()
	defer alive.Close()
	patiently(t, "everything is delivered after the recovery", func() bool {
		for _, st := range r.Stats() {
			if st.Delivered != n {
				return false
			}
		}
		return true
	})
	for _, kind := range []string{sinks.GA4, sinks.Sentry, sinks.PostHog, sinks.Hook} {
		got := numbers(t, s, kind)
		for i := range n {
			if got[i] == 0 {
				t.Errorf("event %d is not at %s", i, kind)
			}
		}
		if len(got) != n {
			t.Errorf("%s has %d different events, want %d", kind, len(got), n)
		}
	}
	if left := parked.All(); len(left) != 0 {
		t.Errorf("%d items are still parked", len(left))
	}
	if v := s.Violations(); len(v) > 0 {
		t.Errorf("the providers would refuse: %.500v", v)
	}
	stop()
	conserved(t, r, parked)
	rows, delivered := deliveries(t, log), map[string]int{}
	for _, d := range rows {
		if d.Outcome == forwarders.OutcomeDelivered {
			delivered[d.Destination]++
		}
	}
	for _, name := range []string{"ga4", "sentry", "posthog", "http"} {
		if delivered[name] != n {
			t.Errorf("the deliveries table has %d delivered rows of %s, want %d", delivered[name], name, n)
		}
	}
}
