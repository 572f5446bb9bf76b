//go:build cgo

package sqlworker

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	duckdb "github.com/duckdb/duckdb-go-bindings"

	"github.com/headlessly/headlessly/lakehouse/internal/wire"
)

// progressEvery is how often the parent hears how far a query is.
const progressEvery = 100 * time.Millisecond

const onlySelect = "only SELECT is allowed here (also WITH, FROM, VALUES, DESCRIBE, SUMMARIZE, EXPLAIN)"

var errNotWrapped = errors.New("query does not stand in brackets")

// session is one in-memory database and its connection.
type session struct {
	db   duckdb.Database
	conn duckdb.Connection
}

// run answers one request.
func (s *session) run(ctx context.Context, req wire.Request, progress func(float64)) (*wire.Done, *wire.Error) {
	now, later := preamble(req)
	if err := s.all(now); err != nil {
		return nil, &wire.Error{Code: wire.CodeFailed, Message: err.Error()}
	}
	explain, query := explained(req.SQL)
	cols, wants, fault := s.bind(&req, query)
	if fault != nil && len(later) > 0 { // it may name a view in a way that is not seen
		if err := s.all(later); err != nil {
			return nil, &wire.Error{Code: wire.CodeFailed, Message: err.Error()}
		}
		cols, wants, fault = s.bind(&req, query)
	}
	if fault != nil {
		return nil, fault
	}
	var err error
	switch {
	case explain != "" && req.Describe:
		cols, req.SQL, req.Args = planColumns(), "SELECT '' AS plan", nil
	case explain != "":
		if cols, err = s.explain(&req, explain+query); err != nil {
			return nil, classify(err)
		}
	}
	err = s.copy(ctx, req, cols, progress)
	if errors.Is(err, errNotWrapped) {
		return nil, &wire.Error{Code: wire.CodeNotSelect, Message: onlySelect}
	}
	if err != nil {
		fault := classify(err)
		fault.Ran = true
		fault.Message = strings.ReplaceAll(fault.Message, filepath.Dir(req.Result)+string(filepath.Separator), "")
		return nil, fault
	}
	done := &wire.Done{Parameters: wants}
	for _, c := range cols {
		done.Columns = append(done.Columns, wire.ResultColumn{Name: c.name, Type: c.shown})
	}
	return done, nil
}

// bind has DuckDB parse and bind the query, and tells its columns, and the types
// of its parameters where they are asked for.
func (s *session) bind(req *wire.Request, query string) (cols []resultColumn, wants []string, fault *wire.Error) {
	if req.Describe {
		var err error
		if wants, err = s.parameterTypes(query); err == nil && len(req.Args) == 0 {
			req.Args = make([]any, len(wants))
		} // what does not parse is told by check
	}
	cols, fault = s.check(query, req.Args)
	return cols, wants, fault
}

// open opens a database that has no limits yet: preamble sets those of the
// request.
func open() (*session, error) {
	var config duckdb.Config
	if duckdb.CreateConfig(&config) != duckdb.StateSuccess {
		return nil, fmt.Errorf("make configuration")
	}
	defer duckdb.DestroyConfig(&config)
	for _, kv := range [][2]string{
		{"allow_community_extensions", "false"},
		{"autoinstall_known_extensions", "false"},
		{"autoload_known_extensions", "false"},
		{"allow_persistent_secrets", "false"},
	} {
		if duckdb.SetConfig(config, kv[0], kv[1]) != duckdb.StateSuccess {
			return nil, fmt.Errorf("set %s to %s", kv[0], kv[1])
		}
	}
	s := &session{}
	var msg string
	if duckdb.OpenExt(":memory:", &s.db, config, &msg) != duckdb.StateSuccess {
		return nil, fmt.Errorf("open database: %s", msg)
	}
	if duckdb.Connect(s.db, &s.conn) != duckdb.StateSuccess {
		duckdb.Close(&s.db)
		return nil, fmt.Errorf("connect")
	}
	return s, nil
}

func (s *session) close() {
	duckdb.Disconnect(&s.conn)
	duckdb.Close(&s.db)
}

// all runs statements of our own.
func (s *session) all(queries []string) error {
	for _, q := range queries {
		if err := s.exec(q); err != nil {
			what, _, _ := strings.Cut(err.Error(), "\n\nLINE ") // the statement's text has paths, cut anywhere
			return fmt.Errorf("prepare session: %s", what)
		}
	}
	return nil
}

// exec runs one of our own statements.
func (s *session) exec(query string) error {
	var res duckdb.Result
	defer duckdb.DestroyResult(&res)
	if duckdb.Query(s.conn, query, &res) != duckdb.StateSuccess {
		return fmt.Errorf("%s", duckdb.ResultError(&res))
	}
	return nil
}

// resultColumn is a column of the user's query: what it is called and cast to
// in the result file, and the type that it had.
type resultColumn struct {
	name  string
	shown string
	cast  string // "" where Parquet keeps the type
}

