// Package wire is what the lakehouse and its SQL worker process say to each
// other: one [Request] as JSON on the worker's standard input, then one
// [Reply] a line on its standard output, of which the first comes when the
// request has been read and the last is an error or the description of the
// result file.
//
// It is not a stable format: both ends are one binary.
package wire

import "strings"

// WorkerArgument is the argument with which a binary that holds the worker is
// the worker, and nothing else.
const WorkerArgument = "sql-worker"

// Catalog is the database that the tables are in: headlessly.main.events.
const Catalog = "headlessly"

// Request is one query.
type Request struct {
	Tables []Table `json:"tables"`
	Views  []View  `json:"views"`
	SQL    string  `json:"sql"`
	Args   []any   `json:"args,omitempty"`
	Result string  `json:"result"` // file for the result, as Parquet
	Temp   string  `json:"temp"`   // folder for spilling
	Limits Limits  `json:"limits"`
	// Describe asks only what the answer looks like, and which values the
	// statement takes; without Args they stand for null.
	Describe bool `json:"describe,omitempty"`
}

// Table is the files of one table.
type Table struct {
	Name    string   `json:"name"`
	Columns []Column `json:"columns"`
	Files   []string `json:"files"`
	Gone    string   `json:"gone,omitempty"` // why a query that reads it must fail
}

// Column is a column by its Iceberg field id, so that renamed and added
// columns are found in files of any age.
type Column struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
	Type string `json:"type"` // DuckDB's name
}

// View is a named query over the tables.
type View struct {
	Name string `json:"name"`
	SQL  string `json:"sql"`
}

// Limits bound the worker.
type Limits struct {
	MemoryBytes int64 `json:"memoryBytes"`
	TempBytes   int64 `json:"tempBytes"`
	ResultBytes int64 `json:"resultBytes"`
	MaxRows     int64 `json:"maxRows"`
	Threads     int   `json:"threads"`
	CPUSeconds  int64 `json:"cpuSeconds"`
}

// Lists says whether a query may ask what tables and views there are, or make
// their names itself: then all of them must be there. Others name in their text
// what they read, and fail where it is missing.
func Lists(sql string) bool {
	text := strings.ToLower(sql)
	for _, word := range []string{
		"show", "describe", "summarize", "information_schema", "duckdb_", "pg_", "pragma_", "sqlite_", "query", "serialized", "complete",
	} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// Reply is one line of the worker's answer.
type Reply struct {
	Progress *float64 `json:"progress,omitempty"` // 0 to 1
	Error    *Error   `json:"error,omitempty"`
	Done     *Done    `json:"done,omitempty"`
}

// Error codes.
const (
	CodeInvalid     = "invalid_sql"   // does not parse, or names what is not there
	CodeNotSelect   = "not_a_select"  // parses, but is not one SELECT
	CodeDenied      = "denied"        // touches what a query may not
	CodeTooLarge    = "too_large"     // over a limit of memory, disk or result size
	CodeFailed      = "failed"        // failed while it ran
	CodeUnavailable = "unavailable"   // no SQL engine in this binary
	CodeTimeout     = "timeout"       // killed at its deadline
	CodeProtocol    = "worker_failed" // the worker died or spoke nonsense
)

// Error is a query's failure.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Ran     bool   `json:"ran,omitempty"` // the query was sound, and failed while it ran
}

// Done describes the finished result file. It holds one row more than
// Limits.MaxRows when there were too many.
type Done struct {
	Columns    []ResultColumn `json:"columns"`
	Parameters []string       `json:"parameters,omitempty"` // types, "" for one that is open; only when described
}

// ResultColumn is a column of the result with DuckDB's name of its type.
type ResultColumn struct {
	Name string `json:"name"`
	Type string `json:"type"`
}
