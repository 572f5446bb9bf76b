// Package wire is what the sandbox and its worker process say to each other:
// one [Request] as a line of JSON on the worker's standard input, then one
// [Up] a line on its standard output and one [Down] a line back for each call.
// The last line up is a [Done].
//
// It holds types only and is not a stable format: both ends are one binary.
package wire

import "encoding/json"

// Request is one program.
type Request struct {
	Kind   string          `json:"kind"` // script, handler, check
	Source string          `json:"source"`
	Tenant string          `json:"tenant"`
	Types  []Type          `json:"types"`
	Draft  json.RawMessage `json:"draft,omitempty"` // a handler's first argument
	Event  json.RawMessage `json:"event,omitempty"` // its third
	Limits Limits          `json:"limits"`
}

// Kinds of programs.
const (
	KindScript  = "script"
	KindHandler = "handler"
	KindCheck   = "check" // a handler that is compiled and not run
)

// Type is an entity type as $ shows it.
type Type struct {
	Name  string   `json:"name"`
	Verbs []string `json:"verbs"`
	Hooks []string `json:"hooks"`
}

// Limits bound the worker.
type Limits struct {
	MemoryBytes  int64 `json:"memoryBytes"` // of the program's heap
	TimeoutMs    int64 `json:"timeoutMs"`
	Operations   int64 `json:"operations"` // calls of functions and jumps; 0 is any number
	ResultBytes  int   `json:"resultBytes"`
	ConsoleBytes int   `json:"consoleBytes"`
}

// Up is one line of the worker.
type Up struct {
	Ready bool  `json:"ready,omitempty"` // it waits for a request
	Began bool  `json:"began,omitempty"` // it has read the request and runs it
	Call  *Call `json:"call,omitempty"`
	Log   *Log  `json:"log,omitempty"`
	Done  *Done `json:"done,omitempty"`
}

// Call is a call of the program to its host.
type Call struct {
	ID     int64           `json:"id"`
	Method string          `json:"method"`
	Args   json.RawMessage `json:"args"`
}

// Log is something that the program wrote to its console.
type Log struct {
	Level string `json:"level"`
	Text  string `json:"text"`
}

// Down answers a call.
type Down struct {
	ID    int64           `json:"id"`
	Value json.RawMessage `json:"value,omitempty"`
	Error json.RawMessage `json:"error,omitempty"` // an error body of the graph
}

// Done is how the program ended.
type Done struct {
	Value json.RawMessage `json:"value,omitempty"` // nil for undefined
	Patch json.RawMessage `json:"patch,omitempty"` // what a handler changed of its first argument, or gave back
	Error *Error          `json:"error,omitempty"`
	// Operations is how many the program did: calls of functions and turns of
	// loops.
	Operations int64 `json:"operations,omitempty"`
}

// Error is why the program failed. Code is one of the Code constants, or the
// graph's when the program let an error of a call pass.
type Error struct {
	Code    string          `json:"code"`
	Name    string          `json:"name,omitempty"` // TypeError
	Message string          `json:"message"`
	Field   string          `json:"field,omitempty"`
	Type    string          `json:"type,omitempty"`
	ID      string          `json:"id,omitempty"`
	Details json.RawMessage `json:"details,omitempty"`
	Line    int             `json:"line,omitempty"` // of the source, from 1
	Column  int             `json:"column,omitempty"`
}

// Error codes.
const (
	CodeSyntax      = "syntax_error"
	CodeThrew       = "script_error" // it threw something
	CodeTimeout     = "timeout"
	CodeMemory      = "out_of_memory"
	CodeCrashed     = "crashed"
	CodeTooMany     = "too_many_calls"
	CodeOperations  = "too_many_operations"
	CodeTooLarge    = "too_large"
	CodeUnavailable = "unavailable" // no worker could be started
)
