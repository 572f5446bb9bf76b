package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"
)

// Shape of the forwarding measurement.
const (
	forwardEvents  = 20_000
	forwardSeconds = 10
	forwardSenders = 64
)

// forward measures how fast events reach three destinations. The router alone,
// against a bare net/http client that sends the very same requests, is the
// package's own benchmark; here it is the whole gateway, and how long an event
// takes from its 202 to its destination at half of what it takes.
func forward(ctx context.Context, w io.Writer, bin, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "Forwarding|Isolation", "-benchtime", "1x", "./forwarders")
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Run(); err != nil {
		return err
	}
	a := &arrivals{at: map[string]time.Time{}}
	srv := httptest.NewServer(a)
	defer srv.Close()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file := filepath.Join(dir, "bench.yaml")
	conf := fmt.Sprintf(`
egress: {allowPrivate: true}
tenants:
  bench:
    destinations:
      ga: {measurementId: G-BENCH12345, apiSecret: secret, endpoint: %q}
      sentry: {dsn: "http://key@%s/42"}
      posthog: {apiKey: phc_bench, host: %q, capture: v0}
`, srv.URL, strings.TrimPrefix(srv.URL, "http://"), srv.URL)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return err
	}
	g, err := startGateway(ctx, bin, dir, "--config", file)
	if err != nil {
		return err
	}
	defer g.stop() //nolint:errcheck // stopped below, this is for errors on the way
	url := "http://" + g.addr + "/e?t=bench"
	rate, err := a.capacity(ctx, url)
	if err != nil {
		return err
	}
	took, err := a.latency(ctx, url, rate/2)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "forward, three destinations (one event in twenty an error), client, gateway and stand-ins on the same machine\n")
	fmt.Fprintf(w, "  the whole gateway, from the first request to the last arrival: %.0f events/s\n", rate)
	fmt.Fprintf(w, "  from the 202 to the arrival at PostHog's stand-in, at %.0f events/s: p50 %.1f ms, p99 %.1f ms (aim 20 and 100)\n",
		rate/2, ms(took[len(took)/2]), ms(took[len(took)*99/100]))
	return g.stop()
}

// arrivals is a stand-in for all three that notes when an event first reached
// PostHog.
type arrivals struct {
	mu sync.Mutex
	at map[string]time.Time
}

func (a *arrivals) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if r.URL.Path != "/batch/" {
		_, _ = io.WriteString(w, "{}")
		return
	}
	now := time.Now()
	if z, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
		if body, err = io.ReadAll(z); err != nil {
			return
		}
	}
	var batch struct{ Batch []struct{ UUID string } }
	if json.Unmarshal(body, &batch) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range batch.Batch {
		if _, again := a.at[e.UUID]; !again {
			a.at[e.UUID] = now
		}
	}
	_, _ = io.WriteString(w, `{"status":1}`)
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.at)
}

// shopEvent is one event of a mix in which one in twenty is an error.
func shopEvent(id string, n int) string {
	if n%20 == 0 {
		return fmt.Sprintf(`{"messageId":%q,"type":"error","anonymousId":"anon-%d","url":"https://shop.example/cart","exception":{"type":"TypeError","value":"x is undefined","stacktrace":[{"filename":"https://shop.example/app.js","function":"buy","lineno":10,"colno":5,"in_app":true}]}}`, id, n%500)
	}
	return fmt.Sprintf(`{"messageId":%q,"type":"track","event":"Product Viewed","anonymousId":"anon-%d","sessionId":"s-%d","url":"https://shop.example/p/%d","properties":{"productId":"p-%d","price":19.9,"currency":"EUR"}}`, id, n%500, n%500, n, n)
}

func messageID(series, n int) string {
	return fmt.Sprintf("%08x-0000-7000-8000-%012x", series, n)
}

// capacity sends events as fast as they are taken and waits for the last to
// arrive.
func (a *arrivals) capacity(ctx context.Context, url string) (perSecond float64, err error) {
	begin := time.Now()
	for at := 0; at < forwardEvents; at += 100 {
		var b bytes.Buffer
		b.WriteString(`{"events":[`)
		for n := at; n < at+100; n++ {
			if n > at {
				b.WriteByte(',')
			}
			b.WriteString(shopEvent(messageID(1, n), n))
		}
		b.WriteString(`]}`)
		if err := post(ctx, url, b.Bytes()); err != nil {
			return 0, err
		}
	}
	for a.count() < forwardEvents {
		if time.Since(begin) > 5*time.Minute {
			return 0, fmt.Errorf("only %d of %d events arrived", a.count(), forwardEvents)
		}
		pause(ctx, 2*time.Millisecond)
	}
	return forwardEvents / time.Since(begin).Seconds(), ctx.Err()
}

// latency sends single events at a rate and gives how long each took from its
// 202 to its arrival, sorted.
func (a *arrivals) latency(ctx context.Context, url string, rate float64) ([]time.Duration, error) {
	total := int(rate * forwardSeconds)
	acked := make([]time.Time, total)
	var next atomic.Int64
	var wg sync.WaitGroup
	var fault atomic.Value
	begin := time.Now()
	for range forwardSenders {
		wg.Go(func() {
			for n := int(next.Add(1)) - 1; n < total; n = int(next.Add(1)) - 1 {
				pause(ctx, time.Until(begin.Add(time.Duration(float64(n)/rate*float64(time.Second)))))
				if err := post(ctx, url, []byte(shopEvent(messageID(2, n), n))); err != nil {
					fault.Store(err)
					return
				}
				acked[n] = time.Now()
			}
		})
	}
	wg.Wait()
	if err, _ := fault.Load().(error); err != nil {
		return nil, err
	}
	for until := time.Now().Add(time.Minute); a.count() < forwardEvents+total; pause(ctx, 5*time.Millisecond) {
		if time.Now().After(until) {
			return nil, fmt.Errorf("only %d of %d events arrived", a.count()-forwardEvents, total)
		}
	}
	took := make([]time.Duration, total)
	a.mu.Lock()
	defer a.mu.Unlock()
	for n := range took {
		took[n] = max(0, a.at[messageID(2, n)].Sub(acked[n])) // it may be there before its client has read the 202
	}
	slices.Sort(took)
	return took, nil
}

func post(ctx context.Context, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36")
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("the gateway answered %s: %s", res.Status, answer)
	}
	return err
}
