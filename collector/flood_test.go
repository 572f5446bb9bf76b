package collector_test

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/headlessly/headlessly/collector"
)

// BenchmarkQuietTenant is the latency of a tenant that sends one request after
// the other, alone and while another tenant floods over 256 connections. The
// flood's clients share the cores with the collector.
func BenchmarkQuietTenant(b *testing.B) {
	for _, c := range []struct {
		name        string
		flood, slot int
	}{{"alone", 0, 0}, {"beside a flood", 256, 0}, {"beside a flood, 64 requests in flight", 256, 64}} {
		b.Run(c.name, func(b *testing.B) {
			cfg := collector.Default()
			cfg.Log, cfg.Directory, cfg.Script, cfg.MaxInFlight = &nullLog{}, testDirectory(), []byte("x"), c.slot
			cfg.Ready, cfg.Logger = func() error { return nil }, slog.New(slog.DiscardHandler)
			g, err := collector.New(cfg)
			if err != nil {
				b.Fatal(err)
			}
			url := strings.TrimSuffix(serveTCP(b, &gateway{c: g}), "/")
			client := &fasthttp.Client{MaxConnsPerHost: 512}
			defer client.CloseIdleConnections()
			post := func(tenant string) int {
				req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
				defer fasthttp.ReleaseRequest(req)
				defer fasthttp.ReleaseResponse(res)
				req.SetRequestURI(url + "/e?t=" + tenant)
				req.Header.SetMethod(fasthttp.MethodPost)
				req.Header.SetContentType("application/json")
				req.SetBodyString(`{"event":"x"}`)
				if err := client.Do(req, res); err != nil {
					return 0
				}
				return res.StatusCode()
			}
			var stop atomic.Bool
			var taken, refused atomic.Int64
			var wg sync.WaitGroup
			for range c.flood {
				wg.Go(func() {
					for !stop.Load() {
						if post("acme") == fasthttp.StatusAccepted {
							taken.Add(1)
						} else {
							refused.Add(1)
						}
					}
				})
			}
			var took []time.Duration
			bad := 0
			for b.Loop() {
				start := time.Now()
				if post("other") != fasthttp.StatusAccepted {
					bad++
				}
				took = append(took, time.Since(start))
			}
			stop.Store(true)
			wg.Wait()
			if c.flood == 0 && bad > 0 {
				b.Fatalf("%d of %d requests were refused without a flood", bad, len(took))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(float64(bad), "refused")
			b.ReportMetric(float64(refused.Load())/max(1, float64(taken.Load()+refused.Load())), "flood-refused")
		})
	}
}
