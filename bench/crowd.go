package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// crowd sends requests over many connections. It costs as little as it can, for
// it shares the machine with what it measures: a request is made beforehand, and
// takes one write and mostly one read.
type crowd struct {
	spec   spec
	addr   string
	target string // path and query
	bodies [][]byte
	serial atomic.Uint64
	begin  time.Time
	end    time.Time
}

func newCrowd(s spec) *crowd {
	c := &crowd{spec: s}
	rest, _ := strings.CutPrefix(s.URL, "http://")
	c.addr, c.target, _ = strings.Cut(rest, "/")
	c.target = "/" + c.target
	switch s.Kind {
	case "batch":
		c.bodies = batches(bodyPool)
	case kindPacked:
		c.bodies = [][]byte{packed()}
	default:
		c.bodies = singles(bodyPool)
	}
	c.serial.Store(uint64(time.Now().UnixNano()) ^ uint64(os.Getpid())<<44) //nolint:gosec // any number will do
	return c
}

func (c *crowd) run(ctx context.Context) tally {
	c.begin = time.Now()
	c.end = c.begin.Add(time.Duration(c.spec.Seconds * float64(time.Second)))
	ctx, cancel := context.WithDeadline(ctx, c.end)
	defer cancel()
	members := make([]*member, c.spec.Conns)
	var wg sync.WaitGroup
	for n := range members {
		m := &member{crowd: c, number: n, random: rand.New(rand.NewPCG(uint64(n), 7))} //nolint:gosec // seeded on purpose
		m.EachSecond = make([]int64, int(c.spec.Seconds)+1)
		if c.spec.Tenants > 0 {
			m.zipf = rand.NewZipf(m.random, 1.1, 1, uint64(c.spec.Tenants-1)) //nolint:gosec // a number of tenants
		}
		members[n] = m
		wg.Go(func() { m.run(ctx) })
	}
	wg.Wait()
	sum := tally{Seconds: time.Since(c.begin).Seconds(), EachSecond: make([]int64, int(c.spec.Seconds)+1)}
	var took []time.Duration
	for _, m := range members {
		sum.Sent += m.Sent
		sum.Taken += m.Taken
		sum.Refused += m.Refused
		sum.Failed += m.Failed
		sum.Unsent += m.Unsent
		sum.Held += m.Held
		took = append(took, m.took...)
		for s, n := range m.EachSecond {
			sum.EachSecond[s] += n
		}
	}
	slices.Sort(took)
	if n := len(took); n > 0 {
		sum.P50, sum.P99, sum.Slowest = took[n/2], took[n*99/100], took[max(0, n-5):]
	}
	return sum
}

// member is one connection of a crowd and who sends over it.
type member struct {
	tally

	crowd  *crowd
	number int
	random *rand.Rand
	zipf   *rand.Zipf
	took   []time.Duration
	caller caller
	heldTo time.Time // told to wait until then
}

func (m *member) run(ctx context.Context) {
	c := m.crowd
	m.caller = caller{addr: c.addr, until: c.end.Add(answerTimeout)}
	defer m.caller.close()
	for i, arrival := m.number, int64(0); ctx.Err() == nil; i++ {
		start := time.Now()
		if c.spec.Rate > 0 {
			start, arrival = m.due(ctx, arrival)
		} else {
			pause(ctx, time.Until(m.heldTo))
		}
		if ctx.Err() != nil {
			return
		}
		m.build(i)
		status, retry, err := m.caller.do(ctx)
		m.note(start, status, err)
		switch {
		case err != nil:
			pause(ctx, 100*time.Millisecond) // who cannot connect asks again a little later
		case c.spec.Polite && retry > 0:
			m.heldTo = time.Now().Add(retry + time.Duration(m.random.Int64N(int64(retry/2))))
		}
	}
}

// due waits for this connection's next arrival and gives when that was. An
// arrival is passed over once the next one is due as well.
func (m *member) due(ctx context.Context, arrival int64) (time.Time, int64) {
	c := m.crowd
	gap := time.Duration(float64(c.spec.Conns) / c.spec.Rate * float64(time.Second))
	at := c.begin.Add(time.Duration(float64(m.number)/c.spec.Rate*float64(time.Second)) + time.Duration(arrival)*gap)
	if held := m.heldTo.Sub(at); held > 0 {
		n := int64(held/gap) + 1
		m.Held += n
		arrival += n
		at = at.Add(time.Duration(n) * gap)
	}
	if late := time.Since(at); late > gap {
		n := int64(late / gap)
		m.Unsent += n
		arrival += n
		at = at.Add(time.Duration(n) * gap)
	}
	if left := time.Until(at); left > 0 {
		pause(ctx, left)
	}
	return at, arrival + 1
}

// build makes the next request, unless it is always the same.
func (m *member) build(i int) {
	c, r := m.crowd, &m.caller.request
	if len(*r) > 0 && c.spec.Kind == kindPacked && m.zipf == nil {
		return
	}
	target := c.target
	if m.zipf != nil {
		target = fmt.Sprintf("%s?t=t%05d", target, m.zipf.Uint64())
	}
	body, packing := c.bodies[i%len(c.bodies)], ""
	if c.spec.Kind == kindPacked {
		packing = "Content-Encoding: gzip\r\n"
	}
	*r = fmt.Appendf((*r)[:0], "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n", target, c.addr, packing, len(body))
	head := len(*r)
	*r = append(*r, body...)
	if c.spec.Kind != kindPacked {
		renumber((*r)[head:], &c.serial)
	}
}

func (m *member) note(start time.Time, status int, err error) {
	now := time.Now()
	m.Sent++
	switch {
	case err != nil:
		m.Failed++
	case status == 200 || status == 202:
		m.Taken++
		m.took = append(m.took, now.Sub(start))
		if s := int(now.Sub(m.crowd.begin).Seconds()); s < len(m.EachSecond) {
			m.EachSecond[s]++
		}
	default:
		m.Refused++
	}
}
