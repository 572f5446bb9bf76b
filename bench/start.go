package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/dedupe"
	"github.com/headlessly/headlessly/collector/eventlog"
)

// Shape of the start.
const (
	startBytes = 5 << 30
	startBatch = 1_000 // records an append
)

// startSize is startBytes, or what HEADLESSLY_BENCH_LOG_GB says.
func startSize() int64 {
	if gb, err := strconv.ParseFloat(os.Getenv("HEADLESSLY_BENCH_LOG_GB"), 64); err == nil {
		return int64(gb * (1 << 30))
	}
	return startBytes
}

// startup measures how long the gateway takes to be ready on a large log:
// closed cleanly, and after it was killed.
func startup(ctx context.Context, w io.Writer, bin, dir string) error {
	began := time.Now()
	stored, err := fill(ctx, filepath.Join(dir, "data"))
	if err != nil {
		return fmt.Errorf("fill the log: %w", err)
	}
	fmt.Fprintf(w, "start with a log of %.1f GB (written in %s)\n", float64(stored)/(1<<30), time.Since(began).Round(time.Second))
	for _, how := range []string{"first, closed cleanly", "killed", "killed again"} {
		began := time.Now()
		g, err := startGateway(ctx, bin, dir)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "  %-22s ready in %.1f s (aim 5)\n", how, time.Since(began).Seconds())
		pause(ctx, 3*time.Second) // the readers have begun to work
		if err := g.cmd.Process.Kill(); err != nil {
			return err
		}
		_ = g.cmd.Wait()
	}
	return nil
}

// fill writes events to a log until it is large.
func fill(ctx context.Context, dir string) (stored int64, err error) {
	cfg := eventlog.DefaultConfig(filepath.Join(dir, "log"))
	cfg.CompressOver = 0
	l, err := eventlog.Open(ctx, cfg)
	if err != nil {
		return 0, err
	}
	r := rand.New(rand.NewPCG(7, 8)) //nolint:gosec // seeded on purpose
	records := make([]headlessly.Record, startBatch)
	for n := 0; stored < startSize(); {
		for i := range records {
			now := time.Now().UnixMicro()
			e := headlessly.Event{
				Tenant: "default", Type: "track", Event: "Product Viewed", MessageID: fmt.Sprintf("%08x-0000-7000-8000-%012x", r.Uint32(), n), AnonymousID: fmt.Sprintf("anon-%d", n%100_000),
				ReceivedAt: now, Timestamp: now, URL: fmt.Sprintf("https://shop.example/products/%d", n), Properties: fmt.Sprintf(`{"note":"%0400x"}`, r.Uint64()),
			}
			data, err := e.AppendBinary(nil)
			if err != nil {
				return stored, err
			}
			records[i] = headlessly.Record{Kind: headlessly.RecordEvent, Data: data}
			stored += int64(len(data))
			n++
		}
		if _, err := l.Append(ctx, records...); err != nil {
			return stored, err
		}
	}
	// The index of message ids follows the log, as it does beside a gateway.
	ids, err := dedupe.Open(ctx, dedupe.Default(filepath.Join(dir, "dedupe"), l))
	if err != nil {
		return stored, err
	}
	return stored, errors.Join(ids.Close(ctx), l.Close(ctx))
}
