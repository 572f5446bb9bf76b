//go:build cgo

package sqlworker

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"unsafe"

	duckdb "github.com/duckdb/duckdb-go-bindings"

	"github.com/headlessly/headlessly/lakehouse/internal/wire"
)

// parameters checks that a statement gets as many values as it has places, and
// binds them, so that DuckDB can tell the types of the columns.
func parameters(stmt duckdb.PreparedStatement, args []any) *wire.Error {
	if n := int(duckdb.NParams(stmt)); n != len(args) { //nolint:gosec // a statement has few
		return &wire.Error{Code: wire.CodeInvalid, Message: fmt.Sprintf("the statement has %d parameters (? or $1), and got %d values", n, len(args))}
	}
	if err := bind(stmt, args); err != nil {
		return &wire.Error{Code: wire.CodeInvalid, Message: err.Error()}
	}
	return nil
}

// bind sets a statement's parameters to JSON values.
func bind(stmt duckdb.PreparedStatement, args []any) error {
	for i, v := range args {
		if bindOne(stmt, duckdb.IdxT(i+1), v) != duckdb.StateSuccess { //nolint:gosec // a statement has few
			return fmt.Errorf("parameter %d: a value of this kind can't be bound; use text, a number, true, false or null", i+1)
		}
	}
	return nil
}

func bindOne(stmt duckdb.PreparedStatement, at duckdb.IdxT, v any) duckdb.State {
	switch v := v.(type) {
	case nil:
		return duckdb.BindNull(stmt, at)
	case string:
		return duckdb.BindVarchar(stmt, at, v)
	case bool:
		return duckdb.BindBoolean(stmt, at, v)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return duckdb.BindInt64(stmt, at, int64(v))
		}
		return duckdb.BindDouble(stmt, at, v)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return duckdb.BindInt64(stmt, at, n)
		}
		if f, err := v.Float64(); err == nil {
			return duckdb.BindDouble(stmt, at, f)
		}
	}
	return duckdb.StateError
}

// parameterTypes names the type of each of a statement's parameters, "" where
// DuckDB takes any.
func (s *session) parameterTypes(query string) ([]string, error) {
	var stmt duckdb.PreparedStatement
	defer duckdb.DestroyPrepare(&stmt)
	if duckdb.Prepare(s.conn, query, &stmt) != duckdb.StateSuccess {
		return nil, errors.New(duckdb.PrepareError(stmt))
	}
	types := make([]string, duckdb.NParams(stmt))
	for i := range types {
		at := duckdb.IdxT(i + 1) //nolint:gosec // a statement has few
		if t := duckdb.ParamType(stmt, at); t != duckdb.TypeInvalid && t != duckdb.TypeSQLNull {
			types[i], _ = typeOf(duckdb.ParamLogicalType(stmt, at))
		}
	}
	return types, nil
}

// columnsWith tells the columns of a query with parameters: their types follow
// from the values, which DuckDB looks at when it runs the query. It runs it for
// no rows.
func (s *session) columnsWith(query string, args []any) ([]resultColumn, *wire.Error) {
	var stmt duckdb.PreparedStatement
	defer duckdb.DestroyPrepare(&stmt)
	if duckdb.Prepare(s.conn, "SELECT * FROM ("+trimEnd(query)+"\n) AS q LIMIT 0", &stmt) != duckdb.StateSuccess {
		return nil, classify(errors.New(duckdb.PrepareError(stmt)))
	}
	if err := bind(stmt, args); err != nil {
		return nil, &wire.Error{Code: wire.CodeInvalid, Message: err.Error()}
	}
	var res duckdb.Result
	defer duckdb.DestroyResult(&res)
	if duckdb.ExecutePrepared(stmt, &res) != duckdb.StateSuccess {
		return nil, classify(errors.New(duckdb.ResultError(&res)))
	}
	seen := map[string]int{}
	cols := make([]resultColumn, duckdb.ColumnCount(&res))
	for i := range cols {
		col := duckdb.IdxT(i)
		cols[i].name = unique(seen, duckdb.ColumnName(&res, col))
		cols[i].shown, cols[i].cast = typeOf(duckdb.ColumnLogicalType(&res, col))
	}
	return cols, nil
}

var explainForm = regexp.MustCompile(`(?is)^\s*explain(\s+analyze)?\s+`)

// explained takes EXPLAIN or EXPLAIN ANALYZE off a query: what is left is
// checked like any other, since ANALYZE runs it.
func explained(sql string) (explain, query string) {
	m := explainForm.FindString(sql)
	return m, sql[len(m):]
}

// explain runs an EXPLAIN and turns the request into a query over what it
// says: the plan is text of the engine, not rows of a table, and can't be
// copied into a file directly.
func (s *session) explain(req *wire.Request, sql string) ([]resultColumn, error) {
	var stmt duckdb.PreparedStatement
	defer duckdb.DestroyPrepare(&stmt)
	if duckdb.Prepare(s.conn, sql, &stmt) != duckdb.StateSuccess {
		return nil, errors.New(duckdb.PrepareError(stmt))
	}
	if fault := parameters(stmt, req.Args); fault != nil {
		return nil, errors.New(fault.Message)
	}
	var res duckdb.Result
	defer duckdb.DestroyResult(&res)
	if duckdb.ExecutePrepared(stmt, &res) != duckdb.StateSuccess {
		return nil, errors.New(duckdb.ResultError(&res))
	}
	var rows []string
	for {
		chunk := duckdb.FetchChunk(res)
		if chunk.Ptr == nil {
			break
		}
		last := duckdb.DataChunkGetColumnCount(chunk) - 1 // the plan; before it stands which plan
		vector := duckdb.DataChunkGetVector(chunk, last)
		data := duckdb.VectorGetData(vector)
		for i := range duckdb.DataChunkGetSize(chunk) {
			for line := range strings.Lines(stringAt(data, i)) {
				rows = append(rows, "("+quoteText(strings.TrimRight(line, "\n"))+")")
			}
		}
		duckdb.DestroyDataChunk(&chunk)
	}
	if len(rows) == 0 {
		rows = []string{"('')"}
	}
	req.SQL, req.Args = "SELECT * FROM (VALUES "+strings.Join(rows, ", ")+") AS plan(plan)", nil
	return planColumns(), nil
}

// planColumns is what an EXPLAIN answers.
func planColumns() []resultColumn { return []resultColumn{{name: "plan", shown: "VARCHAR"}} }

// stringAt is a text of a vector.
func stringAt(data unsafe.Pointer, i duckdb.IdxT) string {
	at := (*duckdb.StringT)(unsafe.Add(data, uintptr(i)*unsafe.Sizeof(duckdb.StringT{}))) //nolint:gosec // the vector has i elements of this size, DuckDB's own layout
	return duckdb.StringTData(at)
}
