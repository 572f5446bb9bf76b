package control_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/cmd/control"
)

// stopped is a clock that is moved by hand.
type stopped struct {
	mu  sync.Mutex
	now time.Time
}

func (s *stopped) time() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *stopped) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func TestAKeyHasItsRequestsOfAMinuteAndIsToldHowManyAreLeft(t *testing.T) {
	clock := &stopped{now: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)}
	s := open(t, t.TempDir())
	if _, err := s.AddTenant(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	keys := map[string]string{}
	for _, name := range []string{"first", "second"} {
		_, value, err := s.CreateKey(t.Context(), "acme", headlessly.KeySecret)
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = value.Reveal()
	}
	srv := httptest.NewServer(control.New(control.Config{Store: s, RequestsPerMinute: 3, Clock: clock.time, Ready: func() error { return nil }, Logger: slog.New(slog.DiscardHandler)}))
	defer srv.Close()
	ask := func(key string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/~acme/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		raw, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(raw)
	}
	ends := strconv.FormatInt(clock.time().Add(time.Minute).Unix()+1, 10)
	for i, left := range []string{"2", "1", "0"} {
		res, _ := ask(keys["first"])
		if res.StatusCode != http.StatusNotFound || res.Header.Get("X-RateLimit-Limit") != "3" || res.Header.Get("X-RateLimit-Remaining") != left || res.Header.Get("X-RateLimit-Reset") != ends || res.Header.Get("Retry-After") != "" {
			t.Errorf("request %d: got %d %v, want it let through with %s left until %s", i+1, res.StatusCode, res.Header, left, ends)
		}
		clock.pass(time.Second)
	}
	res, raw := ask(keys["first"])
	if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") != "58" || res.Header.Get("X-RateLimit-Remaining") != "0" || !strings.Contains(raw, `"error":"rate_limited"`) {
		t.Errorf("the fourth: got %d %v %s, want 429, again in 58 seconds", res.StatusCode, res.Header, raw)
	}
	if res, _ := ask(keys["second"]); res.StatusCode != http.StatusNotFound || res.Header.Get("X-RateLimit-Remaining") != "2" {
		t.Errorf("another key: got %d %v, want its own count", res.StatusCode, res.Header)
	}
	if res, _ := ask("hly_sk_nobody"); res.StatusCode != http.StatusUnauthorized || res.Header.Get("X-RateLimit-Limit") != "" {
		t.Errorf("an unknown key: got %d %v, want it to have no count", res.StatusCode, res.Header)
	}
	clock.pass(58 * time.Second)
	if res, _ := ask(keys["first"]); res.StatusCode != http.StatusNotFound || res.Header.Get("X-RateLimit-Remaining") != "2" {
		t.Errorf("after Retry-After: got %d %v, want it let through", res.StatusCode, res.Header)
	}
}
