package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/valyala/fasthttp"
)

// spec is what a client process does. Clients are processes of their own, so
// that a crowd and whoever is measured beside it do not share a scheduler.
type spec struct {
	URL     string
	Kind    string  // of bodies: single, batch, packed
	Tenants int     // spreads requests over so many by a Zipf law; 0 leaves the URL alone
	Conns   int     // connections, at most
	Rate    float64 // requests a second whatever the answers say; 0 sends after each answer
	Seconds float64
}

// packedEvents is how many events a packed (gzip) body has. They have no
// messageId, so each is new; the gateway's work is a hundred times the client's.
const packedEvents = 500

// tally is what a client process saw.
type tally struct {
	Sent, Taken, Refused, Failed int64
	Unsent                       int64 // arrivals for which no connection was free
	Seconds                      float64
	P50, P99                     time.Duration // of the taken, from when they were due
	EachSecond                   []int64       // taken, by second
	Slowest                      []time.Duration
}

func (t tally) rate() float64 { return float64(t.Taken) / t.Seconds }

// clients starts a client process; wait gives its tally.
func clients(ctx context.Context, s spec) (wait func() (tally, error), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	arg, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "client", string(arg)) //nolint:gosec // this program itself
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() (t tally, err error) {
		if err := cmd.Wait(); err != nil {
			return t, fmt.Errorf("client: %w", err)
		}
		return t, json.Unmarshal(out.Bytes(), &t)
	}, nil
}

// client is a client process: it does what the spec says and prints its tally.
func client(ctx context.Context, arg string, w io.Writer) error {
	var s spec
	if err := json.Unmarshal([]byte(arg), &s); err != nil {
		return err
	}
	var t tally
	if s.Kind == kindDrip {
		t = drip(ctx, s)
	} else {
		t = newCrowd(s).run(ctx)
	}
	return json.NewEncoder(w).Encode(t)
}

// crowd sends requests over many connections.
type crowd struct {
	spec   spec
	client *fasthttp.Client
	bodies [][]byte
	serial atomic.Uint64
	due    chan time.Time // with a rate
	begin  time.Time

	mu    sync.Mutex
	tally tally
	took  []time.Duration
}

func newCrowd(s spec) *crowd {
	c := &crowd{spec: s, due: make(chan time.Time, 2*s.Conns), client: &fasthttp.Client{
		MaxConnsPerHost: s.Conns, NoDefaultUserAgentHeader: true, ReadTimeout: 15 * time.Second, MaxIdemponentCallAttempts: 1,
		Dial: func(addr string) (net.Conn, error) { return fasthttp.DialTimeout(addr, 10*time.Second) },
	}}
	switch s.Kind {
	case "batch":
		c.bodies = batches(bodyPool)
	case kindPacked:
		c.bodies = [][]byte{packed()}
	default:
		c.bodies = singles(bodyPool)
	}
	c.serial.Store(uint64(time.Now().UnixNano()) ^ uint64(os.Getpid())<<44) //nolint:gosec // any number will do
	c.tally.EachSecond = make([]int64, int(s.Seconds)+1)
	return c
}

func (c *crowd) run(ctx context.Context) tally {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.spec.Seconds*float64(time.Second)))
	defer cancel()
	c.begin = time.Now()
	var wg sync.WaitGroup
	for n := range c.spec.Conns {
		wg.Go(func() { c.connection(ctx, n) })
	}
	if c.spec.Rate > 0 {
		c.arrivals(ctx)
	}
	wg.Wait()
	c.tally.Seconds = time.Since(c.begin).Seconds()
	slices.Sort(c.took)
	if n := len(c.took); n > 0 {
		c.tally.P50, c.tally.P99 = c.took[n/2], c.took[n*99/100]
		c.tally.Slowest = c.took[max(0, n-5):]
	}
	return c.tally
}

