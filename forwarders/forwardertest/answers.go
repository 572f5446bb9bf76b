package forwardertest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/egress"
)

// what names a result's kind.
func what(err error) string {
	var permanent *headlessly.Permanent
	var temporary *headlessly.Temporary
	var unknown *headlessly.Unknown
	switch {
	case err == nil:
		return "delivered"
	case errors.As(err, &permanent):
		return "permanent"
	case errors.As(err, &unknown):
		return "unknown"
	case errors.As(err, &temporary) && temporary.Throttled:
		return "throttled"
	case errors.As(err, &temporary):
		return "temporary"
	}
	return "untyped: " + err.Error()
}

func (s *suite) statuses(t *testing.T) {
	for _, row := range []struct {
		status int
		want   string
	}{
		{200, "delivered"},
		{400, "permanent"},
		{401, "permanent"},
		{402, "permanent"},
		{403, "permanent"},
		{404, "permanent"},
		{405, "permanent"},
		{408, "temporary"},
		{410, "permanent"},
		{413, "permanent"},
		{415, "permanent"},
		{422, "permanent"},
		{425, "temporary"},
		{429, "throttled"},
		{500, "temporary"},
		{501, "temporary"},
		{502, "temporary"},
		{503, "temporary"},
		{504, "temporary"},
	} {
		if slices.Contains(s.Own, row.status) {
			continue
		}
		t.Run(strconv.Itoa(row.status), func(t *testing.T) {
			server := serve(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
				if row.status == 200 {
					s.OK(w, r, body)
					return
				}
				w.WriteHeader(row.status)
				_, _ = fmt.Fprint(w, "the provider's answer")
			})
			got := one(t.Context(), t, s.build(t, server.URL, nil), s.item(1))
			if what(got.Err) != row.want {
				t.Errorf("got %s (%v), want %s", what(got.Err), got.Err, row.want)
			}
			if row.status >= 400 && (got.Status != row.status || !strings.Contains(got.Err.Error(), "the provider's answer")) {
				t.Errorf("status %d, error %v: want the provider's answer", got.Status, got.Err)
			}
			if len(server.seen()) == 0 || !strings.Contains(server.seen()[0].text(), marker(1)) {
				t.Error("the event did not arrive")
			}
		})
	}
}

func (s *suite) retryAfter(t *testing.T) {
	for _, row := range []struct {
		name, value string
		least, most time.Duration
	}{
		{"seconds", "7", 7 * time.Second, 7 * time.Second},
		{"a date", headlessly.SystemClock().Add(90 * time.Second).UTC().Format(http.TimeFormat), 80 * time.Second, 90 * time.Second},
		{"absurd", "99999999999999999999", time.Hour, 1 << 62},
		{"negative", "-5", 0, time.Minute},
		{"no number", "soon", 0, time.Minute},
		{"a date long past", "Mon, 02 Jan 2006 15:04:05 GMT", 0, time.Minute},
		{"missing", "", 0, time.Minute},
	} {
		for _, status := range []int{429, 503} {
			t.Run(fmt.Sprintf("%s %d", row.name, status), func(t *testing.T) {
				server := serve(t, func(w http.ResponseWriter, _ *http.Request, _ []byte) {
					if row.value != "" {
						w.Header().Set("Retry-After", row.value)
					}
					w.WriteHeader(status)
				})
				got := one(t.Context(), t, s.build(t, server.URL, nil), s.item(1))
				var temporary *headlessly.Temporary
				if !errors.As(got.Err, &temporary) {
					t.Fatalf("got %v, want it temporary", got.Err)
				}
				if temporary.After < row.least || temporary.After > row.most {
					t.Errorf("wait %s, want %s to %s", temporary.After, row.least, row.most)
				}
			})
		}
	}
}

// bomb is a megabyte of nothing in a kilobyte of gzip, many times over.
func bomb() []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	chunk := make([]byte, 1<<20)
	for range 64 {
		_, _ = z.Write(chunk) // to memory: never fails
	}
	_ = z.Close()
	return out.Bytes()
}

