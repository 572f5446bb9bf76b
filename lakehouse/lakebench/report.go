//go:build cgo

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// memoryAim is the most that the writer may take with 50 tenants.
const memoryAim = 512 << 20

// way is one way of writing the rows.
type way struct {
	name string
	task
	costs []cost
}

// writers measures every way of writing r, by turns, and returns the folder of
// the lake that the last round left.
func writers(ctx context.Context, out io.Writer, r *rows, rounds int, dir, profile string) (lake string, err error) {
	ways := []*way{
		{name: "log to Iceberg", task: task{Do: "iceberg", Rows: r.path}},
		{name: "plain pqarrow, a file a tenant, one core", task: task{Do: "pqarrow"}},
		{name: "DuckDB COPY to one file, unsorted", task: task{Do: "duckdb", Query: "FROM rows", Options: ", COMPRESSION zstd"}},
		{name: "DuckDB COPY, sorted as ours, a folder a tenant", task: task{Do: "duckdb", Query: "FROM rows ORDER BY tenant, event, timestamp, log_seq", Options: ", COMPRESSION zstd, PARTITION_BY (tenant), WRITE_PARTITION_COLUMNS true"}},
	}
	var files []string
	for round := range rounds {
		for i, w := range ways {
			w.Dir = filepath.Join(dir, fmt.Sprintf("%d-%d", round, i))
			w.Count, w.Tenants, w.Files = r.count, r.tenants, files
			if err := os.MkdirAll(w.Dir, 0o700); err != nil {
				return "", err
			}
			if w.Do == "iceberg" {
				w.Profile = profile
			}
			c, err := spawn(ctx, w.task)
			if err != nil {
				return "", err
			}
			w.costs = append(w.costs, c)
			if w.Do == "iceberg" {
				if lake != "" {
					err = os.RemoveAll(lake)
				}
				files, lake = c.Files, w.Dir
			} else {
				err = os.RemoveAll(w.Dir)
			}
			if err != nil {
				return "", err
			}
		}
	}
	fmt.Fprintf(out, "%d rows of %d tenants into Parquet, median of %d\n", r.count, r.tenants, rounds)
	fmt.Fprintf(out, "  %-48s %10s %7s %10s %7s %8s\n", "", "rows/s", "ratio", "CPU/M rows", "B/row", "peak MB")
	ours := median(ways[0].costs, func(c cost) time.Duration { return c.Wall })
	for _, w := range ways {
		wall := median(w.costs, func(c cost) time.Duration { return c.Wall })
		cpu := median(w.costs, func(c cost) time.Duration { return c.CPU })
		peak := median(w.costs, func(c cost) int64 { return c.Peak })
		fmt.Fprintf(out, "  %-48s %10.0f %7.2f %9.2fs %7.1f %8d\n", w.name, float64(r.count)/wall.Seconds(), float64(wall)/float64(ours),
			cpu.Seconds()*1e6/float64(r.count), float64(w.costs[0].Bytes)/float64(r.count), peak>>20)
	}
	fmt.Fprintf(out, "  %-48s %10s %7s %10s %7.1f\n", "the same events as JSON lines, gzip", "", "", "", float64(r.json)/float64(r.count))
	fmt.Fprintf(out, "  (ratio: ours over theirs by the clock, aim 1.0 against COPY; memory of the writer, aim %d MB)\n", memoryAim>>20)
	return lake, nil
}

// median is the middle one of what get gives.
func median[T any, N int64 | time.Duration](all []T, get func(T) N) N {
	values := make([]N, len(all))
	for i, one := range all {
		values[i] = get(one)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
