package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sort"
	"time"
)

// Shape of the ingest measurement.
const (
	connections = 512
	rounds      = 3 // gateway and echo by turns, the median counts
	roundTime   = 5 * time.Second
	bodyPool    = 2000
)

// ingest measures accepted events with an fsync before each answer, against a
// bare fasthttp echo of the same bodies with the same client, by turns.
func ingest(ctx context.Context, w io.Writer, bin, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	g, err := startGateway(ctx, bin, dir)
	if err != nil {
		return err
	}
	defer g.stop() //nolint:errcheck // stopped below, this is for errors on the way
	echo, err := startEcho(ctx)
	if err != nil {
		return err
	}
	defer echo.stop() //nolint:errcheck // see above
	fmt.Fprintf(w, "ingest, durability=fsync before 202, %d connections, %s a round, median of %d rounds\n", connections, roundTime, rounds)
	for _, kind := range []struct {
		name   string
		bodies [][]byte
		events float64
		aim    float64
	}{{"single events", singles(bodyPool), 1, 0.5}, {"batches of 10", batches(bodyPool), 10, 0.3}} {
		var ours, echoes, ratios []float64
		var last load
		var work, echoWork []float64 // µs of processor time a request
		for range rounds {
			before := echo.cpu()
			e, err := drive(ctx, "http://"+echo.addr+"/", kind.bodies, connections, roundTime, 200)
			if err != nil {
				return fmt.Errorf("echo: %w", err)
			}
			echoWork = append(echoWork, float64((echo.cpu()-before).Microseconds())/float64(e.Requests))
			before = g.cpu()
			o, err := drive(ctx, "http://"+g.addr+"/e?t=default", kind.bodies, connections, roundTime, 202)
			if err != nil {
				return fmt.Errorf("gateway: %w", err)
			}
			work = append(work, float64((g.cpu()-before).Microseconds())/float64(o.Requests))
			last = o
			ours, echoes, ratios = append(ours, o.perSecond()), append(echoes, e.perSecond()), append(ratios, o.perSecond()/e.perSecond())
		}
		fmt.Fprintf(w, "  %-14s %8.0f events/s (%6.0f requests/s, p50 %s, p99 %s)  echo %6.0f requests/s  ratio %.2f (aim %.1f)\n", kind.name,
			median(ours)*kind.events, median(ours), last.P50.Round(10*time.Microsecond), last.P99.Round(10*time.Microsecond), median(echoes), median(ratios), kind.aim)
		fmt.Fprintf(w, "                 processor time a request: gateway %.0f µs, readers of the log included; echo %.0f µs\n", median(work), median(echoWork))
	}
	now, peak := g.memory()
	fmt.Fprintf(w, "  memory after that load: %d MB resident, %d MB at its peak (aim 400)\n", now>>20, peak>>20)
	if err := echo.stop(); err != nil {
		return err
	}
	return g.stop()
}

func median(v []float64) float64 {
	sort.Float64s(v)
	return v[len(v)/2]
}
