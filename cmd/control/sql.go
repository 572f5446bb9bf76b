package control

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// Query is the body of POST /~{tenant}/sql.
type Query struct {
	SQL string `json:"sql"`
	// Parameters are the values that stand for ? or $1 in SQL.
	Parameters []any `json:"parameters,omitempty"`
	// AsOf reads the tables as they were at this moment (RFC 3339, or a date);
	// rows that are not committed yet are left out then.
	AsOf string `json:"asOf,omitempty"`
	// Format is one of [Formats]; "" is json.
	Format string `json:"format,omitempty"`
	// ID names the query for GET /~{tenant}/sql/{id}, which tells how far it is.
	ID string `json:"id,omitempty"`
	// MaxRows caps the answer; 0 is the engine's own cap.
	MaxRows int64 `json:"maxRows,omitempty"`
	// Timeout in milliseconds; 0 is the engine's own.
	TimeoutMs int64 `json:"timeoutMs,omitempty"`

	// Progress is told the share that is done, 0 to 1.
	Progress func(float64) `json:"-"`
	// Cut is called before the first byte of an answer that lacks rows, because
	// there are more than one may have.
	Cut func() `json:"-"`
}

// HeaderTruncated is "true" beside an answer that lacks rows.
const HeaderTruncated = "X-Headlessly-Truncated"

// Moment is AsOf as a time, the zero time for the newest state.
func (q *Query) Moment() (time.Time, error) {
	if q.AsOf == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(form, q.AsOf); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("asOf must be a time such as 2026-01-31T12:00:00Z, or a date")
}

// Formats are the forms of an answer.
const Formats = "table, json, ndjson, csv, parquet or arrow"

// KnownFormat says whether format is one of [Formats].
func KnownFormat(format string) bool {
	_, ok := contentType(format)
	return ok
}

// QueryError is a query at fault: the engine's message for its author.
type QueryError struct {
	Status  int // HTTP status: 400 for bad SQL, 408 for a deadline, 501 without an engine
	Code    string
	Message string
}

func (e *QueryError) Error() string { return e.Message }

func contentType(format string) (string, bool) {
	switch format {
	case "", "json":
		return "application/json", true
	case "table":
		return "text/plain; charset=utf-8", true
	case "ndjson":
		return "application/x-ndjson", true
	case "csv":
		return "text/csv; charset=utf-8", true
	case "parquet":
		return "application/vnd.apache.parquet", true
	case "arrow":
		return "application/vnd.apache.arrow.stream", true
	}
	return "", false
}

func (p *Plane) sql(c call) {
	var q Query
	if !c.read(&q) {
		return
	}
	if q.SQL == "" {
		writeError(c.w, http.StatusBadRequest, "validation_failed", "sql", `sql is missing: send {"sql":"select …"}`)
		return
	}
	ct, ok := contentType(q.Format)
	if !ok {
		writeError(c.w, http.StatusBadRequest, "validation_failed", "format", "format must be "+Formats)
		return
	}
	if _, err := q.Moment(); err != nil {
		writeError(c.w, http.StatusBadRequest, "validation_failed", "asOf", err.Error())
		return
	}
	ctx := c.r.Context()
	if q.TimeoutMs > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(q.TimeoutMs)*time.Millisecond)
		defer cancel()
	}
	if q.ID != "" {
		q.Progress = p.running.begin(c.tenant, q.ID)
		defer p.running.end(c.tenant, q.ID)
	}
	out := &lateHeader{w: c.w, contentType: ct}
	q.Cut = func() { c.w.Header().Set(HeaderTruncated, "true") }
	err := p.cfg.SQL(ctx, c.tenant, q, out)
	var bad *QueryError
	switch {
	case err == nil:
		out.start()
	case out.started: // the answer is under way: cut it so that the client sees it is not whole
		p.cfg.Logger.Warn("control.sql_cut", slog.Any("error", err))
		panic(http.ErrAbortHandler)
	case errors.As(err, &bad):
		writeError(c.w, bad.Status, bad.Code, "sql", bad.Message)
	default:
		p.fail(c, err)
	}
}

// lateHeader sends the headers with the first byte, so that an error before it
// can still have a status of its own.
type lateHeader struct {
	w           http.ResponseWriter
	contentType string
	started     bool
}

func (l *lateHeader) start() {
	if !l.started {
		l.started = true
		l.w.Header().Set("Content-Type", l.contentType)
		l.w.WriteHeader(http.StatusOK)
	}
}

// Write implements io.Writer.
func (l *lateHeader) Write(b []byte) (int, error) {
	l.start()
	return l.w.Write(b)
}

var _ io.Writer = (*lateHeader)(nil)
