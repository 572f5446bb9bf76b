package control_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/replays"
)

// told is a Forwarding that notes what it was asked.
type told struct {
	jobs   *replays.Jobs
	tenant string
	filter control.DeliveryFilter
	replay replays.Request
}

func (f *told) Deliveries(_ context.Context, tenant string, d control.DeliveryFilter) ([]forwarders.Attempt, error) {
	f.tenant, f.filter = tenant, d
	return []forwarders.Attempt{{MessageID: "m", Destination: "ga4", Outcome: "dead"}}, nil
}

func (f *told) Trace(_ context.Context, tenant, id string) (forwarders.Trace, error) {
	if tenant != "acme" || id != "known" {
		return forwarders.Trace{}, control.ErrNoEvent
	}
	return forwarders.Trace{Tenant: tenant, MessageID: id, Destinations: []forwarders.TraceStep{}}, nil
}

func (f *told) Replay(_ context.Context, r replays.Request) (replays.Job, error) {
	f.replay = r
	if err := f.jobs.Check(r); err != nil {
		return replays.Job{}, err
	}
	return replays.Job{ID: "j", Request: r, State: replays.Running}, nil
}

func (f *told) Replays() *replays.Jobs { return f.jobs }

func TestForwardingRoutes(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	p := &plane{dir: t.TempDir()}
	p.store = open(t, p.dir)
	ctx := context.Background()
	for _, name := range []string{"acme", "other"} {
		if _, err := p.store.AddTenant(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	_, secret, err := p.store.CreateKey(ctx, "acme", headlessly.KeySecret)
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := p.store.CreateKey(ctx, "other", headlessly.KeySecret)
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := replays.Open(replays.Config{
		Dir: t.TempDir(), Clock: headlessly.SystemClock, Logger: slog.New(slog.DiscardHandler),
		Known:   func(name string) bool { return name == "posthog" },
		Sources: map[string]replays.Source{"": nil, "lake": nil},
	})
	if err != nil {
		t.Fatal(err)
	}
	f := &told{jobs: jobs}
	srv := httptest.NewServer(control.New(control.Config{
		Store: p.store, Forwarding: f, Clock: func() time.Time { return now }, Ready: func() error { return nil }, Logger: slog.New(slog.DiscardHandler),
	}))
	defer srv.Close()
	p.url = srv.URL
	for _, row := range []struct {
		name, key, method, path, body string
		status                        int
		has                           string
	}{
		{"deliveries", secret.Reveal(), "GET", "/~acme/deliveries?destination=ga4&outcome=dead&since=2h&until=2026-11-26&limit=7", "", 200, `"outcome":"dead"`},
		{"deliveries with faults", secret.Reveal(), "GET", "/~acme/deliveries?since=yesterday&limit=0", "", 400, `"field":"limit"`},
		{"another tenant's deliveries", other.Reveal(), "GET", "/~acme/deliveries", "", 403, "another tenant"},
		{"a trace", secret.Reveal(), "GET", "/~acme/events/known/trace", "", 200, `"messageId":"known"`},
		{"a trace of nothing", secret.Reveal(), "GET", "/~acme/events/gone/trace", "", 404, "no event of this id"},
		{"a trace with the wrong method", secret.Reveal(), "POST", "/~acme/events/known/trace", "", 405, "use GET"},
		{"a replay", secret.Reveal(), "POST", "/~acme/replays", `{"destination":"posthog","since":"2026-11-01","filter":"revenue > 1","perSecond":5,"dryRun":true}`, 202, `"state":"running"`},
		{"a replay with faults", secret.Reveal(), "POST", "/~acme/replays", `{"destination":"fax","from":"tape"}`, 400, `"field":"from"`},
		{"a replay of a time that is none", secret.Reveal(), "POST", "/~acme/replays", `{"destination":"posthog","since":"soon"}`, 400, "since must be a time"},
		{"the list", secret.Reveal(), "GET", "/~acme/replays", "", 200, `"results":[]`},
		{"a job that is none", secret.Reveal(), "GET", "/~acme/replays/x", "", 404, "no such replay"},
		{"stopping a job that is none", secret.Reveal(), "POST", "/~acme/replays/x/stop", "", 404, "no such replay"},
		{"a public key's word", "hly_pk_nobody", "GET", "/~acme/replays", "", 401, "unknown or revoked"},
	} {
		status, _, body := p.call(t, row.key, row.method, row.path, row.body)
		if status != row.status || !strings.Contains(body, row.has) {
			t.Errorf("%s: got %d %s, want %d with %s", row.name, status, body, row.status, row.has)
		}
	}
	want := control.DeliveryFilter{Destination: "ga4", Outcome: "dead", Since: now.Add(-2 * time.Hour), Until: now.Truncate(24 * time.Hour), Limit: 7}
	if f.tenant != "acme" || f.filter != want {
		t.Errorf("asked %s for %+v, want %+v", f.tenant, f.filter, want)
	}
}

func TestInstantReadsWhatAPersonWrites(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"": {}, "90m": now.Add(-90 * time.Minute), "7d": now.AddDate(0, 0, -7), "2026-11-01": time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
		"2026-11-26T10:00:00+01:00": now.Add(-3 * time.Hour),
	} {
		if got, err := control.Instant(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"yesterday", "-5m", "d", "2026-13-01"} {
		if got, err := control.Instant(text, now); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}
