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
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"
)

// spec is what a client process does. Clients are processes of their own, so
// that a crowd and whoever is measured beside it do not share a scheduler.
type spec struct {
	URL     string
	Kind    string  // of bodies: single, batch, packed, drip
	Tenants int     // spreads requests over so many by a Zipf law; 0 leaves the URL alone
	Conns   int     // connections, at most
	Rate    float64 // requests a second whatever the answers say; 0 sends after each answer
	Polite  bool    // who is refused waits as long as Retry-After says, and up to half as long again
	Seconds float64

	Processors processors `json:"-"` // where the process may run; everywhere without
}

// packedEvents is how many events a packed (gzip) body has. They have no
// messageId, so each is new; the gateway's work is a hundred times the client's.
const packedEvents = 500

// tally is what a client process saw.
type tally struct {
	Sent, Taken, Refused, Failed int64
	Unsent                       int64 // arrivals whose connection still waited for an answer
	Held                         int64 // arrivals while their client waited as it was told to
	Seconds                      float64
	Work                         time.Duration // processor time of the clients
	P50, P99                     time.Duration // of the taken, from when they were due
	EachSecond                   []int64       // taken, by second
	Slowest                      []time.Duration
}

func (t tally) rate() float64 { return float64(t.Taken) / t.Seconds }

// clients starts a client process, on the processors of the clients; wait gives
// its tally.
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
	if err := s.Processors.run(cmd.Start); err != nil {
		return nil, err
	}
	return func() (t tally, err error) {
		if err := cmd.Wait(); err != nil {
			return t, fmt.Errorf("client: %w", err)
		}
		err = json.Unmarshal(out.Bytes(), &t)
		t.Work = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		return t, err
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