// arrivals lets requests become due at the rate.
func (c *crowd) arrivals(ctx context.Context) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	defer close(c.due)
	for n := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for ; ; n++ {
			at := c.begin.Add(time.Duration(float64(n) / c.spec.Rate * float64(time.Second)))
			if time.Until(at) > 0 {
				break
			}
			select {
			case c.due <- at:
			default:
				c.mu.Lock()
				c.tally.Unsent++
				c.mu.Unlock()
			}
		}
	}
}

// connection sends one request after the other.
func (c *crowd) connection(ctx context.Context, n int) {
	req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(res)
	r := rand.New(rand.NewPCG(uint64(n), 7)) //nolint:gosec // seeded on purpose
	var zipf *rand.Zipf
	if c.spec.Tenants > 0 {
		zipf = rand.NewZipf(r, 1.1, 1, uint64(c.spec.Tenants-1))
	}
	var body []byte
	for i := n; ctx.Err() == nil; i++ {
		start := time.Now()
		if c.spec.Rate > 0 {
			at, ok := <-c.due
			if !ok {
				return
			}
			start = at
		}
		url := c.spec.URL
		if zipf != nil {
			url = fmt.Sprintf("%s?t=t%05d", url, zipf.Uint64())
		}
		req.Reset()
		req.SetRequestURI(url)
		req.Header.SetMethod(fasthttp.MethodPost)
		req.Header.SetContentType("application/json")
		if c.spec.Kind == kindPacked {
			req.Header.SetContentEncoding("gzip")
			req.SetBodyRaw(c.bodies[0])
		} else {
			body = append(body[:0], c.bodies[i%len(c.bodies)]...)
			renumber(body, &c.serial)
			req.SetBodyRaw(body)
		}
		err := c.client.Do(req, res)
		c.note(start, res.StatusCode(), err)
	}
}

func (c *crowd) note(start time.Time, status int, err error) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tally.Sent++
	switch {
	case err != nil:
		c.tally.Failed++
	case status == fasthttp.StatusAccepted || status == fasthttp.StatusOK:
		c.tally.Taken++
		c.took = append(c.took, now.Sub(start))
		if s := int(now.Sub(c.begin).Seconds()); s < len(c.tally.EachSecond) {
			c.tally.EachSecond[s]++
		}
	default:
		c.tally.Refused++
	}
}

const (
	kindPacked = "packed"
	kindDrip   = "drip"
)

// packed is a gzip body of many events.
func packed() []byte {
	r := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // seeded on purpose
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(`{"events":[`)) // a buffer takes everything
	for i := range packedEvents {
		if i > 0 {
			_, _ = z.Write([]byte(","))
		}
		e := event(r, i)
		_, _ = z.Write([]byte("{"))
		_, _ = z.Write(e[bytes.IndexByte(e, ',')+1:]) // without its messageId
	}
	_, _ = z.Write([]byte(`]}`))
	_ = z.Close()
	return b.Bytes()
}

// drip opens connections that send a byte of a request now and then, and opens
// another when one is closed.
func drip(ctx context.Context, s spec) tally {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(s.Seconds*float64(time.Second)))
	defer cancel()
	var open, failed atomic.Int64
	var wg sync.WaitGroup
	var d net.Dialer
	request := "POST /e?t=slow HTTP/1.1\r\nHost: g\r\nContent-Length: 5000\r\n\r\n"
	for n := range s.Conns {
		wg.Go(func() {
			for first := true; ctx.Err() == nil; first = false {
				if first {
					pause(ctx, time.Duration(n)*time.Second/time.Duration(s.Conns))
				}
				conn, err := d.DialContext(ctx, "tcp", s.URL)
				if err != nil {
					failed.Add(1)
					pause(ctx, time.Second)
					continue
				}
				open.Add(1)
				half := n % len(request) // some stop in the middle of the headers
				if n%2 == 0 {
					half = len(request)
				}
				for _, err = io.WriteString(conn, request[:half]); err == nil && ctx.Err() == nil; _, err = io.WriteString(conn, "x") {
					pause(ctx, time.Second)
				}
				_ = conn.Close()
			}
		})
	}
	wg.Wait()
	return tally{Sent: open.Load(), Failed: failed.Load(), Seconds: s.Seconds}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
