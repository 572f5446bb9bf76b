package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Shape of the flood.
const (
	floodConns   = 256
	quietRate    = 100 // requests a second of the quiet tenant
	floodSeconds = 8
	floodRounds  = 3
)

// openTenants starts a gateway to which any tenant may send.
func openTenants(ctx context.Context, bin, dir string) (*process, error) {
	return openTenantsOn(ctx, nil, bin, dir)
}

// openTenantsOn is openTenants on some of the machine's processors.
func openTenantsOn(ctx context.Context, on processors, bin, dir string) (*process, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "bench.yaml")
	if err := os.WriteFile(file, []byte("tenancy: open\n"), 0o600); err != nil {
		return nil, err
	}
	return startGatewayOn(ctx, on, bin, dir, "--config", file)
}

// quiet measures a tenant that sends little, beside a crowd where there is one.
func quiet(ctx context.Context, url string, crowd *spec) (little, much tally, err error) {
	var wait func() (tally, error)
	if crowd != nil {
		if wait, err = clients(ctx, *crowd); err != nil {
			return little, much, err
		}
		pause(ctx, time.Second) // until all of them are there
	}
	q, err := clients(ctx, spec{URL: url, Kind: "single", Conns: 16, Rate: quietRate, Seconds: floodSeconds})
	if err != nil {
		return little, much, err
	}
	if little, err = q(); err != nil {
		return little, much, err
	}
	if wait != nil {
		much, err = wait()
	}
	return little, much, err
}

// flood measures what a tenant that sends little notices of one that floods
// the gateway. The yardstick is the same crowd at a server next to it: the
// machine is as busy, but nothing is shared with the gateway.
func flood(ctx context.Context, w io.Writer, bin, dir string) error {
	g, err := openTenants(ctx, bin, dir)
	if err != nil {
		return err
	}
	defer g.stop() //nolint:errcheck // stopped below, this is for errors on the way
	echo, err := startEcho(ctx)
	if err != nil {
		return err
	}
	defer echo.stop() //nolint:errcheck // see above
	url := "http://" + g.addr + "/e?t=quiet"
	fmt.Fprintf(w, "flood, a tenant with %d requests/s beside one with %d connections that never pause, %d s a round, median of %d rounds\n", quietRate, floodConns, floodSeconds, floodRounds)
	crowd := func(url string) *spec {
		return &spec{URL: url, Kind: "single", Conns: floodConns, Seconds: floodSeconds + 2}
	}
	var alone, beside, shared, ratios, load []float64
	for range floodRounds {
		a, _, err := quiet(ctx, url, nil)
		if err != nil {
			return err
		}
		b, _, err := quiet(ctx, url, crowd("http://"+echo.addr+"/"))
		if err != nil {
			return err
		}
		s, much, err := quiet(ctx, url, crowd("http://"+g.addr+"/e?t=flood"))
		if err != nil {
			return err
		}
		if s.Taken != s.Sent {
			fmt.Fprintf(w, "  %d of the quiet tenant's %d requests were not taken\n", s.Sent-s.Taken, s.Sent)
		}
		alone, beside, shared = append(alone, ms(a.P99)), append(beside, ms(b.P99)), append(shared, ms(s.P99))
		ratios, load = append(ratios, ms(s.P99)/ms(b.P99)), append(load, much.rate())
	}
	fmt.Fprintf(w, "  quiet tenant's p99: alone %.1f ms, flood at another server %.1f ms, flood at the gateway (%.0f events/s) %.1f ms  ratio %.2f (aim 2)\n",
		median(alone), median(beside), median(load), median(shared), median(ratios))
	if err := echo.stop(); err != nil {
		return err
	}
	return g.stop()
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
