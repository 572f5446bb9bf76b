package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Shape of the crowds.
const (
	zipfTenants  = 10_000
	zipfRounds   = 3
	slowConns    = 5_000
	slowSeconds  = 10
	honestRate   = 200 // requests a second beside the slow ones
	crowdSeconds = 5
)

// run1 runs one client process to its end.
func run1(ctx context.Context, s spec) (tally, error) {
	wait, err := clients(ctx, s)
	if err != nil {
		return tally{}, err
	}
	return wait()
}

// zipf compares many tenants with one. Events go to the gateway by turns, so
// that both see the same machine.
func zipf(ctx context.Context, w io.Writer, bin, dir string) error {
	g, err := openTenants(ctx, bin, dir)
	if err != nil {
		return err
	}
	defer g.stop() //nolint:errcheck // stopped below, this is for errors on the way
	fmt.Fprintf(w, "zipf, %d tenants by a Zipf law (s=1.1) against one, %d connections, %d s a round, median of %d rounds\n", zipfTenants, connections, crowdSeconds, zipfRounds)
	for _, kind := range []struct {
		name   string
		events float64
	}{{"single", 1}, {"batch", 10}} {
		var one, many, ratios []float64
		for range zipfRounds {
			s := spec{Kind: kind.name, Conns: connections, Seconds: crowdSeconds}
			s.URL = "http://" + g.addr + "/e?t=one"
			a, err := run1(ctx, s)
			if err != nil {
				return err
			}
			s.URL, s.Tenants = "http://"+g.addr+"/e", zipfTenants
			b, err := run1(ctx, s)
			if err != nil {
				return err
			}
			if a.Failed+b.Failed+b.Refused > 0 {
				fmt.Fprintf(w, "  failed: %d and %d, refused %d and %d\n", a.Failed, b.Failed, a.Refused, b.Refused)
			}
			one, many, ratios = append(one, a.rate()*kind.events), append(many, b.rate()*kind.events), append(ratios, b.rate()/a.rate())
		}
		fmt.Fprintf(w, "  %-7s one tenant %8.0f events/s, %d tenants %8.0f events/s  ratio %.2f (aim 0.9)\n", kind.name, median(one), zipfTenants, median(many), median(ratios))
	}
	return g.stop()
}

// slow compares honest clients' latency with and without thousands of
// connections that send a byte a second.
func slow(ctx context.Context, w io.Writer, bin, dir string) error {
	g, err := openTenants(ctx, bin, dir)
	if err != nil {
		return err
	}
	defer g.stop() //nolint:errcheck // stopped below, this is for errors on the way
	honest := spec{URL: "http://" + g.addr + "/e?t=honest", Kind: "single", Conns: 64, Rate: honestRate, Seconds: slowSeconds}
	fmt.Fprintf(w, "slow, %d honest requests/s beside %d connections that send a byte a second, %d s a round, median of %d rounds\n", honestRate, slowConns, slowSeconds, zipfRounds)
	var without, with, ratios []float64
	var opened, before, beside int64
	for range zipfRounds {
		a, err := run1(ctx, honest)
		if err != nil {
			return err
		}
		before, _ = g.memory()
		wait, err := clients(ctx, spec{URL: g.addr, Kind: kindDrip, Conns: slowConns, Seconds: slowSeconds + 4})
		if err != nil {
			return err
		}
		pause(ctx, 3*time.Second) // until they are open
		b, err := run1(ctx, honest)
		if err != nil {
			return err
		}
		beside, _ = g.memory()
		d, err := wait()
		if err != nil {
			return err
		}
		opened = d.Sent
		if n := b.Refused + b.Failed; n > 0 {
			fmt.Fprintf(w, "  %d of %d honest requests were not taken\n", n, b.Sent)
		}
		without, with, ratios = append(without, ms(a.P99)), append(with, ms(b.P99)), append(ratios, ms(b.P99)/ms(a.P99))
	}
	fmt.Fprintf(w, "  honest p99: %.1f ms without, %.1f ms beside %d slow connections  ratio %.2f (aim 2); memory %d MB and %d MB\n",
		median(without), median(with), opened, median(ratios), before>>20, beside>>20)
	return g.stop()
}
