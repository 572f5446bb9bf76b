package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"
)

// Shape of the overload.
const (
	overFor      = 2 * time.Minute
	overload     = 10    // times the peak
	overConns    = 3_000 // of the clients of an overload
	peakPart     = 4     // the peak is measured for such a part of the overload's time, before and after
	probeRate    = 20
	probeSeconds = 12
	recoverIn    = 10 * time.Second
	memoryEvery  = time.Second
)

// overloadCase is one overload.
type overloadCase struct {
	name      string
	kind      string
	events    float64 // of a request
	peakConns int
	polite    bool
}

// overloads measures what the gateway serves of ten times as much as it can.
//
// Gateway and clients have half of the processors each: on the same ones the
// figure would tell what the clients leave, for sending ten times as much costs
// them as much as serving it costs the gateway. The peak is what as many
// connections as keep the gateway busy are served, one request after the other,
// by the same clients; it is measured before and after, long enough for the
// lakehouse's work to be in it as it is in the overload.
//
// The offered load is ten times the peak on a schedule, whatever the answers say.
// An arrival whose connection still waits for an answer is not sent, as a browser
// or SDK with one request under way does not; it counts as offered. Ours, Segment's
// and RudderStack's SDKs wait when they are told to (polite); the others send
// again at once, over thousands of connections.
func overloads(d time.Duration) func(ctx context.Context, w io.Writer, bin, dir string) error {
	return func(ctx context.Context, w io.Writer, bin, dir string) error {
		on, clients := halves()
		fmt.Fprintf(w, "overload, %d times the peak for %s over %d connections; the gateway has %d processors of its own, its clients %d (0: they share all)\n",
			overload, d, overConns, len(on), len(clients))
		for i, c := range []overloadCase{
			{"gzip bodies of 500 events, clients that never slow down", kindPacked, packedEvents, 64, false},
			{"the same, clients that heed Retry-After", kindPacked, packedEvents, 64, true},
			{"single events, clients that never slow down", "single", 1, 512, false},
			{"the same, clients that heed Retry-After", "single", 1, 512, true},
		} {
			g, err := openTenantsOn(ctx, on, bin, filepath.Join(dir, fmt.Sprint(i)))
			if err != nil {
				return err
			}
			if err := c.measure(ctx, w, g, clients, d); err != nil {
				_ = g.stop()
				return err
			}
			if err := g.stop(); err != nil {
				return err
			}
		}
		return nil
	}
}

// phase is what clients saw and what it cost.
type phase struct {
	tally
	gateway float64 // processors it had, on average
}

func (c overloadCase) measure(ctx context.Context, w io.Writer, g *process, on processors, d time.Duration) error {
	run := func(s spec) (phase, error) {
		s.Processors = on
		before := g.cpu()
		t, err := run1(ctx, s)
		return phase{t, (g.cpu() - before).Seconds() / t.Seconds}, err
	}
	url := "http://" + g.addr + "/e?t=crowd"
	ask := spec{URL: "http://" + g.addr + "/e?t=probe", Kind: "single", Conns: 32, Rate: probeRate, Seconds: probeSeconds}
	full := spec{URL: url, Kind: c.kind, Conns: c.peakConns, Seconds: d.Seconds() / peakPart}
	calm, err := run(ask)
	if err != nil {
		return err
	}
	before, err := run(full)
	if err != nil {
		return err
	}
	memory := watch(ctx, g)
	over, err := run(spec{URL: url, Kind: c.kind, Conns: overConns, Rate: overload * before.rate(), Polite: c.polite, Seconds: d.Seconds()})
	if err != nil {
		return err
	}
	used := memory()
	probed, err := run(ask)
	if err != nil {
		return err
	}
	after, err := run(full)
	if err != nil {
		return err
	}
	peak := (before.rate() + after.rate()) / 2
	fmt.Fprintf(w, "  %s\n", c.name)
	fmt.Fprintf(w, "    peak %.0f and %.0f requests/s before and after (%.0f events/s), p99 %s; the gateway used %.2f and %.2f processors\n",
		before.rate(), after.rate(), peak*c.events, before.P99.Round(time.Millisecond), before.gateway, after.gateway)
	offered := float64(over.Sent+over.Unsent+over.Held) / over.Seconds
	fmt.Fprintf(w, "    offered %.0f requests/s, %.1f times that: %d sent, of which %d taken, %d refused, %d failed; %d arrivals behind an answer that was still awaited, %d of clients that waited as told\n",
		offered, offered/peak, over.Sent, over.Taken, over.Refused, over.Failed, over.Unsent, over.Held)
	fmt.Fprintf(w, "    goodput %.0f requests/s  ratio to the peak %.2f (aim 0.8), for each second of the gateway's processor time %.2f; p50 of the taken %s, p99 %s; the gateway used %.2f processors, its clients %.2f\n",
		over.rate(), over.rate()/peak, over.rate()/over.gateway*2/(before.rate()/before.gateway+after.rate()/after.gateway),
		over.P50.Round(time.Millisecond), over.P99.Round(time.Millisecond), over.gateway, over.Work.Seconds()/over.Seconds)
	if n := len(used); n >= 4 {
		half := used[n/4:]
		fmt.Fprintf(w, "    memory from the first quarter on: %d to %d MB, at the end %d MB\n", slices.Min(half)>>20, slices.Max(half)>>20, used[n-1]>>20)
	}
	fmt.Fprintf(w, "    probe of %d requests/s: p99 %.0f ms before, %.0f ms in the %d s behind the overload; every second took %v  (aim: recovered in %s)\n",
		probeRate, ms(calm.P99), ms(probed.P99), probeSeconds, probed.EachSecond, recoverIn)
	return nil
}

// watch samples a process's memory until the returned function is called.
func watch(ctx context.Context, p *process) (stop func() []int64) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan []int64)
	go func() {
		var used []int64
		for ctx.Err() == nil {
			now, _ := p.memory()
			used = append(used, now)
			pause(ctx, memoryEvery)
		}
		done <- used
	}()
	return func() []int64 { cancel(); return <-done }
}
