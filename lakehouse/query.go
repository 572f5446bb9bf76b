package lakehouse

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/lakehouse/internal/wire"
)

// QueryOptions change one query. The zero value takes the lake's limits and
// the newest state.
type QueryOptions struct {
	// Timeout and MaxRows lower the lake's limits, never raise them.
	Timeout time.Duration
	MaxRows int64
	// Progress is called now and then with the share that is done, 0 to 1,
	// from another goroutine.
	Progress func(share float64)
	// CommittedOnly leaves out what is acknowledged and not yet committed.
	CommittedOnly bool
	// AsOf reads the tables as they were then; it implies CommittedOnly.
	AsOf time.Time
	// Args are the values of the statement's parameters (? or $1): texts,
	// numbers, truth values or nil.
	Args []any
	// Describe asks only what the answer looks like: it has no rows, and the
	// tables are not read. Without Args, parameters stand for null.
	Describe bool
}

// QueryError is a query that was refused or failed. Code is stable and
// machine-readable.
type QueryError struct {
	Code    string // one of the Code constants
	Message string

	ran bool // it was a query, and failed while it ran
}

func (e *QueryError) Error() string { return e.Message }

// Codes of a [QueryError].
const (
	CodeInvalid     = wire.CodeInvalid     // does not parse, or names what is not there
	CodeNotSelect   = wire.CodeNotSelect   // is not one SELECT
	CodeDenied      = wire.CodeDenied      // touches what a query may not
	CodeTooLarge    = wire.CodeTooLarge    // needs more memory or disk than a query may have
	CodeFailed      = wire.CodeFailed      // failed while it ran
	CodeUnavailable = wire.CodeUnavailable // this binary has no SQL engine
	CodeTimeout     = wire.CodeTimeout     // ran longer than a query may
	CodeWorker      = wire.CodeProtocol    // the worker process died
)

// Query runs one SELECT over the tables and views of a tenant, or of all
// tenants when tenant is "". The worker process is given the files of that
// tenant and no others, whatever the text says. What is in the log when Query
// is called is in the answer, committed or not, if the lake has a [Writer] or
// [Lake.UseLog] was called.
//
// It blocks until the result is complete; ctx's end kills the worker. A fault
// of the query is a *[QueryError]. Close the rows after use.
func (l *Lake) Query(ctx context.Context, tenant, sql string, opts QueryOptions) (rows *Rows, err error) {
	ctx, end := l.span(ctx, "lakehouse query")
	defer func() {
		var found int64
		if rows != nil {
			found = rows.Count
		}
		end(err, attribute.Int64("headlessly.rows", found))
	}()
	if tenant != "" && !headlessly.ValidTenant(tenant) {
		return nil, &QueryError{Code: CodeInvalid, Message: fmt.Sprintf("tenant %q is not a tenant name", tenant)}
	}
	limits := l.cfg.Query
	if opts.Timeout > 0 {
		limits.Timeout = min(limits.Timeout, opts.Timeout)
	}
	if opts.MaxRows > 0 {
		limits.MaxRows = min(limits.MaxRows, opts.MaxRows)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limits.Timeout, &QueryError{Code: CodeTimeout, Message: fmt.Sprintf("query took longer than %s", limits.Timeout)})
	defer cancel()
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	began := l.cfg.Clock()
	dir, err := l.queryDir()
	if err != nil {
		return nil, err
	}
	rows, err = l.runIn(ctx, dir, tenant, sql, limits, opts)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	rows.Elapsed = l.cfg.Clock().Sub(began)
	return rows, nil
}

func (l *Lake) queryDir() (string, error) {
	if err := os.MkdirAll(l.cfg.TempDir, 0o700); err != nil {
		return "", fmt.Errorf("make folder for queries: %w", err)
	}
	dir, err := os.MkdirTemp(l.cfg.TempDir, "query-")
	if err != nil {
		return "", fmt.Errorf("make folder for query: %w", err)
	}
	return dir, nil
}

