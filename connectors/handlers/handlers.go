package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/sandbox"
)

// typ is the entity type of a handler.
const typ = "Handler"

// Limits.
const (
	maxHandlers    = 50 // of one tenant: each after handler has a cursor and a lease of its own
	maxSource      = 64 << 10
	minDeadline    = 50 * time.Millisecond
	maxDeadline    = 10 * time.Second
	refreshEvery   = 200 * time.Millisecond
	loadWithin     = 5 * time.Second
	statusActive   = "Active"
	missingVeto    = "veto"
	parkedInAnswer = 100
)

// Config is what handlers need.
type Config struct {
	Store   *graph.Store
	Sandbox *sandbox.Sandbox
	// Tenants lists the tenants whose after handlers are run.
	Tenants func() []string
	// Status answers $.status(); nil refuses it.
	Status func(ctx context.Context, tenant string) (any, error)
	Logger *slog.Logger
}

// Handlers runs the stored handlers of every tenant.
type Handlers struct {
	cfg  Config
	read func(ctx context.Context, tenant string) ([]handler, error) // load; tests let it fail

	mu    sync.Mutex
	seen  uint64               // the Handler event that the cache stands on
	cache map[string][]handler // by tenant
	runs  map[string]*Runs     // by handler id
}

// handler is one stored handler that is active.
type handler struct {
	graph.Remote
	id, source string
	seq        uint64 // of its last change
}

// New registers the handlers' place in the graph. [Handlers.Run] runs those
// that come after an event.
func New(cfg Config) (*Handlers, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	h := &Handlers{cfg: cfg, cache: map[string][]handler{}, runs: map[string]*Runs{}}
	h.read = h.load
	for _, hook := range []string{"creating", "updating", "rollingBack", "enabling"} {
		if _, err := cfg.Store.Before(typ, hook, h.check); err != nil {
			return nil, err
		}
	}
	cfg.Store.Intercept(h.cares, h.before)
	return h, nil
}

func invalid(field, format string, args ...any) error {
	return &graph.Error{Code: graph.CodeValidation, Type: typ, Field: field, Message: field + ": " + fmt.Sprintf(format, args...)}
}

// check refuses a handler that could not run.
func (h *Handlers) check(ctx context.Context, d *graph.Draft) error {
	hook, _ := d.Fields["hook"].(string)
	r, err := h.cfg.Store.FindHook(d.Tenant, hook)
	if err != nil {
		return err
	}
	source, _ := d.Fields["source"].(string)
	deadline := milliseconds(d.Fields["deadlineMs"])
	switch {
	case r.Type == typ:
		return invalid("hook", "handlers have no hooks of their own")
	case len(source) > maxSource:
		return invalid("source", "has %d bytes, %d are taken", len(source), maxSource)
	case deadline != 0 && (deadline < minDeadline || deadline > maxDeadline):
		return invalid("deadlineMs", "want %d to %d", minDeadline.Milliseconds(), maxDeadline.Milliseconds())
	}
	if d.Current == nil {
		n, err := d.Graph().Count(ctx, typ, nil, graph.AsOf{})
		if err != nil {
			return err
		}
		if n >= maxHandlers {
			return invalid("name", "a tenant has at most %d handlers; delete one", maxHandlers)
		}
	}
	var fault *sandbox.Error
	if err := h.cfg.Sandbox.Check(ctx, source, &sandbox.GraphHost{Scope: d.Graph()}); errors.As(err, &fault) && fault.Code != sandbox.CodeUnavailable {
		return invalid("source", "%s", fault.Message)
	} else if err != nil {
		return &graph.Error{Code: graph.CodeUnavailable, Type: typ, Message: "the source could not be compiled now; try again", Err: err}
	}
	d.Fields["hook"], d.Fields["phase"] = r.Path(), string(r.Phase)
	return nil
}

func milliseconds(v any) time.Duration {
	n, _ := v.(json.Number)
	ms, err := strconv.ParseInt(string(n), 10, 64)
	if err != nil || ms < 0 || ms > int64(time.Hour/time.Millisecond) {
		return -1
	}
	return time.Duration(ms) * time.Millisecond
}

// of gives a tenant's active handlers, by name. They are read again after any
// handler has changed. An error means that it is not known which there are:
// neither may a mutation go past one that could veto it, nor counts one as
// deleted.
func (h *Handlers) of(tenant string) ([]handler, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at := h.cfg.Store.LastOf(typ); at != h.seen {
		clear(h.cache)
		h.seen = at
	}
	list, ok := h.cache[tenant]
	if ok {
		return list, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), loadWithin)
	defer cancel()
	list, err := h.read(ctx, tenant)
	if err != nil {
		h.cfg.Logger.Error("handlers.load", slog.String("tenant", tenant), slog.Any("error", err))
		return nil, &graph.Error{Code: graph.CodeUnavailable, Type: typ, Message: "the stored handlers cannot be read now; try again", RetryAfter: time.Second, Err: err}
	}
	h.cache[tenant] = list
	return list, nil
}