func (s *suite) faults(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	packed := bomb()
	for _, row := range []struct {
		name   string
		answer func(w http.ResponseWriter, r *http.Request)
		want   []string
	}{
		{"the connection ends without an answer", func(w http.ResponseWriter, _ *http.Request) { hangUp(w) }, []string{"unknown"}},
		{"no answer at all", func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-stop:
			}
		}, []string{"unknown"}},
		{"a byte each 100 ms behind a 200", func(w http.ResponseWriter, r *http.Request) {
			pour(w, r, 200, []byte(" "), 100*time.Millisecond)
		}, []string{"delivered", "unknown"}},
		{"an endless body behind a 200", func(w http.ResponseWriter, r *http.Request) {
			pour(w, r, 200, bytes.Repeat([]byte(" "), 4096), 0)
		}, []string{"delivered", "unknown"}},
		{"an endless body behind a 500", func(w http.ResponseWriter, r *http.Request) {
			pour(w, r, 500, bytes.Repeat([]byte("x"), 4096), 0)
		}, []string{"temporary"}},
		{"a gzip bomb behind a 500", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write(packed)
		}, []string{"temporary"}},
		{"an answer that is no HTTP", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = fmt.Fprint(conn, "SSH-2.0-OpenSSH_9.0\r\n")
				_ = conn.Close()
			}
		}, []string{"unknown"}},
		{"an HTML page behind a 502", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = fmt.Fprint(w, "<html>bad gateway</html>")
		}, []string{"temporary"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			server := serve(t, func(w http.ResponseWriter, r *http.Request, _ []byte) { row.answer(w, r) })
			deadline := 20 * time.Second
			if slices.Contains(row.want, "unknown") { // those that may not end by themselves
				deadline = time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			got := one(ctx, t, s.build(t, server.URL, nil), s.item(1))
			if !slices.Contains(row.want, what(got.Err)) {
				t.Errorf("got %s (%v), want one of %v", what(got.Err), got.Err, row.want)
			}
			if len(got.Note) > 400 {
				t.Errorf("note of %d bytes", len(got.Note))
			}
		})
	}
}

// pour writes chunks until the client has had enough.
func pour(w http.ResponseWriter, r *http.Request, status int, chunk []byte, every time.Duration) {
	w.WriteHeader(status)
	flush := http.NewResponseController(w)
	for r.Context().Err() == nil {
		if _, err := w.Write(chunk); err != nil {
			return
		}
		_ = flush.Flush()
		time.Sleep(every)
	}
}

func (s *suite) noConnection(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	base := server.URL
	server.Close()
	got := one(t.Context(), t, s.build(t, base, nil), s.item(1))
	if what(got.Err) != "temporary" {
		t.Errorf("got %s (%v), want temporary", what(got.Err), got.Err)
	}
	got = one(t.Context(), t, s.build(t, "https://no-such-host.invalid", nil), s.item(1))
	if what(got.Err) != "temporary" {
		t.Errorf("unknown host: got %s (%v), want temporary", what(got.Err), got.Err)
	}
}

func (s *suite) certificates(t *testing.T) {
	noted := new(server)
	tls := httptest.NewUnstartedServer(noted.handler(s.OK))
	tls.Config.ErrorLog = log.New(io.Discard, "", 0) // the client's complaint is expected
	tls.StartTLS()
	t.Cleanup(tls.Close)
	got := one(t.Context(), t, s.build(t, tls.URL, nil), s.item(1))
	if what(got.Err) != "temporary" || len(noted.seen()) != 0 {
		t.Errorf("a certificate nobody vouches for: got %s (%v) and %d requests, want temporary and none", what(got.Err), got.Err, len(noted.seen()))
	}
	roots := tls.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs //nolint:forcetypeassert // httptest makes it so
	client := egress.New(egress.Config{AllowPrivate: true, RootCAs: roots})
	if got := one(t.Context(), t, s.build(t, tls.URL, client), s.item(1)); got.Err != nil {
		t.Errorf("a certificate that is vouched for: %v", got.Err)
	}
}

func (s *suite) redirects(t *testing.T) {
	elsewhere := serve(t, func(w http.ResponseWriter, _ *http.Request, _ []byte) { w.WriteHeader(http.StatusOK) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := serve(t, func(w http.ResponseWriter, r *http.Request, _ []byte) {
			http.Redirect(w, r, elsewhere.URL, status)
		})
		got := one(t.Context(), t, s.build(t, server.URL, nil), s.item(1))
		if what(got.Err) != "permanent" {
			t.Errorf("%d: got %s (%v), want permanent", status, what(got.Err), got.Err)
		}
	}
	if n := len(elsewhere.seen()); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
}
