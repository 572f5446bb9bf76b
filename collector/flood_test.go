package collector_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector"
)

// floodEnv makes the test program the client of a flood: ADDRESS TENANT CONNECTIONS.
const floodEnv = "HEADLESSLY_TEST_FLOOD"

// quietEnv makes it a client that sends one request after the other: ADDRESS
// REQUESTS.
const quietEnv = "HEADLESSLY_TEST_QUIET"

func TestMain(m *testing.M) {
	if spec := os.Getenv(floodEnv); spec != "" {
		floodForEver(spec)
		return
	}
	if spec := os.Getenv(quietEnv); spec != "" {
		fmt.Println(quietly(spec)) //nolint:forbidigo // read by the parent
		return
	}
	os.Exit(m.Run()) //nolint:forbidigo // TestMain ends the test program
}

// floodForEver sends one request after the other over each connection, until
// it is killed or the server is gone.
func floodForEver(spec string) {
	var addr, tenant string
	var conns int
	if _, err := fmt.Sscan(spec, &addr, &tenant, &conns); err != nil {
		return
	}
	var wg sync.WaitGroup
	for n := range conns {
		wg.Go(func() {
			p, err := dialPeer(addr, tenant)
			for i := 0; err == nil; i++ {
				err = p.post(n*1_000_000 + i)
			}
		})
	}
	wg.Wait()
}

// quietly gives the median and the 99th percentile of the latency, in µs.
func quietly(spec string) (p50, p99 int64, err error) {
	var addr string
	var n int
	if _, err := fmt.Sscan(spec, &addr, &n); err != nil {
		return 0, 0, err
	}
	p, err := dialPeer(addr, "other")
	if err != nil {
		return 0, 0, err
	}
	p.header = "X-Quiet: yes\r\n"
	took := make([]time.Duration, n)
	for i := range took {
		time.Sleep(2 * time.Millisecond)
		start := time.Now()
		if err := p.post(i); err != nil {
			return 0, 0, err
		}
		if took[i] = time.Since(start); p.res.StatusCode() != fasthttp.StatusAccepted {
			return 0, 0, fmt.Errorf("got %d", p.res.StatusCode())
		}
	}
	slices.Sort(took)
	return took[n/2].Microseconds(), took[n*99/100].Microseconds(), nil
}

// peer is one kept connection of a tenant.
type peer struct {
	tenant string
	header string
	conn   net.Conn
	w      *bufio.Writer
	r      *bufio.Reader
	res    fasthttp.Response
	body   []byte
}

func dialPeer(addr, tenant string) (*peer, error) {
	var d net.Dialer
	conn, err := d.DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &peer{tenant: tenant, conn: conn, w: bufio.NewWriter(conn), r: bufio.NewReader(conn)}, nil
}

// post sends an event and reads the answer.
func (p *peer) post(i int) error {
	p.body = fmt.Appendf(p.body[:0], browserEvent, i, i%10_000)
	fmt.Fprintf(p.w, "POST /e?t=%s HTTP/1.1\r\nHost: g\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", p.tenant, p.header, len(p.body), p.body)
	if err := p.w.Flush(); err != nil {
		return err
	}
	return p.res.Read(p.r)
}

// BenchmarkQuietTenant measures a tenant that sends one request after the
// other beside one that floods over 256 connections from a process of its own.
// The yardstick is the same flood in the quiet tenant's own name: then who
// comes first is served first. overtaken is how many requests of the flood are
// answered while the gateway has one of the quiet tenant's, which depends less
// on how busy the machine is than its latency.
func BenchmarkQuietTenant(b *testing.B) {
	for _, c := range []struct {
		name, flood string
		conns       int
	}{{"alone", "", 0}, {"beside another tenant's flood", "acme", 256}, {"beside a flood of its own", "other", 256}} {
		b.Run(c.name, func(b *testing.B) {
			var answered, overtaken atomic.Int64
			addr := floodable(b, &answered, &overtaken)
			if c.conns > 0 {
				child := exec.CommandContext(b.Context(), os.Args[0]) //nolint:gosec // this program itself
				child.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d", floodEnv, addr, c.flood, c.conns))
				if err := child.Start(); err != nil {
					b.Fatal(err)
				}
				defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
				for answered.Load() < 10_000 {
					time.Sleep(time.Millisecond)
				}
			}
			ask := exec.CommandContext(b.Context(), os.Args[0]) //nolint:gosec // this program itself
			ask.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", quietEnv, addr, max(100, b.N)))
			out, err := ask.Output()
			var p50, p99 float64
			if _, serr := fmt.Sscan(string(out), &p50, &p99); err != nil || serr != nil {
				b.Fatalf("%v: %s", err, out)
			}
			b.ReportMetric(p50, "p50-µs")
			b.ReportMetric(p99, "p99-µs")
			b.ReportMetric(float64(overtaken.Load())/float64(max(100, b.N)), "overtaken/op")
		})
	}
}

// floodable serves a collector that counts its answers.
func floodable(b *testing.B, answered, overtaken *atomic.Int64) (addr string) {
	b.Helper()
	cfg := collector.Default()
	cfg.Log, cfg.Directory, cfg.Script = new(groupLog), testDirectory(), []byte("x")
	cfg.Ready, cfg.Logger = func() error { return nil }, slog.New(slog.DiscardHandler)
	g, err := collector.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	handle := g.Handler()
	server := &fasthttp.Server{StreamRequestBody: true, Handler: func(ctx *fasthttp.RequestCtx) {
		before := answered.Load()
		handle(ctx)
		if after := answered.Add(1); string(ctx.Request.Header.Peek("X-Quiet")) != "" {
			overtaken.Add(after - 1 - before)
		}
	}}
	go func() { _ = server.Serve(l) }()
	return l.Addr().String()
}

// groupLog makes what came together durable together, as the real log does.
type groupLog struct {
	mu   sync.Mutex
	open chan struct{}
}

func (l *groupLog) Append(context.Context, ...headlessly.Record) (int64, error) {
	l.mu.Lock()
	if l.open == nil {
		synced := make(chan struct{})
		l.open = synced
		time.AfterFunc(500*time.Microsecond, func() {
			l.mu.Lock()
			l.open = nil
			l.mu.Unlock()
			close(synced)
		})
	}
	wait := l.open
	l.mu.Unlock()
	<-wait
	return headlessly.LogSeq(1, 0), nil
}
