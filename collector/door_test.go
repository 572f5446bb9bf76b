package collector_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector"
)

func TestATenantThatFloodsLeavesRoomForOthers(t *testing.T) {
	l := &slowLog{memoryLog: &memoryLog{}, arrived: make(chan struct{}), outcome: make(chan error)}
	g := start(t, func(c *collector.Config) { c.Log, c.MaxInFlight = l, 8 })
	var busy, taken atomic.Int32
	var wg sync.WaitGroup
	send := func(tenant string) {
		wg.Go(func() {
			res, r := g.post(t, "/e?t="+tenant, []byte(`{"event":"x"}`))
			switch {
			case res.StatusCode == 202:
				taken.Add(1)
			case res.StatusCode == 429 && r.Error == "tenant_busy" && res.Header.Get("Retry-After") == "1":
				busy.Add(1)
			default:
				t.Errorf("got %d %+v", res.StatusCode, r)
			}
		})
	}
	for range 4 { // half of the slots
		send("acme")
		<-l.arrived
	}
	for range 3 {
		send("acme")
	}
	for start := time.Now(); busy.Load() < 3; time.Sleep(time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatalf("%d requests were refused, want 3", busy.Load())
		}
	}
	send("other")
	<-l.arrived
	for range 5 {
		l.outcome <- nil
	}
	wg.Wait()
	if taken.Load() != 5 {
		t.Errorf("%d requests were taken, want 4 and the other tenant's", taken.Load())
	}
	go func() { <-l.arrived; l.outcome <- nil }()
	if res, _ := g.post(t, "/e?t=acme", []byte(`{"event":"x"}`)); res.StatusCode != 202 {
		t.Errorf("after the flood: got %d, want 202", res.StatusCode)
	}
}

func TestMoreThanCanBeWorkedOnIsShed(t *testing.T) {
	l := &slowLog{memoryLog: &memoryLog{}, arrived: make(chan struct{}), outcome: make(chan error)}
	g := start(t, func(c *collector.Config) { c.Log, c.MaxInFlight = l, 3 })
	var wg sync.WaitGroup
	for _, tenant := range []string{"acme", "other", "keeper"} {
		wg.Go(func() {
			if res, _ := g.post(t, "/e?t="+tenant, []byte(`{"event":"x"}`)); res.StatusCode != 202 {
				t.Errorf("%s: got %d", tenant, res.StatusCode)
			}
		})
		<-l.arrived
	}
	if res, r := g.post(t, "/e?t=listed", []byte(`{"event":"x"}`), "Origin: https://shop.example"); res.StatusCode != 503 || r.Error != "overloaded" || res.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: got %d %+v, want 503", res.StatusCode, r)
	}
	for range 3 {
		l.outcome <- nil
	}
	wg.Wait()
}

func TestLargeBodiesShareBoundedMemory(t *testing.T) {
	g := start(t, func(c *collector.Config) { c.MaxBodyMemory = 64 << 10 })
	large := []byte(`{"events":[` + strings.Repeat(`{"event":"x","properties":{"p":"`+strings.Repeat("a", 1000)+`"}},`, 60) + `{"event":"x"}]}`)
	conn, err := g.dial() // one client has sent much of a large body and holds on
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "POST /e?t=acme HTTP/1.1\r\nHost: g\r\nContent-Length: %d\r\n\r\n%s", len(large), large[:50<<10]); err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		if res, r := g.post(t, "/e?t=acme", large); res.StatusCode == 503 && r.Error == "overloaded" && res.Header.Get("Retry-After") != "" {
			break
		}
		if time.Since(start) > time.Minute {
			t.Fatal("a second large body is taken although the memory is used up")
		}
	}
	if res, r := g.post(t, "/e?t=acme", []byte(`{"event":"small"}`)); res.StatusCode != 202 {
		t.Errorf("a small body meanwhile: got %d %+v, want 202", res.StatusCode, r)
	}
	_ = conn.Close()
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		if res, _ := g.post(t, "/e?t=acme", large[:20<<10]); res.StatusCode == 400 { // cut JSON: it was read whole
			break
		}
		if time.Since(start) > time.Minute {
			t.Fatal("the memory of a client that is gone stays reserved")
		}
	}
}

func TestMuchJSONInFewBytesIsBoundedToo(t *testing.T) {
	g := start(t, func(c *collector.Config) { c.MaxBodyMemory = 8 << 20 })
	res, r := g.post(t, "/e?t=acme", []byte(`{"event":"x","p":[`+strings.Repeat("0,", 500_000)+`0]}`))
	if res.StatusCode != 503 || r.Error != "overloaded" {
		t.Errorf("got %d %+v, want 503", res.StatusCode, r)
	}
}

func TestADaysQuotaOutlivesARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "usage.json")
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	run := func(at time.Time) *gateway {
		return start(t, func(c *collector.Config) {
			c.Clock, c.UsageFile = func() time.Time { return at }, file
			d := testDirectory()
			d.policies["acme"] = collector.Policy{EventsPerDay: 5}
			d.policies["other"] = collector.Policy{EventsPerDay: 5}
			c.Directory = d
		})
	}
	send := func(g *gateway, tenant string, events, want int) {
		t.Helper()
		body := `[` + strings.TrimSuffix(strings.Repeat(`{"event":"x"},`, events), ",") + `]`
		if res, r := g.post(t, "/e?t="+tenant, []byte(body)); res.StatusCode != want {
			t.Errorf("%d events of %s: got %d %+v, want %d", events, tenant, res.StatusCode, r, want)
		}
	}
	stop := func(g *gateway) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		g.c.KeepUsage(ctx)
	}
	g := run(now)
	send(g, "acme", 4, 202)
	stop(g)
	g = run(now.Add(time.Hour))
	send(g, "acme", 2, 429)
	send(g, "acme", 1, 202)
	send(g, "acme", 1, 429)
	send(g, "other", 5, 202)
	stop(g)
	g = run(now.Add(12 * time.Hour)) // the next day
	send(g, "acme", 5, 202)
	stop(g)
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	send(run(now.Add(13*time.Hour)), "acme", 5, 202) // what was kept is unreadable
}

