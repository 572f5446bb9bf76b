package forwardertest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/egress"
)

func (s *suite) cancellation(t *testing.T) {
	arrived := make(chan struct{})
	var once sync.Once
	server := serve(t, func(_ http.ResponseWriter, r *http.Request, _ []byte) {
		once.Do(func() { close(arrived) })
		<-r.Context().Done()
	})
	d := s.build(t, server.URL, nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan forwarders.Result, 1)
	go func() { done <- one(ctx, t, d, s.item(1)) }()
	<-arrived
	cancel()
	got := <-done // hangs, and fails with the test, if the cancel is not heard
	if w := what(got.Err); w != "unknown" && w != "temporary" {
		t.Errorf("got %s (%v), want unknown or temporary", w, got.Err)
	}
	if got := one(ctx, t, d, s.item(2)); what(got.Err) != "temporary" && what(got.Err) != "unknown" {
		t.Errorf("with a context that is already done: %s", what(got.Err))
	}
}

func (s *suite) addresses(t *testing.T) {
	inside := serve(t, func(w http.ResponseWriter, _ *http.Request, _ []byte) { w.WriteHeader(http.StatusOK) })
	port := inside.URL[strings.LastIndexByte(inside.URL, ':'):]
	client := egress.New(egress.Config{Timeout: 5 * time.Second})
	for _, host := range []string{
		"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.0.1",
		"100.64.0.1", "169.254.169.254", "[fe80::1]", "[fd00::1]", "224.0.0.1", "192.0.2.1", "2130706433", "0x7f000001",
	} {
		got := one(t.Context(), t, s.build(t, "https://"+host+port, client), s.item(1))
		if w := what(got.Err); w != "permanent" && (w != "temporary" || !strings.Contains(host, "x") && host != "2130706433") {
			t.Errorf("%s: got %s (%v), want permanent", host, w, got.Err)
		}
	}
	if got := one(t.Context(), t, s.build(t, "http://example.com", client), s.item(1)); what(got.Err) != "permanent" {
		t.Errorf("http: got %s (%v), want permanent", what(got.Err), got.Err)
	}
	if n := len(inside.seen()); n != 0 {
		t.Errorf("%d requests reached the inside", n)
	}
}

// partial checks that each item's result is its own: what the server took is
// exactly what is reported as delivered.
func (s *suite) partial(t *testing.T) {
	const n = 24
	var mu sync.Mutex
	took := map[int]bool{}
	server := serve(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
		c := call{path: r.URL.Path, query: r.URL.RawQuery, body: body}
		var in []int
		for i := range n {
			if strings.Contains(c.text(), marker(i)) {
				in = append(in, i)
			}
		}
		for _, i := range in {
			if i%5 == 3 { // the fourth of five spoils its request
				w.WriteHeader(http.StatusBadRequest)
				return
			}
		}
		mu.Lock()
		for _, i := range in {
			took[i] = true
		}
		mu.Unlock()
		s.OK(w, r, body)
	})
	d := s.build(t, server.URL, nil)
	var batch []forwarders.Item
	for i := range n {
		batch = append(batch, s.item(i))
	}
	for len(batch) > 0 {
		size := min(len(batch), d.Limits().Items)
		results := d.Deliver(t.Context(), batch[:size])
		if len(results) != size {
			t.Fatalf("%d results for %d items", len(results), size)
		}
		clean(t, results)
		for i, r := range results {
			at := n - len(batch) + i
			mu.Lock()
			if (r.Err == nil) != took[at] {
				t.Errorf("item %d: result %v, but arrived is %v", at, r.Err, took[at])
			}
			mu.Unlock()
			if want := at%5 != 3; took[at] != want {
				t.Errorf("item %d: arrived %v, want %v: a neighbour's fault is not its own", at, took[at], want)
			}
		}
		batch = batch[size:]
	}
}

// volatile is what may differ between two sendings of one item.
var volatile = regexp.MustCompile(`"(sent_at|created_at)":"[^"]*"`)

func (s *suite) repeat(t *testing.T) {
	server := serve(t, s.OK)
	it := s.item(1)
	for range 2 {
		d := s.build(t, server.URL, nil) // a new one, as after a restart
		if got := one(t.Context(), t, d, it); got.Err != nil {
			t.Fatal(got.Err)
		}
	}
	calls := server.seen()
	if len(calls) != 2 {
		t.Fatalf("%d requests", len(calls))
	}
	a, b := volatile.ReplaceAllString(calls[0].text(), ""), volatile.ReplaceAllString(calls[1].text(), "")
	if a != b {
		t.Errorf("the same item was sent differently:\n%s\n%s", a, b)
	}
}

func (s *suite) odd(t *testing.T) {
	for name, e := range Odd(s.Type) {
		t.Run(name, func(t *testing.T) {
			server := serve(t, s.OK)
			got := one(t.Context(), t, s.build(t, server.URL, nil), forwarders.Item{Event: e})
			if w := what(got.Err); w != "delivered" && w != "permanent" {
				t.Errorf("got %s (%v), want delivered or permanent", w, got.Err)
			}
			for _, c := range server.seen() {
				if c.header.Get("Injected") != "" {
					t.Error("a header was injected")
				}
			}
		})
	}
}

// echo answers with everything it was sent, in several ways.
func (s *suite) echo(t *testing.T) {
	for _, status := range []int{200, 400, 429, 500} {
		server := serve(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
			all := r.URL.String() + " " + fmt.Sprint(r.Header) + " " + string(body)
			w.Header().Set("X-Sentry-Error", strings.Map(printable, all))
			w.WriteHeader(status)
			_, _ = io.WriteString(w, strings.Map(printable, all)) //nolint:gosec // echoing is what this server is for
		})
		_ = one(t.Context(), t, s.build(t, server.URL, nil), s.item(1)) // one looks for the canary
	}
}

func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return ' '
	}
	return r
}

func (s *suite) concurrent(t *testing.T) {
	server := serve(t, s.OK)
	d := s.build(t, server.URL, nil)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 5 {
				if got := one(t.Context(), t, d, s.item(100*w+i)); got.Err != nil {
					t.Errorf("worker %d: %v", w, got.Err)
				}
			}
		})
	}
	wg.Wait()
}