// check lets DuckDB parse and bind the query, and tells its columns.
func (s *session) check(query string, args []any) ([]resultColumn, *wire.Error) {
	if strings.ContainsRune(query, 0) {
		return nil, &wire.Error{Code: wire.CodeInvalid, Message: "query holds a zero byte"}
	}
	var parsed duckdb.ExtractedStatements
	n := duckdb.ExtractStatements(s.conn, query, &parsed)
	defer duckdb.DestroyExtracted(&parsed)
	switch {
	case n == 0:
		msg := duckdb.ExtractStatementsError(parsed)
		if msg == "" {
			msg = "query is empty"
		}
		return nil, &wire.Error{Code: wire.CodeInvalid, Message: msg}
	case n > 1:
		return nil, &wire.Error{Code: wire.CodeNotSelect, Message: fmt.Sprintf("one SELECT at a time, this is %d statements", n)}
	}
	var stmt duckdb.PreparedStatement
	state := duckdb.PrepareExtractedStatement(s.conn, parsed, 0, &stmt)
	defer duckdb.DestroyPrepare(&stmt)
	if state != duckdb.StateSuccess {
		return nil, classify(fmt.Errorf("%s", duckdb.PrepareError(stmt)))
	}
	switch duckdb.PreparedStatementType(stmt) {
	case duckdb.StatementTypeSelect:
	default:
		return nil, &wire.Error{Code: wire.CodeNotSelect, Message: onlySelect}
	}
	if err := parameters(stmt, args); err != nil {
		return nil, err
	}
	if len(args) > 0 {
		return s.columnsWith(query, args)
	}
	seen := map[string]int{}
	cols := make([]resultColumn, duckdb.PreparedStatementColumnCount(stmt))
	for i := range cols {
		col := duckdb.IdxT(i)
		cols[i].name = unique(seen, duckdb.PreparedStatementColumnName(stmt, col))
		cols[i].shown, cols[i].cast = typeOf(duckdb.PreparedStatementColumnLogicalType(stmt, col))
	}
	return cols, nil
}

// unique makes a name that the result does not have yet. Names differ in more
// than case.
func unique(seen map[string]int, name string) string {
	if name == "" {
		name = "column"
	}
	for base := name; ; name = fmt.Sprintf("%s_%d", base, seen[strings.ToLower(base)]) {
		if _, ok := seen[strings.ToLower(name)]; !ok {
			seen[strings.ToLower(name)] = 0
			return name
		}
		seen[strings.ToLower(base)]++
	}
}

// copy runs the query into the result file, which gets one row more than
// allowed when there are too many.
func (s *session) copy(ctx context.Context, req wire.Request, cols []resultColumn, progress func(float64)) error {
	var names, values []string
	for i, c := range cols {
		in := fmt.Sprintf("c%d", i)
		names = append(names, in)
		if c.cast != "" {
			in = fmt.Sprintf("CAST(%s AS %s)", in, c.cast)
		}
		values = append(values, in+" AS "+quoteName(c.name))
	}
	limit := req.Limits.MaxRows + 1
	if req.Describe {
		limit = 0
	}
	query := fmt.Sprintf("COPY (SELECT %s FROM (%s\n) AS q(%s) LIMIT %d) TO %s (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 20480)",
		strings.Join(values, ", "), trimEnd(req.SQL), strings.Join(names, ", "), limit, quoteText(req.Result))
	var parsed duckdb.ExtractedStatements
	n := duckdb.ExtractStatements(s.conn, query, &parsed)
	defer duckdb.DestroyExtracted(&parsed)
	if n != 1 {
		return errNotWrapped // it parsed alone, so it is one of the statements that DuckDB rewrites, such as PRAGMA
	}
	var stmt duckdb.PreparedStatement
	defer duckdb.DestroyPrepare(&stmt)
	if duckdb.PrepareExtractedStatement(s.conn, parsed, 0, &stmt) != duckdb.StateSuccess {
		return errors.New(duckdb.PrepareError(stmt))
	}
	if err := bind(stmt, req.Args); err != nil {
		return err
	}
	var res duckdb.Result
	defer duckdb.DestroyResult(&res)
	return s.execute(ctx, stmt, &res, progress)
}

// execute runs a statement on DuckDB's own threads, tells its progress and
// interrupts it when ctx ends. A thread that works itself hears of progress
// only when its part is done.
func (s *session) execute(ctx context.Context, stmt duckdb.PreparedStatement, res *duckdb.Result, progress func(float64)) error {
	var pending duckdb.PendingResult
	defer duckdb.DestroyPending(&pending)
	if duckdb.PendingPrepared(stmt, &pending) != duckdb.StateSuccess {
		return errors.New(duckdb.PendingError(pending))
	}
	wait, since := time.Millisecond, time.Duration(0)
	for {
		// Being finished is told as an error here; what follows tells which.
		if state := duckdb.PendingExecuteCheckState(pending); state != duckdb.PendingStateResultNotReady && state != duckdb.PendingStateNoTasksAvailable {
			break
		}
		select {
		case <-ctx.Done():
			duckdb.Interrupt(s.conn)
			return context.Cause(ctx)
		case <-time.After(wait):
		}
		if since += wait; since >= progressEvery {
			since = 0
			p := duckdb.QueryProgress(s.conn)
			share, _, _ := duckdb.QueryProgressTypeMembers(&p)
			progress(max(share, 0) / 100) // negative while DuckDB can't tell
		}
		wait = min(2*wait, 20*time.Millisecond)
	}
	if duckdb.ExecutePending(pending, res) != duckdb.StateSuccess {
		return errors.New(duckdb.ResultError(res))
	}
	return nil
}

// classify tells from DuckDB's own error class what went wrong. Its advice to
// change settings, which a query can't, is left out.
func classify(err error) *wire.Error {
	msg := err.Error()
	if _, cause, ok := strings.Cut(msg, "pending query result\nError: "); ok {
		msg = cause
	}
	msg, _, _ = strings.Cut(msg, "\n\nPossible solutions:")
	class, _, _ := strings.Cut(msg, " Error:")
	code := wire.CodeFailed
	switch class {
	case "Parser", "Binder", "Catalog", "Syntax", "Conversion", "Invalid Input", "Not implemented", "Out of Range":
		code = wire.CodeInvalid
	case "Permission":
		code = wire.CodeDenied
	case "Out of Memory", "IO":
		code = wire.CodeTooLarge
	}
	return &wire.Error{Code: code, Message: msg}
}
