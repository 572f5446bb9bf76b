package forwarders_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/all"
	"github.com/headlessly/headlessly/forwarders/egress"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
	"github.com/headlessly/headlessly/forwarders/sinks"
)

const (
	benchEvents   = 20_000
	benchVisitors = 500
	benchTenants  = 4
)

// traffic is a mix of events as a shop makes them: one in twenty is an error.
func traffic() []*headlessly.Event {
	now := headlessly.SystemClock()
	kinds := []string{headlessly.TypePage, headlessly.TypeClick, headlessly.TypeTrack, headlessly.TypePage, headlessly.TypeVital}
	var out []*headlessly.Event
	for n := range benchEvents {
		kind := kinds[n%len(kinds)]
		if n%20 == 0 {
			kind = headlessly.TypeError
		}
		e := forwardertest.Event(fmt.Sprintf("t%d", n%benchTenants), kind, n, now)
		e.AnonymousID = forwardertest.ID(n / 10 % benchVisitors)
		out = append(out, e)
	}
	return out
}

// recorded keeps every request that passes.
type recorded struct {
	http.RoundTripper
	mu   sync.Mutex
	list []*http.Request
	body [][]byte
}

func (r *recorded) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.list, r.body = append(r.list, req.Clone(context.Background())), append(r.body, body)
	r.mu.Unlock()
	req.Body = io.NopCloser(bytes.NewReader(body))
	return r.RoundTripper.RoundTrip(req)
}

// null reads and answers, so that what is measured is the sender.
func null(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.WriteHeader(http.StatusOK)
}

func benchSource(url string) *forwardertest.Source {
	source := forwardertest.NewSource()
	for n := range benchTenants {
		source.Set(fmt.Sprintf("t%d", n), headlessly.Destinations{
			GA:      &headlessly.GADestination{MeasurementID: "G-1", APISecret: headlessly.NewSecret("s"), Endpoint: url},
			Sentry:  &headlessly.SentryDestination{DSN: headlessly.NewSecret("http://key@" + strings.TrimPrefix(url, "http://") + "/42")},
			PostHog: &headlessly.PostHogDestination{APIKey: headlessly.NewSecret("phc_1"), Host: url},
		})
	}
	return source
}

// through sends events through a router as fast as it takes them.
func through(b *testing.B, url string, client *http.Client, events []*headlessly.Event) time.Duration {
	b.Helper()
	log := forwardertest.NewLog(headlessly.SystemClock)
	var frames [][]headlessly.Record // encoded beforehand: that is the collector's work
	for at := 0; at < len(events); at += 100 {
		var records []headlessly.Record
		for _, e := range events[at:min(at+100, len(events))] {
			data, _ := e.MarshalBinary() // never fails
			records = append(records, headlessly.Record{Kind: headlessly.RecordEvent, Data: data})
		}
		frames = append(frames, records)
	}
	r, stop := start(b, forwarders.Config{
		Log: log, Parked: forwardertest.NewParked(), Destinations: benchSource(url), Registry: all.Registry(), Client: client,
		Hold: 10 * time.Minute, // a busy machine is no reason to park
	})
	begin := headlessly.SystemClock()
	for _, f := range frames {
		for r.Totals().Items > 10_000 {
			time.Sleep(time.Millisecond)
		}
		if _, err := log.Append(b.Context(), f...); err != nil {
			b.Fatal(err)
		}
	}
	for r.Totals().Committed < uint64(len(frames)) {
		time.Sleep(time.Millisecond)
	}
	took := headlessly.SystemClock().Sub(begin)
	stop()
	for k, s := range r.Stats() {
		if s.Parked+s.Dead+s.Unknown > 0 {
			b.Fatalf("%v: %+v", k, s)
		}
	}
	return took
}

// processor is the processor time that this process has used: on a busy machine
// a steadier yardstick than the clock.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// raw sends the same requests with nothing but net/http.
func raw(b *testing.B, client *http.Client, rec *recorded, workers int) time.Duration {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	begin := headlessly.SystemClock()
	for range workers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(rec.list) {
					return
				}
				req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, rec.list[i].URL.String(), bytes.NewReader(rec.body[i]))
				if err != nil {
					b.Error(err)
					return
				}
				req.Header = rec.list[i].Header.Clone()
				res, err := client.Do(req)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		})
	}
	wg.Wait()
	return headlessly.SystemClock().Sub(begin)
}

// BenchmarkForwarding compares the router with a bare net/http client that
// sends the very same requests, by turns, against strict stand-ins and against
// a server that only reads. cpu-ratio is the same in processor time, in which the
// server's is included on both sides.
func BenchmarkForwarding(b *testing.B) {
	events := traffic()
	for name, handler := range map[string]func() http.Handler{
		"stand-ins":   func() http.Handler { return sinks.New(sinks.Config{Keep: 1000}) },
		"null-server": func() http.Handler { return http.HandlerFunc(null) },
	} {
		b.Run(name, func(b *testing.B) {
			server := httptest.NewServer(handler())
			defer server.Close()
			client := egress.New(egress.Config{AllowPrivate: true})
			rec := &recorded{RoundTripper: client.Transport}
			through(b, server.URL, &http.Client{Transport: rec}, events) // also warms up
			var ours, ratios, work []float64
			for b.Loop() {
				for range 3 { // pairs, so that what else the machine does hits both
					from := processor(b)
					before := raw(b, client, rec, 16)
					middle := processor(b)
					took := through(b, server.URL, client, events)
					to := processor(b)
					after := raw(b, client, rec, 16)
					work = append(work, float64(middle-from)/float64(to-middle))
					ours = append(ours, took.Seconds())
					ratios = append(ratios, (before+after).Seconds()/2/took.Seconds())
				}
			}
			slices.Sort(ours)
			slices.Sort(ratios)
			slices.Sort(work)
			b.ReportMetric(work[len(work)/2], "cpu-ratio")
			b.ReportMetric(float64(len(events))/ours[len(ours)/2], "events/s")
			b.ReportMetric(ratios[0], "lowest-ratio")
			b.ReportMetric(ratios[len(ratios)/2], "median-ratio")
			b.ReportMetric(ratios[len(ratios)-1], "highest-ratio")
		})
	}
}