func (l *Lake) runIn(ctx context.Context, dir, tenant, sql string, limits QueryLimits, opts QueryOptions) (*Rows, error) {
	read := readsOf(sql)
	read.times = periodsOf(sql, opts.Args, l.cfg.Clock())
	checked, planned := false, 1
	for {
		done, result, from, err := l.attempt(ctx, dir, tenant, sql, read, limits, opts)
		if err == nil {
			return openRows(dir, result, done, limits.MaxRows)
		}
		var bad *QueryError
		if !errors.As(err, &bad) {
			return nil, err
		}
		switch { // it may have needed what its text does not name
		case planned < planTries && from.vanished(): // a deletion does not wait for queries
			l.cfg.Logger.Info("lakehouse_query_plans_anew", "error", bad.Code)
			planned++
		case !bad.ran && from.fewer && (bad.Code == CodeInvalid || bad.Code == CodeFailed):
			l.cfg.Logger.Info("lakehouse_query_plans_all_tables", "error", bad.Code)
			read.tables = nil
		case !bad.ran:
			return nil, err
		case from.partly && len(read.times) > 0:
			l.cfg.Logger.Info("lakehouse_query_reads_all_times", "error", bad.Code)
			read.times = nil
		case from.partly && !read.whole:
			l.cfg.Logger.Info("lakehouse_query_reads_whole_files", "error", bad.Code)
			read = everything()
		case !checked && l.cache.doubt(from.remote):
			checked = true
		default:
			return nil, err
		}
		if err := emptied(dir, ""); err != nil {
			return nil, err
		}
	}
}

// planTries is how often a query is planned, beyond the tries of the object
// store's client.
const planTries = 3

// emptied removes everything from a folder but what is at keep.
func emptied(dir, keep string) error {
	all, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, one := range all {
		if path := filepath.Join(dir, one.Name()); path != keep {
			err = errors.Join(err, os.RemoveAll(path))
		}
	}
	return err
}

// attempt plans a query and runs it over what read names of the tables. The
// worker process starts while the files are planned.
func (l *Lake) attempt(ctx context.Context, dir, tenant, sql string, read reads, limits QueryLimits, opts QueryOptions) (done *wire.Done, result string, from sources, err error) {
	spill := filepath.Join(dir, "spill")
	if err := os.Mkdir(spill, 0o700); err != nil {
		return nil, "", from, fmt.Errorf("make folder for query: %w", err)
	}
	w, err := l.takeWorker(ctx) //nolint:contextcheck // the next one outlives this query
	if err != nil {
		return nil, "", from, err
	}
	from, err = l.plan(ctx, dir, tenant, read, opts)
	for try := 1; err != nil && context.Cause(ctx) == nil && try < planTries; try++ { // an object store has its moments
		if err = emptied(dir, spill); err == nil {
			from, err = l.plan(ctx, dir, tenant, read, opts)
		}
	}
	if err != nil {
		w.drop()
		if cause := context.Cause(ctx); cause != nil {
			return nil, "", from, cause
		}
		return nil, "", from, err
	}
	req := wire.Request{
		Tables: from.tables, Views: views(), SQL: sql, Args: opts.Args, Describe: opts.Describe,
		Result: filepath.Join(dir, "result.parquet"), Temp: spill,
		Limits: wire.Limits{
			MemoryBytes: limits.MemoryBytes, TempBytes: limits.TempBytes, ResultBytes: limits.ResultBytes, MaxRows: limits.MaxRows,
			Threads: limits.Threads, CPUSeconds: int64(limits.Timeout.Seconds())*int64(limits.Threads) + 1,
		},
	}
	done, err = w.ask(ctx, req, opts.Progress)
	if errors.Is(err, errDiedWaiting) {
		if w, err = l.freshWorker(ctx); err != nil {
			return nil, "", from, err
		}
		done, err = w.ask(ctx, req, opts.Progress)
	}
	return done, req.Result, from, err
}
