package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// load is what a load run did.
type load struct {
	Requests, Failures int64
	Seconds            float64
	P50, P99           time.Duration
}

// perSecond is requests answered as wished each second.
func (l load) perSecond() float64 { return float64(l.Requests-l.Failures) / l.Seconds }

// renumber gives every event of a body a message id of its own, by the last
// twelve digits.
func renumber(body []byte, serial *atomic.Uint64) {
	const key = `"messageId":"`
	for at := 0; ; {
		i := bytes.Index(body[at:], []byte(key))
		if i < 0 {
			return
		}
		at += i + len(key) + len("00000000-0000-7000-8000-")
		n := serial.Add(1)
		for d := 11; d >= 0; d-- {
			body[at+d] = "0123456789abcdef"[n&15]
			n >>= 4
		}
	}
}

// drive sends bodies to url over conns connections for d and expects status.
func drive(ctx context.Context, url string, bodies [][]byte, conns int, d time.Duration, status int) (load, error) {
	client := &fasthttp.Client{MaxConnsPerHost: conns, NoDefaultUserAgentHeader: true, ReadTimeout: 30 * time.Second, MaxIdemponentCallAttempts: 1}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var l load
	var serial atomic.Uint64
	serial.Store(uint64(time.Now().UnixNano()))
	var firstErr atomic.Value
	var mu sync.Mutex
	var all []time.Duration
	var wg sync.WaitGroup
	begin := time.Now()
	for c := range conns {
		wg.Go(func() {
			req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
			defer fasthttp.ReleaseRequest(req)
			defer fasthttp.ReleaseResponse(res)
			var took []time.Duration
			var body []byte
			for i := c; ctx.Err() == nil; i++ {
				req.Reset()
				req.SetRequestURI(url)
				req.Header.SetMethod(fasthttp.MethodPost)
				req.Header.SetContentType("application/json")
				body = append(body[:0], bodies[i%len(bodies)]...)
				renumber(body, &serial)
				req.SetBodyRaw(body)
				start := time.Now()
				err := client.Do(req, res)
				took = append(took, time.Since(start))
				atomic.AddInt64(&l.Requests, 1)
				if err == nil && res.StatusCode() != status {
					err = fmt.Errorf("status %d: %s", res.StatusCode(), res.Body())
				}
				if err != nil {
					atomic.AddInt64(&l.Failures, 1)
					firstErr.CompareAndSwap(nil, err)
				}
			}
			mu.Lock()
			all = append(all, took...)
			mu.Unlock()
		})
	}
	wg.Wait()
	l.Seconds = time.Since(begin).Seconds()
	if len(all) == 0 {
		return l, errors.New("no request was answered")
	}
	slices.Sort(all)
	l.P50, l.P99 = all[len(all)/2], all[len(all)*99/100]
	if err, ok := firstErr.Load().(error); ok && l.Failures*100 > l.Requests {
		return l, fmt.Errorf("%d of %d requests failed, the first: %w", l.Failures, l.Requests, err)
	}
	return l, nil
}