// arrivals notes when each event first reached PostHog's stand-in.
type arrivals struct {
	sinks *sinks.Sinks
	mu    sync.Mutex
	at    map[string]time.Time
}

func newArrivals() *arrivals {
	return &arrivals{sinks: sinks.New(sinks.Config{Keep: 400}), at: map[string]time.Time{}}
}

func (a *arrivals) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.sinks.ServeHTTP(w, r)
	now := headlessly.SystemClock()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.sinks.Events(sinks.PostHog) {
		if _, ok := a.at[e.ID[:36]]; !ok {
			a.at[e.ID[:36]] = now
		}
	}
}

// waits feeds a router perTick events each five milliseconds and gives how
// long each took from the log's append to its arrival, sorted.
func waits(b *testing.B, source *forwardertest.Source, a *arrivals, events []*headlessly.Event, perTick int) []time.Duration {
	b.Helper()
	log := forwardertest.NewLog(headlessly.SystemClock)
	_, stop := start(b, forwarders.Config{
		Log: log, Parked: forwardertest.NewParked(), Destinations: source, Registry: all.Registry(),
		Client: egress.New(egress.Config{AllowPrivate: true}), Grace: time.Second,
	})
	defer stop()
	sent := map[string]time.Time{}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for at := 0; at < len(events); at += perTick {
		<-tick.C
		some := events[at:min(at+perTick, len(events))]
		for _, e := range some {
			sent[e.MessageID] = headlessly.SystemClock()
		}
		log.Events(some...)
	}
	var out []time.Duration
	eventually(b, "everything arrives", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		for id, at := range sent {
			if got, ok := a.at[id]; ok {
				out = append(out, got.Sub(at))
				delete(sent, id)
				delete(a.at, id)
			}
		}
		return len(sent) == 0
	})
	slices.Sort(out)
	return out
}

func percentile(sorted []time.Duration, p int) float64 {
	return float64(sorted[len(sorted)*p/100].Microseconds()) / 1000
}

// BenchmarkLatency measures at about half of what the stand-ins take on two
// cores: 3,000 events a second, each to three destinations.
func BenchmarkLatency(b *testing.B) {
	events := traffic()[:6000]
	a := newArrivals()
	server := httptest.NewServer(a)
	defer server.Close()
	var list []time.Duration
	for b.Loop() {
		list = append(list, waits(b, benchSource(server.URL), a, events, 15)...)
	}
	slices.Sort(list)
	b.ReportMetric(percentile(list, 50), "p50-ms")
	b.ReportMetric(percentile(list, 99), "p99-ms")
}

// BenchmarkIsolation measures a healthy destination alone, and beside one that
// is dead, one that answers 429 and one that drips, by turns.
func BenchmarkIsolation(b *testing.B) {
	events := traffic()[:6000]
	a := newArrivals()
	server := httptest.NewServer(a)
	defer server.Close()
	sick := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch {
		case strings.HasPrefix(r.URL.Path, "/api/"): // Sentry
			w.WriteHeader(http.StatusTooManyRequests)
		case strings.HasPrefix(r.URL.Path, "/hook/"): // dripping
			w.WriteHeader(http.StatusOK)
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte(" "))
				_ = http.NewResponseController(w).Flush()
				time.Sleep(time.Second)
			}
		default: // Google: dead
			<-r.Context().Done()
		}
	}))
	defer func() {
		sick.CloseClientConnections()
		sick.Close()
	}()
	with := func(more bool) *forwardertest.Source {
		source := forwardertest.NewSource()
		for n := range benchTenants {
			d := headlessly.Destinations{PostHog: &headlessly.PostHogDestination{APIKey: headlessly.NewSecret("phc_1"), Host: server.URL}}
			if more {
				d.GA = &headlessly.GADestination{MeasurementID: "G-1", APISecret: headlessly.NewSecret("s"), Endpoint: sick.URL}
				d.Sentry = &headlessly.SentryDestination{DSN: headlessly.NewSecret("http://key@" + strings.TrimPrefix(sick.URL, "http://") + "/42")}
				d.HTTP = &headlessly.HTTPDestination{URL: headlessly.NewSecret(sick.URL + "/hook/x")}
			}
			source.Set(fmt.Sprintf("t%d", n), d)
		}
		return source
	}
	var alone, beside []time.Duration
	for b.Loop() {
		for range 3 {
			alone = append(alone, waits(b, with(false), a, events, 5)...)
			beside = append(beside, waits(b, with(true), a, events, 5)...)
		}
	}
	slices.Sort(alone)
	slices.Sort(beside)
	b.ReportMetric(percentile(alone, 99), "alone-p99-ms")
	b.ReportMetric(percentile(beside, 99), "beside-p99-ms")
	b.ReportMetric(percentile(beside, 99)/percentile(alone, 99), "ratio")
}
