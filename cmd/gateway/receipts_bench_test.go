package gateway_test

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stripe/stripe-go/v85/webhook"
	"github.com/valyala/fasthttp"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector"
	"github.com/headlessly/headlessly/collector/eventlog"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/stripe"
)

const benchSecret = "whsec_of_a_benchmark"

// oneTenant is a directory of one tenant, and an inbound of one integration.
type oneTenant struct {
	conn *stripe.Connector
	link *connectors.Link
}

func (oneTenant) Policy(tenant string) (collector.Policy, bool) {
	return collector.Policy{}, tenant == "acme"
}
func (oneTenant) Authenticate(string) (headlessly.Key, bool) { return headlessly.Key{}, false }
func (o oneTenant) Verify(r *headlessly.Receipt) error       { return o.conn.Verify(o.link, r) }

// BenchmarkReceipts is Stripe's webhooks from the socket to the disk: read, the
// signature verified, appended to a log that syncs before it answers, 200. 256
// connections over loopback post, each its next one after the answer.
func BenchmarkReceipts(b *testing.B) {
	log, err := eventlog.Open(b.Context(), eventlog.DefaultConfig(b.TempDir()))
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close(b.Context()) //nolint:errcheck // of a benchmark
	in := oneTenant{stripe.New(), &connectors.Link{Secrets: map[string]headlessly.Secret{"webhookSecret": headlessly.NewSecret(benchSecret)}, Clock: headlessly.SystemClock}}
	cfg := collector.Default()
	cfg.Log, cfg.Directory, cfg.Inbound, cfg.Script = log, in, in, []byte("x")
	cfg.Ready, cfg.Logger, cfg.MaxConnsPerIP = func() error { return nil }, slog.New(slog.DiscardHandler), 0
	c, err := collector.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = c.Serve(l) }()
	defer l.Close()

	body := fmt.Appendf(nil, `{"id":"evt_1","object":"event","type":"customer.updated","created":1757946720,"livemode":true,"data":{"object":{"id":"cus_1","object":"customer","name":%q}}}`, strings.Repeat("n", 1200))
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: benchSecret, Timestamp: headlessly.SystemClock()})
	request := fmt.Appendf(nil, "POST /~acme/in/stripe/integration_1 HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nStripe-Signature: %s\r\nContent-Length: %d\r\n\r\n%s", signed.Header, len(body), body)
	var next atomic.Int64
	var clients sync.WaitGroup
	b.SetBytes(int64(len(body)))
	b.ResetTimer()
	for range 256 {
		clients.Go(func() {
			var conn net.Conn
			var r *bufio.Reader
			var res fasthttp.Response
			for next.Add(1) <= int64(b.N) {
				if conn == nil { // the first time, and where the server closes
					var err error
					if conn, err = net.Dial("tcp", l.Addr().String()); err != nil {
						b.Error(err)
						return
					}
					r = bufio.NewReader(conn)
				}
				if _, err := conn.Write(request); err != nil {
					b.Error(err)
					return
				}
				if err := res.Read(r); err != nil || res.StatusCode() != 200 {
					b.Errorf("got %d %s, %v", res.StatusCode(), res.Body(), err)
					return
				}
				if res.ConnectionClose() {
					_ = conn.Close()
					conn = nil
				}
			}
			if conn != nil {
				_ = conn.Close()
			}
		})
	}
	clients.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "receipts/s")
	held, err := log.Inspect(b.Context())
	if err != nil || held.Frames == 0 {
		b.Errorf("the log holds %d frames, %v", held.Frames, err)
	}
}
