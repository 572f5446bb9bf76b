package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
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
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "sql [QUERY]",
		Short: "Ask SQL of the tenant's own data",
		Long: `Ask SQL (DuckDB's dialect, one SELECT) of the tenant's own data, through the
running gateway or, when none runs, straight over the data folder.

Tables: events, rejected. Views: pageviews, sessions, errors, vitals, identities.
Without QUERY the text is read from standard input.`,
		Example: `  headlessly sql "select event, count(*) from events group by 1 order by 2 desc"
  headlessly sql --format csv "select * from errors" > errors.csv
  headlessly sql --format parquet "select * from events" > events.parquet`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, a []string) error {
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
			return runSQL(c.Context(), &t, q, stdio)
		},
	}
	t.flags(c)
	c.Flags().StringVar(&q.Format, "format", "table", control.Formats)
	c.Flags().Int64Var(&q.MaxRows, "max-rows", 0, "most rows of the answer")
	c.Flags().DurationVar(&timeout, "timeout", 0, "give up after this long")
	c.Flags().BoolVar(&all, "all-tenants", false, "ask over every tenant (admin key, or the data folder's owner)")
	return c
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
	res, err := t.call(ctx, http.MethodPost, "sql", q)
	stop()
	switch {
	case err == nil:
		defer res.Close() //nolint:errcheck // copied below
		bar.clear()
		_, err = io.Copy(stdio.Out, res)
		return err
	case !errors.Is(err, errNotRunning) || t.data == "":
		return err
	}
	logger := slog.New(slog.NewTextHandler(stdio.Err, &slog.HandlerOptions{Level: slog.LevelError}))
	direct := gateway.DirectSQL(ctx, t.data, t.tenant, q, bar.show, logger, stdio.Out)
	var bad *control.QueryError
	if direct != nil && !errors.As(direct, &bad) {
		return fmt.Errorf("%w\nand the data folder itself: %w", err, direct)
	}
	return direct
}