func (h *Handlers) load(ctx context.Context, tenant string) ([]handler, error) {
	scope, err := h.cfg.Store.Scope(tenant, graph.Anonymous)
	if err != nil {
		return nil, err
	}
	page, err := scope.Find(ctx, graph.Query{Type: typ, Filter: map[string]any{"status": statusActive}, Sort: []string{"name"}, Limit: graph.MaxLimit, NoTotal: true})
	if err != nil {
		return nil, err
	}
	var out []handler
	for _, e := range page.Results {
		r, err := h.cfg.Store.FindHook(tenant, e.Text("hook"))
		if err != nil { // of a types file that is gone
			h.cfg.Logger.Warn("handlers.hook_unknown", slog.String("tenant", tenant), slog.String("handler", e.ID), slog.Any("error", err))
			continue
		}
		r.Name, r.Missing, r.Deadline = e.Text("name"), graph.Missing(e.Text("missing")), milliseconds(e.Fields()["deadlineMs"])
		out = append(out, handler{Remote: r, id: e.ID, source: e.Text("source"), seq: e.Seq})
	}
	return out, nil
}

// matching gives the before handlers of a mutation.
func (h *Handlers) matching(tenant, entity, verb string) ([]handler, error) {
	if entity == typ {
		return nil, nil
	}
	all, err := h.of(tenant)
	var out []handler
	for _, s := range all {
		if s.Phase == graph.Before && s.Verb() == verb && (s.Type == "*" || s.Type == entity) {
			out = append(out, s)
		}
	}
	return out, err
}

func (h *Handlers) cares(tenant, entity, verb string) bool {
	list, err := h.matching(tenant, entity, verb)
	return err != nil || len(list) > 0
}

// before shows a draft to its handlers.
func (h *Handlers) before(ctx context.Context, d *graph.Draft) error {
	list, err := h.matching(d.Tenant, d.Type, d.Verb) //nolint:contextcheck // the list is shared with other callers: reading it has a deadline of its own
	if err != nil {
		return err
	}
	for _, s := range list {
		draft, err := d.MarshalJSON()
		if err != nil {
			return err
		}
		r, err := h.run(ctx, &s, d.Graph(), draft, nil)
		var fault *sandbox.Error
		switch {
		case err == nil:
			var patch map[string]any
			dec := json.NewDecoder(strings.NewReader(string(r.Patch)))
			dec.UseNumber()
			if err := dec.Decode(&patch); err != nil {
				return err
			}
			if err := d.Patch(patch); err != nil {
				return err
			}
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &fault) && vetoes(fault):
			return errors.New(fault.Message)
		case s.Missing == missingVeto:
			return &graph.Error{Code: graph.CodeVetoed, Type: d.Type, Message: fmt.Sprintf("the handler %q of %s failed, and it must be asked: %v", s.Name, s.Path(), err), Err: err}
		}
	}
	return nil
}

// vetoes says whether a handler threw, as against having failed to run: what it
// threw may be an error of the graph that it let pass.
func vetoes(e *sandbox.Error) bool {
	return !slices.Contains([]string{sandbox.CodeTimeout, sandbox.CodeMemory, sandbox.CodeCrashed, sandbox.CodeTooMany, sandbox.CodeOperations, sandbox.CodeTooLarge, sandbox.CodeUnavailable, sandbox.CodeSyntax}, e.Code)
}

// run runs a handler once.
func (h *Handlers) run(ctx context.Context, s *handler, scope *graph.Scope, draft, event []byte) (sandbox.Result, error) {
	own, err := scope.As(s.id)
	if err != nil {
		return sandbox.Result{}, err
	}
	host := &sandbox.GraphHost{Scope: own, Status: h.cfg.Status, Permit: func(kind, entity string) error {
		if kind == sandbox.AccessSQL || entity == "ApiKey" {
			return &graph.Error{Code: graph.CodeForbidden, Message: "a stored handler sees neither SQL nor keys; do this with a key of your own"}
		}
		return nil
	}}
	r, err := h.cfg.Sandbox.Run(ctx, sandbox.Program{Source: s.source, Handler: true, Draft: draft, Event: event, Timeout: s.Deadline, Host: host})
	if ctx.Err() == nil {
		h.note(s.id, r, err)
	}
	for _, line := range r.Console {
		h.cfg.Logger.Debug("handlers.console", slog.String("tenant", own.Tenant()), slog.String("handler", s.id), slog.String("level", line.Level), slog.String("text", line.Text))
	}
	return r, err
}
