package collector_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector"
)

// nullLog takes everything at once.
type nullLog struct{ seq atomic.Uint64 }

func (l *nullLog) Append(context.Context, ...headlessly.Record) (int64, error) {
	return headlessly.LogSeq(l.seq.Add(1), 0), nil
}

const browserEvent = `{"messageId":"%08x-7a2b-7c3d-8e4f-5a6b7c8d9e0f","type":"track","event":"Product Viewed","anonymousId":"anon-%d","ts":1772366400000,"url":"https://shop.example/products/17/reviews?utm_source=news&utm_medium=email","path":"/products/17/reviews","referrer":"https://www.google.com/","title":"Product 17 reviews","userAgent":"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36","properties":{"productId":"p-17","price":12.50,"currency":"EUR","position":3,"list":"search"}}`

// BenchmarkRequest is the collector's own cost of one event in one request
// over a kept connection, without network and disk: against an echo of the
// same server, and stage by stage.
func BenchmarkRequest(b *testing.B) {
	echo := func(ctx *fasthttp.RequestCtx) { ctx.SetBody(ctx.PostBody()) }
	b.Run("echo", func(b *testing.B) { requests(b, (&fasthttp.Server{Handler: echo}).Serve, 200, 1) })
	for _, c := range []struct {
		name   string
		events int
		change func(b *testing.B, cfg *collector.Config)
	}{
		{"event", 1, func(*testing.B, *collector.Config) {}},
		{"event, dedupe", 1, func(b *testing.B, cfg *collector.Config) { b.Helper(); withDedupe(b)(cfg) }},
		{"10 events, dedupe", 10, func(b *testing.B, cfg *collector.Config) { b.Helper(); withDedupe(b)(cfg) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			cfg := collector.Default()
			cfg.Log, cfg.Directory, cfg.Script = &nullLog{}, testDirectory(), []byte("x")
			cfg.Ready, cfg.Logger = func() error { return nil }, slog.New(slog.DiscardHandler)
			c.change(b, &cfg)
			g, err := collector.New(cfg)
			if err != nil {
				b.Fatal(err)
			}
			requests(b, g.Serve, 202, c.events)
		})
	}
}

// requests posts distinct events over one connection, n in a body.
func requests(b *testing.B, serve func(net.Listener) error, status, n int) {
	b.Helper()
	l := fasthttputil.NewInmemoryListener()
	done := make(chan error, 1)
	go func() { done <- serve(l) }()
	conn, err := l.Dial()
	if err != nil {
		b.Fatal(err)
	}
	w, r := bufio.NewWriter(conn), bufio.NewReader(conn)
	var res fasthttp.Response
	var body []byte
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		body = append(body[:0], '[')
		for range n {
			i++
			body = append(fmt.Appendf(body, browserEvent, i, i%10_000), ',')
		}
		body[len(body)-1] = ']'
		fmt.Fprintf(w, "POST /e?t=acme HTTP/1.1\r\nHost: g\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/131\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		_ = w.Flush()
		if err := res.Read(r); err != nil {
			b.Fatal(err)
		}
		if res.StatusCode() != status {
			b.Fatalf("got %d %s", res.StatusCode(), res.Body())
		}
		if res.ConnectionClose() { // now and then
			if conn, err = l.Dial(); err != nil {
				b.Fatal(err)
			}
			w.Reset(conn)
			r.Reset(conn)
		}
	}
	b.StopTimer()
	_ = conn.Close()
	_ = l.Close()
	select {
	case <-done:
	case <-time.After(time.Second):
	}
}
