package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/cmd/gateway"
)

const (
	// progressAfter keeps quick queries quiet.
	progressAfter = 700 * time.Millisecond
	progressEvery = 200 * time.Millisecond
)

func sqlCommand(stdio IO) *cobra.Command {
	var t target
	var q control.Query
	var all bool
	var timeout, every time.Duration
	var chart string
	var parameters []string
	c := &cobra.Command{
		Use:   "sql [QUERY]",
		Short: "Ask SQL of the tenant's own data",
		Long: `Ask SQL (DuckDB's dialect, one SELECT) of the tenant's own data, through the
running gateway or, when none runs, straight over the data folder.

Tables: events, rejected. Views: pageviews, sessions, errors, vitals, identities.
Without QUERY the text is read from standard input; on a terminal a prompt opens,
with history, completion and \\d.`,
		Example: `  headlessly sql "select event, count(*) from events group by 1 order by 2 desc"
  headlessly sql --chart bar "select event, count(*) from events group by 1 order by 2 desc limit 10"
  headlessly sql --chart line --watch 5s "select date_trunc('minute', timestamp), count(*) from events group by 1 order by 1"
  headlessly sql --param 'Order Completed' "select count(*) from events where event = ?"
  headlessly sql --as-of 2026-01-31 "select count(*) from events"
  headlessly sql --format csv "select * from errors" > errors.csv
  headlessly sql --format parquet "select * from events" > events.parquet`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
			if chart != "" && chart != chartBar && chart != chartLine {
				return usageError{fmt.Errorf("--chart %s: known are bar and line", chart)}
			}
			if _, err := q.Moment(); err != nil {
				return usageError{fmt.Errorf("--as-of: %w", err)}
			}
			for _, p := range parameters {
				q.Parameters = append(q.Parameters, literal(p))
			}
			if f, ok := stdio.In.(*os.File); len(a) == 0 && ok && terminal(f) > 0 && terminal(stdio.Out) > 0 {
				if err := t.resolve(); err != nil {
					return err
				}
				if all {
					t.everyTenant()
				}
				q.TimeoutMs = timeout.Milliseconds()
				return runPrompt(c.Context(), &t, q, chart, stdio)
			}
			if len(a) == 1 {
				q.SQL = a[0]
			} else {
				raw, err := io.ReadAll(io.LimitReader(stdio.In, 1<<20))
				if err != nil {
					return err
				}
				q.SQL = string(raw)
			}
			if strings.TrimSpace(q.SQL) == "" {
				return usageError{errors.New(`no query: headlessly sql "select count(*) from events"`)}
			}
			if !control.KnownFormat(q.Format) {
				return usageError{fmt.Errorf("--format %s: known are %s", q.Format, control.Formats)}
			}
			if (q.Format == "parquet" || q.Format == "arrow") && terminal(stdio.Out) > 0 {
				return usageError{fmt.Errorf("--format %s is binary: redirect it into a file", q.Format)}
			}
			if err := t.resolve(); err != nil {
				return err
			}
			q.TimeoutMs = timeout.Milliseconds()
			if all {
				t.everyTenant()
			}
			if every > 0 {
				return watchSQL(c.Context(), &t, q, chart, every, stdio)
			}
			return answer(c.Context(), &t, q, chart, stdio)
		},
	}
	t.flags(c)
	c.Flags().StringVar(&q.Format, "format", "table", control.Formats)
	c.Flags().Int64Var(&q.MaxRows, "max-rows", 0, "most rows of the answer")
	c.Flags().DurationVar(&timeout, "timeout", 0, "give up after this long")
	c.Flags().StringArrayVar(&parameters, "param", nil, "value of a parameter (? or $1 in QUERY), once for each; a number, true, false and null are taken as such")
	c.Flags().StringVar(&q.AsOf, "as-of", "", "read the tables as they were at this time")
	c.Flags().StringVar(&chart, "chart", "", "draw the answer: bar or line (the first column of numbers, by the first other one)")
	c.Flags().DurationVar(&every, "watch", 0, "ask again and again, this often (2s), until Ctrl-C")
	c.Flags().BoolVar(&all, "all-tenants", false, "ask over every tenant (admin key, or the data folder's owner)")
	return c
}

// watchSQL asks a query again and again.
func watchSQL(ctx context.Context, t *target, q control.Query, chart string, every time.Duration, stdio IO) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if terminal(stdio.Out) > 0 {
			_, _ = fmt.Fprint(stdio.Out, "\x1b[H\x1b[2J") // a clean screen
		}
		if err := answer(ctx, t, q, chart, stdio); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// everyTenant turns the target into the admin's view over all tenants.
func (t *target) everyTenant() {
	t.tenant = ""
	if c, err := gateway.ReadCredentials(t.data); err == nil && !strings.HasPrefix(t.key, "hly_admin_") {
		t.key = c.AdminKey
	}
}

// runSQL asks the running gateway, or the folder when none runs.
func runSQL(ctx context.Context, t *target, q control.Query, stdio IO) error {
	bar := newProgress(stdio.Err)
	defer bar.clear()
	q.ID = uuid.NewString()
	watch, stop := context.WithCancel(ctx)
	defer stop()
	if bar.width > 0 {
		go bar.poll(watch, t, q.ID)
	}
	raw, err := json.Marshal(q)
	if err != nil {
		return err
	}
	res, err := t.respond(ctx, http.MethodPost, "sql", "application/json", bytes.NewReader(raw), nil) //nolint:bodyclose // below
	stop()
	switch {
	case err == nil:
		defer res.Body.Close() //nolint:errcheck // copied below
		bar.clear()
		if _, err = io.Copy(stdio.Out, res.Body); err == nil && res.Header.Get(control.HeaderTruncated) != "" {
			tellCut(q, stdio)
		}
		return err
	case !errors.Is(err, errNotRunning) || t.data == "":
		return err
	}
	cut := false
	logger := slog.New(slog.NewTextHandler(stdio.Err, &slog.HandlerOptions{Level: slog.LevelError}))
	q.Cut = func() { cut = true }
	direct := gateway.DirectSQL(ctx, t.data, t.tenant, q, bar.show, logger, stdio.Out)
	var bad *control.QueryError
	if direct != nil && !errors.As(direct, &bad) {
		return fmt.Errorf("%w\nand the data folder itself: %w", err, direct)
	}
	if direct == nil && cut {
		tellCut(q, stdio)
	}
	return direct
}

// tellCut says that an answer lacks rows; a table says it itself.
func tellCut(q control.Query, stdio IO) {
	if q.Format == "table" {
		return
	}
	_, _ = fmt.Fprintln(stdio.Err, "the answer has more rows than one may have: some were left out; ask for parts of it")
}
