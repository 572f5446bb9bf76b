package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/sandbox/internal/wire"
)

// WorkerArgument is the hidden argument with which this binary runs one
// program; cmd then calls worker.Main.
const WorkerArgument = "sandbox-worker"

// Config bounds programs. Start from [Default].
type Config struct {
	// Worker is the worker's command line; this binary with [WorkerArgument]
	// unless set.
	Worker       []string
	Memory       int64         // bytes of a program's heap
	Timeout      time.Duration // of a program, its calls included
	MaxCalls     int           // calls to the host
	MaxWrites    int           // of them, those that change something
	Operations   int64         // calls of functions and jumps (turns of loops) inside a program; 0 is any number
	ResultBytes  int           // of a program's value, as JSON
	ConsoleBytes int           // of what it writes to its console
	Parallel     int           // programs at the same time; others wait. A tenant has half of them at most
	Spare        int           // processes that are started ahead
	Logger       *slog.Logger
}

// Default is a machine's share for small programs.
func Default() Config {
	return Config{
		Memory: 64 << 20, Timeout: 10 * time.Second, MaxCalls: 1000, MaxWrites: 500, Operations: 250_000_000, ResultBytes: 256 << 10, ConsoleBytes: 32 << 10,
		Parallel: max(4, 2*runtime.GOMAXPROCS(0)), Spare: 2, Logger: slog.New(slog.DiscardHandler),
	}
}

// Program is one piece of code.
type Program struct {
	Source string
	// Handler says that Source is a function, or a module that exports one as
	// its default; it is called with Draft, $ and Event. Otherwise it is a
	// script, which may await and return; its value is that, or its last
	// expression's.
	Handler      bool
	Draft, Event json.RawMessage
	Timeout      time.Duration // lowers the sandbox's
	Host         Host
}

// Host answers a program's calls. Safe for concurrent use: a program may have
// several calls under way.
type Host interface {
	// Tenant and Types say what $ shows.
	Tenant() string
	Types() *graph.Types
	// Call answers one call. Its error reaches the program as an error with the
	// code of a *graph.Error.
	Call(ctx context.Context, method string, args json.RawMessage) (any, error)
	// Writes says whether a method may change something.
	Writes(method string) bool
}

// Line is one line of a program's console.
type Line struct {
	Level string `json:"level"` // log, info, warn, error, debug
	Text  string `json:"text"`
}

// Result is what a program did.
type Result struct {
	Value   json.RawMessage // nil for undefined
	Patch   json.RawMessage // an object: what a handler changed of its first argument or gave back, null for what it removed
	Console []Line
	Calls   int
	Writes  int
	// Operations is how many calls of functions and turns of loops the program
	// did; 0 when its process was killed before it could say.
	Operations int64
	Elapsed    time.Duration
}

// Codes of an [Error] besides the graph's.
const (
	CodeSyntax      = wire.CodeSyntax      // it is no TypeScript, or no handler
	CodeThrew       = wire.CodeThrew       // it threw something
	CodeTimeout     = wire.CodeTimeout     // it was stopped at its deadline
	CodeMemory      = wire.CodeMemory      // it needed more memory than it may have
	CodeCrashed     = wire.CodeCrashed     // its process died
	CodeTooMany     = wire.CodeTooMany     // it made too many calls
	CodeOperations  = wire.CodeOperations  // it did too many operations
	CodeTooLarge    = wire.CodeTooLarge    // its result is too long
	CodeUnavailable = wire.CodeUnavailable // no process could be started
)

// Error is a program's failure. Its code is one of the Code constants, or the
// graph's when an error of a call was not caught.
type Error struct {
	Code    string          `json:"error"`
	Name    string          `json:"name,omitempty"` // TypeError
	Message string          `json:"message"`
	Field   string          `json:"field,omitempty"`
	Type    string          `json:"type,omitempty"`
	ID      string          `json:"id,omitempty"`
	Details json.RawMessage `json:"details,omitempty"`
	Line    int             `json:"line,omitempty"` // of a syntax error, from 1
	Column  int             `json:"column,omitempty"`
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

// Sandbox runs programs. Safe for concurrent use.
type Sandbox struct {
	cfg   Config
	slots chan struct{}
	spare chan *process

	mu      sync.Mutex
	closed  bool
	tenants map[string]chan struct{} // slots of each
	ended   sync.WaitGroup
}

// New makes a sandbox. It starts no process before the first program runs.
func New(cfg Config) *Sandbox {
	d := Default()
	if cfg.Logger == nil {
		cfg.Logger = d.Logger
	}
	return &Sandbox{cfg: cfg, tenants: map[string]chan struct{}{}, slots: make(chan struct{}, max(cfg.Parallel, 1)), spare: make(chan *process, max(cfg.Spare, 0))}
}

// Close ends the processes that wait for work, and waits for programs under
// way. No program is run afterwards.
func (s *Sandbox) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.ended.Wait()
	for {
		select {
		case p := <-s.spare:
			p.kill()
		default:
			return
		}
	}
}

