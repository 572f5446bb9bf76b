package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

// Shape of the overload.
const (
	peakSeconds  = 15
	peakConns    = 64
	overload     = 10
	overSeconds  = 120
	overConns    = 3_000 // of the clients that do not slow down
	probeRate    = 20
	probeSeconds = 20
	recoverIn    = 10 * time.Second
	memoryEvery  = time.Second
)

// overloaded sends ten times what the gateway can take, for two minutes, from
// clients that do not wait for answers. Bodies are packed, so that the clients
// leave the machine to the gateway. Goodput is what was taken; then a probe
// tells when latency is again what it was.
func overloaded(ctx context.Context, w io.Writer, bin, dir string) error {
	g, err := openTenants(ctx, bin, dir)
	if err != nil {
		return err
	}
	defer g.stop() //nolint:errcheck // stopped below, this is for errors on the way
	url := "http://" + g.addr + "/e?t=crowd"
	probe := spec{URL: "http://" + g.addr + "/e?t=probe", Kind: "single", Conns: 32, Rate: probeRate, Seconds: probeSeconds}
	calm, err := run1(ctx, probe)
	if err != nil {
		return err
	}
	peak, err := run1(ctx, spec{URL: url, Kind: kindPacked, Conns: peakConns, Seconds: peakSeconds})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "overload, %d times the peak for %d s, gzip bodies of %d events, clients that never slow down\n", overload, overSeconds, packedEvents)
	fmt.Fprintf(w, "  peak with %d connections: %.0f requests/s (%.0f events/s), p99 %s\n", peakConns, peak.rate(), peak.rate()*packedEvents, peak.P99.Round(time.Millisecond))
	memory := watch(ctx, g)
	crowd, err := run1(ctx, spec{URL: url, Kind: kindPacked, Conns: overConns, Rate: overload * peak.rate(), Seconds: overSeconds})
	if err != nil {
		return err
	}
	used := memory()
	after, err := run1(ctx, probe)
	if err != nil {
		return err
	}
	offered := float64(crowd.Sent+crowd.Unsent) / crowd.Seconds
	fmt.Fprintf(w, "  offered %.0f requests/s (%.1f times the peak; %d of %d found no free connection), refused %d, failed %d\n",
		offered, offered/peak.rate(), crowd.Unsent, crowd.Sent+crowd.Unsent, crowd.Refused, crowd.Failed)
	fmt.Fprintf(w, "  goodput %.0f requests/s  ratio to the peak %.2f (aim 0.8), p99 of the taken %s\n", crowd.rate(), crowd.rate()/peak.rate(), crowd.P99.Round(time.Millisecond))
	if n := len(used); n >= 4 {
		half := used[n/4:]
		fmt.Fprintf(w, "  memory from the first quarter on: %d to %d MB, at the end %d MB\n", slices.Min(half)>>20, slices.Max(half)>>20, used[n-1]>>20)
	}
	fmt.Fprintf(w, "  probe of %d requests/s: p99 %.0f ms before, %.0f ms in the %d s behind the overload; every second took %v  (aim: recovered in %s)\n",
		probeRate, ms(calm.P99), ms(after.P99), probeSeconds, after.EachSecond, recoverIn)
	return g.stop()
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
