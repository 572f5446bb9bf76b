package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The generated day: as many events and tenants as the issue names, always the
// same ones.
const (
	dayEvents  = 1_000_000
	dayTenants = 50
	dayBatch   = 500
	dayClients = 8
	daySeed    = 20260301
)

// TestADayOfTrafficIsStoredExactlyOnce posts a million events of fifty tenants
// as a back-end would, and counts them by tenant and name.
func TestADayOfTrafficIsStoredExactlyOnce(t *testing.T) {
	var yaml bytes.Buffer
	yaml.WriteString("tenants:\n")
	for i := range dayTenants {
		fmt.Fprintf(&yaml, "  %s: {}\n", tenantName(i))
	}
	g := newGateway(t, yaml.String())
	sent := make([]map[string]int64, dayTenants) // by event name
	for i := range sent {
		sent[i] = map[string]int64{}
	}
	var mu sync.Mutex
	var refused atomic.Int64
	work := make(chan int)
	var wg sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: dayClients}, Timeout: time.Minute}
	for range dayClients {
		wg.Go(func() {
			var body bytes.Buffer
			for n := range work {
				tenant, names := batchOf(&body, n)
				res, err := client.Post("http://"+g.listen+"/e?t="+tenantName(tenant), "application/json", bytes.NewReader(body.Bytes()))
				if err != nil {
					t.Error(err)
					continue
				}
				raw, _ := io.ReadAll(res.Body)
				_ = res.Body.Close()
				var answer struct{ Accepted int }
				if err := json.Unmarshal(raw, &answer); err != nil || res.StatusCode != 202 || answer.Accepted != dayBatch {
					refused.Add(1)
					t.Errorf("batch %d: got %d %s", n, res.StatusCode, raw)
					continue
				}
				mu.Lock()
				for name, k := range names {
					sent[tenant][name] += k
				}
				mu.Unlock()
			}
		})
	}
	start := time.Now()
	for n := range dayEvents / dayBatch {
		work <- n
	}
	close(work)
	wg.Wait()
	t.Logf("%d events of %d tenants accepted in %s", dayEvents, dayTenants, time.Since(start).Round(time.Millisecond))
	var rows []struct {
		Tenant string `json:"tenant"`
		Event  string `json:"event"`
		N      int64  `json:"n"`
		IDs    int64  `json:"ids"`
	}
	g.stop(t)
	g.sql(t, &rows, `select tenant, event, count(*) as n, count(distinct message_id) as ids from events group by all`, "--all-tenants")
	got := map[string]int64{}
	total := int64(0)
	for _, r := range rows {
		got[r.Tenant+"/"+r.Event] = r.N
		total += r.N
		if r.IDs != r.N {
			t.Errorf("%s %s: %d rows, %d ids", r.Tenant, r.Event, r.N, r.IDs)
		}
	}
	for i, names := range sent {
		for name, n := range names {
			if got[tenantName(i)+"/"+name] != n {
				t.Errorf("%s %s: %d stored, %d accepted", tenantName(i), name, got[tenantName(i)+"/"+name], n)
			}
		}
	}
	if total != dayEvents {
		t.Errorf("%d events stored, %d accepted", total, dayEvents)
	}
}

func tenantName(i int) string { return fmt.Sprintf("tenant-%02d", i) }

// batchOf writes batch n of the day: one tenant's, the larger ones more often.
func batchOf(b *bytes.Buffer, n int) (tenant int, names map[string]int64) {
	r := rand.New(rand.NewPCG(daySeed, uint64(n)))
	tenant = min(r.IntN(dayTenants), r.IntN(dayTenants))
	names = map[string]int64{}
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * 24 * time.Hour / (dayEvents / dayBatch))
	b.Reset()
	b.WriteString(`{"context":{"library":{"name":"day","version":"1"}},"events":[`)
	for i := range dayBatch {
		if i > 0 {
			b.WriteByte(',')
		}
		name := []string{"Product Viewed", "Product Added", "Checkout Started", "Order Completed", "Searched"}[min(r.IntN(5), r.IntN(5))]
		names[name]++
		user := r.IntN(20_000)
		fmt.Fprintf(b, `{"messageId":"%08x-%04x-7%03x-8000-%012x","type":"track","event":%q,"userId":"user-%d","sessionId":"s-%d-%d","timestamp":%q,"url":"https://shop-%d.example/p/%d?utm_source=mail","properties":{"sku":"sku-%d","price":%d.%02d,"currency":"EUR","quantity":%d}}`,
			n, i, i&0xfff, r.Uint64()&0xffffffffffff, name, user, user, at.Hour(), at.Add(time.Duration(i)*time.Millisecond).Format(time.RFC3339Nano), tenant, r.IntN(3000), r.IntN(3000), r.IntN(300), r.IntN(100), 1+r.IntN(3))
	}
	b.WriteString(`]}`)
	return tenant, names
}

// TestRealWebhookPayloadsArriveWhole posts every payload that GitHub documents
// as the properties of an event, and reads each back equal. Those over an
// event's size are refused by name and kept.
func TestRealWebhookPayloadsArriveWhole(t *testing.T) {
	raw, err := os.ReadFile("testdata/payloads/node_modules/@octokit/webhooks-examples/api.github.com/index.json")
	if err != nil {
		t.Fatalf("%v (run make deps)", err)
	}
	var kinds []struct {
		Name     string            `json:"name"`
		Examples []json.RawMessage `json:"examples"`
	}
	if err := json.Unmarshal(raw, &kinds); err != nil {
		t.Fatal(err)
	}
	g := newGateway(t, "")
	want := map[string]any{}
	large := 0
	for _, k := range kinds {
		for i, payload := range k.Examples {
			user := fmt.Sprintf("%s-%d", k.Name, i)
			var compact bytes.Buffer
			if err := json.Compact(&compact, payload); err != nil {
				t.Fatal(err)
			}
			status, body := g.post(t, "/e?t=default", fmt.Sprintf(`[{"type":"github","event":%q,"userId":%q,"properties":%s}]`, k.Name, user, compact.Bytes()))
			switch {
			case status == 202:
				var v any
				if err := json.Unmarshal(payload, &v); err != nil {
					t.Fatal(err)
				}
				want[user] = v
			case status == 400 && compact.Len() > 30<<10 && bytes.Contains([]byte(body), []byte("too_large")):
				large++
			default:
				t.Errorf("%s: got %d %s", user, status, body)
			}
		}
	}
	if len(want) < 100 {
		t.Fatalf("only %d payloads found", len(want))
	}
	var rows []struct {
		User       string `json:"user_id"`
		Properties string `json:"properties"`
	}
	g.sql(t, &rows, `select user_id, properties from events`)
	if len(rows) != len(want) {
		t.Errorf("%d rows, want %d", len(rows), len(want))
	}
	for _, r := range rows {
		var v any
		if err := json.Unmarshal([]byte(r.Properties), &v); err != nil {
			t.Errorf("%s: %v", r.User, err)
			continue
		}
		a, _ := json.Marshal(v)
		b, _ := json.Marshal(want[r.User])
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs:\n%.300s\n%.300s", r.User, a, b)
		}
	}
	var kept []struct {
		N int `json:"n"`
	}
	g.sql(t, &kept, `select count(*) as n from rejected where reason = 'too_large'`)
	if len(kept) != 1 || kept[0].N != large {
		t.Errorf("rejected holds %+v, want %d", kept, large)
	}
	t.Logf("%d payloads stored, %d over the limit kept aside", len(want), large)
}
