package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/lakehouse"
	_ "github.com/headlessly/headlessly/lakehouse/sqlworker" // this binary is its own SQL worker, too
)

// sql answers the control plane's queries.
func (g *Gateway) sql(ctx context.Context, tenant string, q control.Query, w io.Writer) error {
	return ask(ctx, g.lake, tenant, q, w)
}

// describe answers with no rows of a query, and tells the types of its
// parameters.
func (g *Gateway) describe(ctx context.Context, tenant string, q control.Query, w io.Writer) (parameters []string, err error) {
	rows, err := g.lake.Query(ctx, tenant, q.SQL, lakehouse.QueryOptions{Args: q.Parameters, Describe: true})
	if err != nil {
		return nil, explain(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if err := rows.Write(ctx, w, lakehouse.Format(q.Format)); err != nil {
		return nil, fmt.Errorf("write description: %w", err)
	}
	return rows.Parameters, nil
}

// DirectSQL answers a query straight over a data folder that no gateway is
// using: the tables and what the log holds beyond them.
func DirectSQL(ctx context.Context, data, tenant string, q control.Query, progress func(float64), logger *slog.Logger, w io.Writer) (err error) {
	f, err := OpenFolder(ctx, data, true, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(context.WithoutCancel(ctx))) }()
	f.Lake.UseLog(f.Log)
	g, err := f.OpenGraph(ctx)
	if err != nil {
		return err
	}
	events, err := g.LogReader()
	if err != nil {
		return err
	}
	f.Lake.UseLog(events, lakehouse.WithSource("graph"))
	q.Progress = progress
	return ask(ctx, f.Lake, tenant, q, w)
}

func ask(ctx context.Context, lake *lakehouse.Lake, tenant string, q control.Query, w io.Writer) (err error) {
	asOf, err := q.Moment()
	if err != nil {
		return &control.QueryError{Status: http.StatusBadRequest, Code: lakehouse.CodeInvalid, Message: err.Error()}
	}
	rows, err := lake.Query(ctx, tenant, q.SQL, lakehouse.QueryOptions{
		Args: q.Parameters, AsOf: asOf,
		MaxRows: q.MaxRows, Timeout: time.Duration(q.TimeoutMs) * time.Millisecond, Progress: q.Progress,
	})
	if err != nil {
		return explain(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	format := lakehouse.Format(q.Format)
	if q.Format == "" {
		format = lakehouse.FormatJSON
	}
	if rows.Truncated && q.Cut != nil {
		q.Cut()
	}
	if err := rows.Write(ctx, w, format); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}

// explain gives the engine's refusals the control plane's form.
func explain(err error) error {
	var q *lakehouse.QueryError
	if !errors.As(err, &q) {
		return err
	}
	status := http.StatusBadRequest
	switch q.Code {
	case lakehouse.CodeTimeout:
		status = http.StatusRequestTimeout
	case lakehouse.CodeDenied:
		status = http.StatusForbidden
	case lakehouse.CodeTooLarge:
		status = http.StatusUnprocessableEntity
	case lakehouse.CodeUnavailable:
		status = http.StatusNotImplemented
	case lakehouse.CodeWorker:
		status = http.StatusInternalServerError
	}
	return &control.QueryError{Status: status, Code: q.Code, Message: q.Message}
}