// enter counts work in; false once the sandbox is closed.
func (s *Sandbox) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.ended.Add(1)
	}
	return !s.closed
}

// Run runs a program to its end. A fault of the program is a *[Error]; the
// result then still says what it wrote and how many calls it made.
func (s *Sandbox) Run(ctx context.Context, p Program) (Result, error) {
	kind := wire.KindScript
	if p.Handler {
		kind = wire.KindHandler
	}
	return s.run(ctx, p, kind)
}

// Check compiles a handler without running it. A fault is a *[Error].
func (s *Sandbox) Check(ctx context.Context, source string, host Host) error {
	_, err := s.run(ctx, Program{Source: source, Handler: true, Host: host}, wire.KindCheck)
	return err
}

func (s *Sandbox) run(ctx context.Context, p Program, kind string) (r Result, err error) {
	if !s.enter() {
		return r, unavailable(errors.New("the sandbox is closed"))
	}
	defer s.ended.Done()
	timeout := s.cfg.Timeout
	if p.Timeout > 0 {
		timeout = min(timeout, p.Timeout)
	}
	began := time.Now() //nolint:forbidigo // measures how long the program ran, tells no time
	deadline, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for _, slots := range []chan struct{}{s.share(p.Host.Tenant()), s.slots} {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		case <-deadline.Done():
			if ctx.Err() != nil {
				return r, ctx.Err()
			}
			return r, unavailable(errors.New("too many programs are running"))
		}
	}
	req := wire.Request{
		Kind: kind, Source: p.Source, Tenant: p.Host.Tenant(), Types: shown(p.Host.Types()), Draft: p.Draft, Event: p.Event,
		Limits: wire.Limits{MemoryBytes: s.cfg.Memory, TimeoutMs: timeout.Milliseconds(), Operations: s.cfg.Operations, ResultBytes: s.cfg.ResultBytes, ConsoleBytes: s.cfg.ConsoleBytes},
	}
	c := &conversation{s: s, host: p.Host, result: &r}
	for attempt := 0; ; attempt++ {
		var w *process
		if w, err = s.take(); err != nil {
			return r, unavailable(err)
		}
		err = c.hold(deadline, w, req)
		if errors.Is(err, errNotBegun) && attempt < 2 && deadline.Err() == nil {
			continue // a process that waited died before it saw the program
		}
		break
	}
	r.Elapsed = time.Since(began)
	switch {
	case ctx.Err() != nil:
		return r, ctx.Err()
	case deadline.Err() != nil && err != nil:
		return r, &Error{Code: CodeTimeout, Message: fmt.Sprintf("the program ran longer than %s and was stopped; %d calls were made, %d of them changes, which stand", timeout, r.Calls, r.Writes)}
	case errors.Is(err, errNotBegun):
		return r, unavailable(err)
	}
	return r, err
}

// share is a tenant's slots: one that fills its own leaves room for the others.
func (s *Sandbox) share(tenant string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.tenants[tenant]
	if c == nil {
		c = make(chan struct{}, max(cap(s.slots)/2, 1))
		s.tenants[tenant] = c
	}
	return c
}

func unavailable(err error) error {
	return &Error{Code: CodeUnavailable, Message: "the program could not be run; try again: " + err.Error()}
}

// shown is what $ needs to know of the types.
func shown(types *graph.Types) []wire.Type {
	var out []wire.Type
	for _, t := range types.All() {
		w := wire.Type{Name: t.Name, Hooks: t.HookNames(), Verbs: []string{}}
		for i := range t.Verbs {
			w.Verbs = append(w.Verbs, t.Verbs[i].Name)
		}
		out = append(out, w)
	}
	return out
}

// command is the worker's command line.
func (s *Sandbox) command() ([]string, error) {
	if len(s.cfg.Worker) > 0 {
		return s.cfg.Worker, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own binary: %w", err)
	}
	return []string{self, WorkerArgument}, nil
}
