package webhook_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/outbox"
	"github.com/headlessly/headlessly/connectors/outbox/outboxtest"
	"github.com/headlessly/headlessly/connectors/webhook"
)

// BenchmarkDeliveries measures signed deliveries over loopback: taken from the
// graph, posted, answered, and the outcome on disk. The yardstick in the same
// run is the same requests from a bare client.
func BenchmarkDeliveries(b *testing.B) {
	var got atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		got.Add(1)
	}))
	defer server.Close()
	g := outboxtest.Graph(b, b.TempDir())
	acme := outboxtest.Scope(b, g)
	const batch = 500
	var ops []graph.Op
	for n := range batch {
		ops = append(ops, graph.Op{Type: "Deal", Verb: graph.VerbCreate, Args: fields{"name": fmt.Sprint("deal ", n), "value": n, "stage": "Open", "contact": "contact_fX9bL5nRd"}})
	}
	start := g.Position()
	for made := 0; made < b.N; made += batch {
		if _, err := acme.Batch(b.Context(), ops[:min(batch, b.N-made)]); err != nil {
			b.Fatal(err)
		}
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, MaxIdleConns: 256}}
	cfg := outbox.Default(g, b.TempDir())
	box, err := outbox.Open(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer box.Close() //nolint:errcheck // of a benchmark
	c := webhook.New(box, open)
	l := outboxtest.Link(b, g, outboxtest.NewClock(), hookID, fields{"url": server.URL, "events": []any{"Deal.*"}}, map[string]string{"secret": secret}, func(error) {})
	l.Client, l.Clock = client, headlessly.SystemClock
	if err := box.Put(b.Context(), outbox.Endpoint{Tenant: "acme", ID: hookID, Events: []string{"none.none"}, From: start, Sender: outbox.SenderFunc(nil)}); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	if _, err := c.Attach(b.Context(), l); err != nil {
		b.Fatal(err)
	}
	outboxtest.Run(b, box)
	for {
		n, err := box.Count(b.Context(), "acme", hookID)
		if err != nil {
			b.Fatal(err)
		}
		if n.Delivered == int64(b.N) {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.StopTimer()
	ours := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(ours, "deliveries/s")

	body := strings.Repeat("x", 500)
	bare := time.Now()
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range (b.N + 15) / 16 {
				res, err := client.Post(server.URL, "application/json", strings.NewReader(body))
				if err != nil {
					b.Error(err)
					return
				}
				_ = res.Body.Close()
			}
		})
	}
	all.Wait()
	yardstick := float64((b.N+15)/16*16) / time.Since(bare).Seconds()
	b.ReportMetric(yardstick, "bare/s")
	b.ReportMetric(ours/yardstick, "ratio")
}
