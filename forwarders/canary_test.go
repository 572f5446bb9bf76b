package forwarders_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/all"
	"github.com/headlessly/headlessly/forwarders/egress"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
)

// locked is a buffer for a logger of several goroutines.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// TestNoCredentialIsEverKept sends to servers that answer with everything they
// were sent, and to settings that cannot be read, and then looks for the
// credentials wherever the router writes.
func TestNoCredentialIsEverKept(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusForbidden, http.StatusServiceUnavailable} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, "%s %v", r.URL, r.Header) //nolint:gosec // echoing is what this server is for
		}))
		host := strings.TrimPrefix(server.URL, "http://")
		const canary = forwardertest.Canary
		log, parked, source := forwardertest.NewLog(headlessly.SystemClock), forwardertest.NewParked(), forwardertest.NewSource()
		source.Set("good", headlessly.Destinations{
			GA:      &headlessly.GADestination{MeasurementID: "G-1", APISecret: headlessly.NewSecret(canary), Endpoint: server.URL},
			Sentry:  &headlessly.SentryDestination{DSN: headlessly.NewSecret("http://" + canary + "@" + host + "/42")},
			PostHog: &headlessly.PostHogDestination{APIKey: headlessly.NewSecret("phc_" + canary), Host: server.URL},
			HTTP: &headlessly.HTTPDestination{
				URL:     headlessly.NewSecret(server.URL + "/x?token=" + canary),
				Headers: map[string]headlessly.Secret{"Authorization": headlessly.NewSecret("Bearer " + canary)},
			},
		})
		source.Set("wrong", headlessly.Destinations{
			Sentry: &headlessly.SentryDestination{DSN: headlessly.NewSecret("https://" + canary)},
			HTTP:   &headlessly.HTTPDestination{URL: headlessly.NewSecret("https://u:" + canary + "@host/{{")},
		})
		out := new(locked)
		r, stop := start(t, forwarders.Config{
			Log: log, Parked: parked, Destinations: source, Registry: all.Registry(), Client: egress.New(egress.Config{AllowPrivate: true}),
			Logger:     slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})),
			Deliveries: log, Tries: 1,
		})
		for n, tenant := range []string{"good", "wrong"} {
			e := forwardertest.Event(tenant, headlessly.TypeError, n, headlessly.SystemClock())
			log.Events(e)
		}
		eventually(t, "everything is decided", func() bool { return r.Totals().Committed >= 2 })
		stop()
		rows := deliveries(t, log)
		attempts, err := json.Marshal(rows)
		if err != nil {
			t.Fatal(err)
		}
		places := map[string]string{"log": out.b.String(), "deliveries": string(attempts), "stats": fmt.Sprintf("%+v", r.Stats()), "parked": fmt.Sprintf("%+v", parked.All())}
		for place, text := range places {
			if strings.Contains(text, canary) {
				t.Errorf("status %d: a credential is in the %s: %s", status, place, text)
			}
		}
		if len(rows) < 4 || len(parked.All()) < 2 {
			t.Errorf("status %d: the test looked at too little: %s", status, attempts)
		}
		server.Close()
	}
}
