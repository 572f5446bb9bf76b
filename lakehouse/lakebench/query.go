//go:build cgo

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/lakehouse"
)

// asked are the queries that are measured, each over the events of one tenant
// of many, or of the only one.
var asked = []struct{ name, sql string }{ //nolint:gochecknoglobals // a constant
	{"nothing (SELECT 1)", "SELECT 1"},
	{"count by event", "SELECT event, count(*) AS n FROM events GROUP BY 1 ORDER BY 2 DESC"},
	{"top pages", "SELECT path, count(*) AS n FROM events WHERE type = 'page' GROUP BY 1 ORDER BY 2 DESC LIMIT 20"},
	{"a minute of time", "SELECT type, count(*) AS n, count(DISTINCT session_id) AS s FROM events WHERE timestamp >= TIMESTAMPTZ '2025-10-09 12:01:00Z' AND timestamp < TIMESTAMPTZ '2025-10-09 12:02:00Z' GROUP BY 1"},
	{"distinct users by day", "SELECT date_trunc('day', timestamp) AS day, count(DISTINCT coalesce(user_id, anonymous_id)) AS users FROM events GROUP BY 1 ORDER BY 1"},
	{"a property in JSON", "SELECT count(*) AS n, avg(CAST(properties->>'$.total' AS INTEGER)) AS total FROM events WHERE properties->>'$.coupon' = 'SPRING'"},
	{"funnel: viewed, then ordered", "SELECT count(DISTINCT v.anonymous_id) AS n FROM events v JOIN events o ON o.anonymous_id = v.anonymous_id AND o.timestamp > v.timestamp AND o.timestamp < v.timestamp + INTERVAL 1 MINUTE WHERE v.event = 'Product Viewed' AND o.event = 'Order Completed'"},
}

// queries measures the lake's SQL beside DuckDB in this process over the same
// files, by turns.
func queries(ctx context.Context, out io.Writer, dir string, tenants, rounds int) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cfg := lakehouse.Default(dir)
	cfg.Worker, cfg.SpareWorker = []string{self, lakehouse.WorkerArgument}, true // as the gateway has it
	lake, err := lakehouse.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lake.Close()) }()
	d, err := openDuck()
	if err != nil {
		return err
	}
	defer d.close()
	for _, tenant := range []string{"", "tenant-0"} {
		if tenants == 1 && tenant == "" {
			continue
		}
		files, err := filesOf(ctx, lake, tenant)
		if err != nil {
			return err
		}
		if err := d.exec("CREATE OR REPLACE VIEW events AS SELECT * FROM read_parquet(" + list(files) + ", hive_partitioning = false)"); err != nil {
			return err
		}
		whose := tenant
		if tenant == "" {
			whose = "all tenants"
		}
		fmt.Fprintf(out, "queries of %s, %d files, median of %d\n", whose, len(files), rounds)
		fmt.Fprintf(out, "  %-32s %10s %10s %7s %12s\n", "", "our SQL", "DuckDB", "ratio", "ours less")
		for _, q := range asked {
			var ours, theirs []time.Duration
			for range rounds {
				mine, n, err := timed(func() (int64, error) { return ask(ctx, lake, tenant, q.sql) })
				if err != nil {
					return fmt.Errorf("%s: %w", q.name, err)
				}
				direct, m, err := timed(func() (int64, error) { return d.count(q.sql) })
				if err != nil {
					return fmt.Errorf("%s: %w", q.name, err)
				}
				if n != m {
					return fmt.Errorf("%s: our SQL answers %d rows, DuckDB %d", q.name, n, m)
				}
				ours, theirs = append(ours, mine), append(theirs, direct)
			}
			a, b := median(ours, same), median(theirs, same)
			fmt.Fprintf(out, "  %-32s %8.1fms %8.1fms %7.2f %10.1fms\n", q.name, ms(a), ms(b), float64(a)/float64(b), ms(a-b))
		}
	}
	fmt.Fprintf(out, "  (aim of the ratio 1.15; ours holds planning, a process that is started and locked down, and the result as a file)\n")
	return nil
}

func same(d time.Duration) time.Duration { return d }

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func timed(f func() (int64, error)) (time.Duration, int64, error) {
	began := headlessly.SystemClock()
	n, err := f()
	return headlessly.SystemClock().Sub(began), n, err
}

func ask(ctx context.Context, lake *lakehouse.Lake, tenant, sql string) (int64, error) {
	rows, err := lake.Query(ctx, tenant, sql, lakehouse.QueryOptions{})
	if err != nil {
		return 0, err
	}
	return rows.Count, rows.Close()
}

// filesOf lists the files of a tenant's events, or of all.
func filesOf(ctx context.Context, lake *lakehouse.Lake, tenant string) (files []string, err error) {
	t, err := lake.Table(ctx, lakehouse.TableEvents)
	if err != nil {
		return nil, err
	}
	tasks, err := t.Scan().PlanFiles(ctx)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, task := range tasks {
		path := strings.TrimPrefix(task.File.FilePath(), "file://")
		if !seen[path] && (tenant == "" || strings.Contains(path, "/tenant="+tenant+"/")) {
			seen[path] = true
			files = append(files, path)
		}
	}
	return files, nil
}