func TestRateAndQuotaOfATenant(t *testing.T) {
	now := time.Date(2026, 3, 1, 23, 59, 0, 0, time.UTC)
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	advance := func(d time.Duration) { mu.Lock(); now = now.Add(d); mu.Unlock() }
	g := start(t, func(c *collector.Config) {
		c.Clock = clock
		d := testDirectory()
		d.policies["acme"] = collector.Policy{EventsPerSecond: 2, Burst: 4}
		d.policies["other"] = collector.Policy{EventsPerDay: 5}
		c.Directory = d
	})
	for _, s := range []struct {
		name, tenant string
		wait         time.Duration
		events       int
		status       int
		code, retry  string
	}{
		{"within the burst", "acme", 0, 3, 202, "", ""},
		{"the last token admits a whole batch", "acme", 0, 5, 202, "", ""},
		{"the debt is paid first", "acme", 0, 1, 429, "rate_limited", "3"},
		{"still", "acme", time.Second, 1, 429, "rate_limited", "2"},
		{"paid", "acme", 1500 * time.Millisecond, 1, 202, "", ""},
		{"within the day's events", "other", 0, 4, 202, "", ""},
		{"one over", "other", 0, 2, 429, "quota_exceeded", "58"},
		{"exactly", "other", 0, 1, 202, "", ""},
		{"the next day", "other", time.Minute, 5, 202, "", ""},
	} {
		advance(s.wait)
		body := `[` + strings.TrimSuffix(strings.Repeat(`{"event":"x"},`, s.events), ",") + `]`
		res, r := g.post(t, "/e?t="+s.tenant, []byte(body))
		if res.StatusCode != s.status || r.Error != s.code || res.Header.Get("Retry-After") != s.retry {
			t.Errorf("%s: got %d %+v, Retry-After %q; want %d %s %q", s.name, res.StatusCode, r, res.Header.Get("Retry-After"), s.status, s.code, s.retry)
		}
		if s.status == 429 && res.Header.Get("X-RateLimit-Limit") == "" {
			t.Errorf("%s: no X-RateLimit-Limit", s.name)
		}
		if wait, err := strconv.Atoi(s.retry); err == nil {
			if got, want := res.Header.Get("X-RateLimit-Reset"), strconv.FormatInt(clock().Unix()+int64(wait), 10); got != want {
				t.Errorf("%s: X-RateLimit-Reset %s, want the Unix time %s", s.name, got, want)
			}
		}
	}
	if n := len(g.log.rejected(t)); n != 0 {
		t.Errorf("%d throttled bodies were kept as rejected", n)
	}
}

// stuckLog notes whose records reach it, and holds them until it is freed.
type stuckLog struct {
	freed chan struct{}

	mu   sync.Mutex
	came []string
}

func (l *stuckLog) Append(_ context.Context, records ...headlessly.Record) (int64, error) {
	tenant, _, err := headlessly.EventID(records[0].Data)
	l.mu.Lock()
	l.came = append(l.came, tenant)
	l.mu.Unlock()
	<-l.freed
	return 1, err
}

func (l *stuckLog) tenants() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.came)
}

// TestAQuietTenantPassesAFloodOnItsWayToTheLog: twenty-eight large requests of
// one tenant want to the disk, which is stuck. Ten fill the way to it; another
// tenant's request passes the eighteen that wait.
func TestAQuietTenantPassesAFloodOnItsWayToTheLog(t *testing.T) {
	const flood, inside = 28, 10
	l := &stuckLog{freed: make(chan struct{})}
	g := start(t, func(c *collector.Config) { c.Log = l })
	large := []byte(`{"events":[` + strings.Repeat(`{"event":"x","properties":{"p":"`+strings.Repeat("a", 20_000)+`"}},`, 19) + `{"event":"x"}]}`) // 390 KB
	var wg sync.WaitGroup
	post := func(tenant string, body []byte) {
		wg.Go(func() {
			if res, r := g.post(t, "/e?t="+tenant, body); res.StatusCode != 202 {
				t.Errorf("%s: got %d %+v", tenant, res.StatusCode, r)
			}
		})
	}
	reach := func(what string, waiting int, came []string) {
		t.Helper()
		for start := time.Now(); g.c.Queued() != waiting || !slices.Equal(l.tenants(), came); time.Sleep(time.Millisecond) {
			if time.Since(start) > time.Minute {
				t.Fatalf("%s: %d requests wait and %v are with the log, want %d and %v", what, g.c.Queued(), l.tenants(), waiting, came)
			}
		}
	}
	for range flood {
		post("acme", large)
	}
	came := slices.Repeat([]string{"acme"}, inside)
	reach("the flood", flood-inside, came)
	post("other", []byte(`{"event":"x"}`))
	reach("the quiet tenant", flood-inside, append(came, "other"))
	close(l.freed)
	wg.Wait()
}
