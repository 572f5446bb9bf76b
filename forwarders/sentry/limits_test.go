package sentry_test

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/egress"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
	"github.com/headlessly/headlessly/forwarders/sentry"
)

func TestRateLimitsAreHeldPerCategory(t *testing.T) {
	for _, row := range []struct {
		name   string
		status int
		header map[string]string
		wait   time.Duration // for errors, 0 for none
	}{
		{"a limit on errors, with a 200", 200, map[string]string{"X-Sentry-Rate-Limits": "60:error:organization"}, time.Minute},
		{"a limit on everything, with a 429", 429, map[string]string{"X-Sentry-Rate-Limits": "30::organization:quota"}, 30 * time.Second},
		{"several, the longest counts", 200, map[string]string{"X-Sentry-Rate-Limits": "10:error;session:key, 90 : default ; error : org : x : y"}, 90 * time.Second},
		{"a limit on another category", 200, map[string]string{"X-Sentry-Rate-Limits": "60:transaction;span:organization"}, 0},
		{"a category that nobody knows", 200, map[string]string{"X-Sentry-Rate-Limits": "60:hologram:organization"}, 0},
		{"a number that cannot be read: a minute", 200, map[string]string{"X-Sentry-Rate-Limits": "soon:error:organization"}, time.Minute},
		{"a 429 with Retry-After only", 429, map[string]string{"Retry-After": "20"}, 20 * time.Second},
		{"a 429 with nothing: a minute", 429, nil, time.Minute},
		{"Retry-After on a 200 is none of our business", 200, map[string]string{"Retry-After": "20"}, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			var calls atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if calls.Add(1) == 1 {
					for k, v := range row.header {
						w.Header().Set(k, v)
					}
					w.WriteHeader(row.status)
				}
			}))
			defer server.Close()
			now := headlessly.SystemClock()
			clock := func() time.Time { return now }
			d, err := sentry.New(*connect(server.URL).Sentry, forwarders.Deps{Client: egress.New(egress.Config{AllowPrivate: true}), Clock: clock})
			if err != nil {
				t.Fatal(err)
			}
			send := func() error {
				return d.Deliver(t.Context(), []forwarders.Item{{Event: forwardertest.Event("acme", headlessly.TypeError, 1, now)}})[0].Err
			}
			_ = send() // sets the limit
			if row.wait == 0 {
				if err := send(); err != nil || calls.Load() != 2 {
					t.Errorf("held without a limit: %v, %d calls", err, calls.Load())
				}
				return
			}
			var temporary *headlessly.Temporary
			if err := send(); !errors.As(err, &temporary) || temporary.After != row.wait || !temporary.Throttled || calls.Load() != 1 {
				t.Errorf("got %#v after %d calls, want it held for %s without a call", err, calls.Load(), row.wait)
			}
			now = now.Add(row.wait)
			if err := send(); err != nil || calls.Load() != 2 {
				t.Errorf("after the limit: %v, %d calls", err, calls.Load())
			}
		})
	}
}

func TestALimitOnSessionsLeavesErrorsAlone(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		if b, _ := io.ReadAll(z); strings.Contains(string(b), `{"type":"session"`) {
			w.Header().Set("X-Sentry-Rate-Limits", "60:session:organization")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	defer server.Close()
	now := headlessly.SystemClock()
	d, err := sentry.New(*connect(server.URL).Sentry, forwarders.Deps{
		Client: egress.New(egress.Config{AllowPrivate: true}), Clock: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // told by Sentry, then held by ourselves
		batch := []forwarders.Item{{Event: forwardertest.Event("acme", headlessly.TypeSession, 1, now)}}
		var temporary *headlessly.Temporary
		if err := d.Deliver(t.Context(), batch)[0].Err; !errors.As(err, &temporary) || temporary.Throttled || temporary.After != time.Minute {
			t.Errorf("session: got %#v, want it held for a minute without holding the lane", err)
		}
		batch[0].Event = forwardertest.Event("acme", headlessly.TypeError, 2, now)
		if err := d.Deliver(t.Context(), batch)[0].Err; err != nil {
			t.Errorf("error: %v", err)
		}
	}
}
