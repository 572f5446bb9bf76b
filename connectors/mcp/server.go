package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/sandbox"
)

// Config is what a server needs.
type Config struct {
	Store   *graph.Store
	Sandbox *sandbox.Sandbox
	// Status and SQL answer for a tenant; see [sandbox.GraphHost].
	Status func(ctx context.Context, tenant string) (any, error)
	SQL    func(ctx context.Context, tenant, sql string) ([]json.RawMessage, error)
	// Docs are Markdown files, shown as resources; nil for none.
	Docs    fs.FS
	Version string
	Logger  *slog.Logger
}

// Caller is who an HTTP request comes from, authenticated.
type Caller struct {
	Scope *graph.Scope
	// Permit refuses what the caller's key may not do; see [sandbox.GraphHost].
	// Nil permits everything.
	Permit func(kind, typ string) error
}

// Server answers agents. Safe for concurrent use.
type Server struct {
	cfg Config
	// protocol is the log of the protocol's library, which tells of each call at
	// lesser levels.
	protocol *slog.Logger
	http     *sdk.StreamableHTTPHandler
	docs     []document
}

type callerKey struct{}

// maxBody bounds a request.
const maxBody = 1 << 20

// New makes a server.
func New(cfg Config) (*Server, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, protocol: slog.New(faults{cfg.Logger.Handler()})}
	var err error
	if s.docs, err = documents(cfg.Docs); err != nil {
		return nil, err
	}
	s.http = sdk.NewStreamableHTTPHandler(func(r *http.Request) *sdk.Server {
		c, ok := r.Context().Value(callerKey{}).(Caller)
		if !ok {
			return nil
		}
		return s.of(c)
	}, &sdk.StreamableHTTPOptions{Stateless: true, JSONResponse: true, MaxRequestBodyBytes: maxBody, PropagateRequestCancellation: true, Logger: s.protocol})
	return s, nil
}

// Serve answers one HTTP request of a caller.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request, c Caller) {
	s.http.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
}

// instructions are what an agent reads first.
const instructions = `headless.ly keeps a business as typed entities (Contact, Deal, Subscription, Issue, Integration, …) with verbs, events and history. ` +
	`Start with fetch {"type":"Schema"}. Change things with do: await $.Deal.win(id); await $.Contact.update(id, {stage:'Customer'}). ` +
	`In do, $.sql reads analytics tables and $.status() the health. Errors name the field at fault and what to do.`

// of makes the protocol's server for one caller.
func (s *Server) of(c Caller) *sdk.Server {
	a := &agent{s: s, scope: c.Scope, permit: c.Permit}
	if a.permit == nil {
		a.permit = func(string, string) error { return nil }
	}
	srv := sdk.NewServer(&sdk.Implementation{Name: "headlessly", Version: s.cfg.Version}, &sdk.ServerOptions{
		Instructions: instructions, Logger: s.protocol, Capabilities: &sdk.ServerCapabilities{}, CompletionHandler: a.complete,
	})
	for _, t := range tools() {
		do := map[string]func(context.Context, json.RawMessage) (any, error){"search": a.search, "fetch": a.fetch, "do": a.do}[t.Name]
		srv.AddTool(t, func(ctx context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			return s.answer(do(ctx, r.Params.Arguments))
		})
	}
	s.resources(srv, a)
	prompts(srv)
	return srv
}

// agent is one caller's view.
type agent struct {
	s      *Server
	scope  *graph.Scope
	permit func(kind, typ string) error
}

// answer writes a tool's result, or its error as one that an agent can act on.
func (s *Server) answer(v any, err error) (*sdk.CallToolResult, error) {
	out := &sdk.CallToolResult{}
	if err != nil {
		out.IsError = true
		v = s.explain(err)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	out.StructuredContent = json.RawMessage(raw)
	out.Content = []sdk.Content{&sdk.TextContent{Text: string(raw)}}
	return out, nil
}

// explain gives an error the body that REST gives it.
func (s *Server) explain(err error) any {
	var known *graph.Error
	var program *programError
	switch {
	case errors.As(err, &program):
		return program.failed
	case errors.As(err, &known):
		return known
	}
	s.cfg.Logger.Error("mcp.fault", slog.Any("error", err))
	return &graph.Error{Code: graph.CodeInternal, Message: "the gateway has a fault; its log says more"}
}

// faults is a log of warnings and errors alone.
type faults struct{ slog.Handler }

// Enabled implements slog.Handler.
func (f faults) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && f.Handler.Enabled(ctx, l)
}

// WithAttrs implements slog.Handler.
func (f faults) WithAttrs(attrs []slog.Attr) slog.Handler { return faults{f.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (f faults) WithGroup(name string) slog.Handler { return faults{f.Handler.WithGroup(name)} }
