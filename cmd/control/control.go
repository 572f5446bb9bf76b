package control

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/handlers"
	"github.com/headlessly/headlessly/connectors/hooks"
	"github.com/headlessly/headlessly/connectors/mcp"
	"github.com/headlessly/headlessly/connectors/store"
)

// maxBody bounds a request to the control plane.
const maxBody = 1 << 20

// Config is what the control plane needs.
type Config struct {
	Store     *store.Store
	Graph     *graph.Store
	Hooks     *hooks.Server // of clients that run hooks
	Handlers  *handlers.Handlers
	MCP       *mcp.Server
	PublicURL string // host of $context
	// RequestsPerMinute is what one key may ask for; 0 is [DefaultRequests].
	RequestsPerMinute int
	// Ended is closed when the gateway stops: streams have no end of their own.
	Ended <-chan struct{}
	Clock headlessly.Clock // the system's unless set
	// SQL answers a query of a tenant ("" asks over all of them).
	SQL func(ctx context.Context, tenant string, q Query, w io.Writer) error
	// Live shows what arrives to emit until ctx ends.
	Live func(ctx context.Context, tenant string, f LiveFilter, emit func(kind string, v any) error) error
	// Forwarding is nil where nothing is forwarded.
	Forwarding Forwarding
	// Forgetting deletes people.
	Forgetting Forgetting
	// Status describes a tenant's health.
	Status func(ctx context.Context, tenant string) (any, error)
	// Webhooks answers below …/webhooks; nil for nothing there.
	Webhooks *Webhooks
	// Ready is nil while events are accepted.
	Ready  func() error
	Logger *slog.Logger
	// Mount adds handlers for further path prefixes, such as metrics.
	Mount map[string]http.Handler
}

// DefaultRequests is how many requests a key may make within a minute.
const DefaultRequests = 12_000

// Plane is the control plane's handler.
type Plane struct {
	cfg      Config
	rates    rates
	sessions sessions
	routes   map[string][]served // by their first part
	mux      *http.ServeMux
	running  running
}

// New makes the handler.
func New(cfg Config) *Plane {
	if cfg.Clock == nil {
		cfg.Clock = headlessly.SystemClock
	}
	if cfg.RequestsPerMinute == 0 {
		cfg.RequestsPerMinute = DefaultRequests
	}
	p := &Plane{cfg: cfg, mux: http.NewServeMux(), rates: rates{limit: cfg.RequestsPerMinute, clock: cfg.Clock, keys: map[string]*window{}}}
	p.routes = map[string][]served{}
	for _, r := range p.table() {
		first, _, _ := strings.Cut(r.path[1:], "/")
		p.routes[first] = append(p.routes[first], r)
	}
	if cfg.Store != nil {
		cfg.Store.OnRevoke(p.sessions.revoke)
	}
	p.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
	})
	p.mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := cfg.Ready(); err != nil {
			writeError(w, http.StatusServiceUnavailable, "unavailable", "", err.Error())
			return
		}
		writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	})
	for path, h := range cfg.Mount {
		p.mux.Handle(path, h)
	}
	p.mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) { p.openapi(w, defaultTenant) })
	p.mux.HandleFunc("GET /debug/pprof/", p.profile)
	p.mux.HandleFunc("/", p.tenant)
	return p
}

// ServeHTTP implements http.Handler.
func (p *Plane) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	limit := int64(maxBody)
	switch path.Base(r.URL.Path) {
	case "batch":
		limit = maxBatchBody
	case "import":
		limit = math.MaxInt64 // read line by line
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	p.mux.ServeHTTP(w, r)
}

// call is one authenticated request below /~{tenant}/.
type call struct {
	w      http.ResponseWriter
	r      *http.Request
	tenant string
	key    headlessly.Key
}

// tenant authenticates and routes what is below /~{tenant}/.
func (p *Plane) tenant(w http.ResponseWriter, r *http.Request) {
	rest, ok := strings.CutPrefix(r.URL.Path, "/~")
	if !ok {
		writeError(w, http.StatusNotFound, "not_found", "", "there is nothing at this path; the control plane lives below /~{tenant}/")
		return
	}
	tenant, below, _ := strings.Cut(rest, "/")
	if below == hooksSocket && p.cfg.Hooks != nil {
		p.cfg.Hooks.WebSocket(w, r, tenant) // it authenticates by its first message, too
		return
	}
	key, ok := p.authenticate(w, r, tenant)
	if !ok {
		return
	}
	if !p.rates.allowed(w, key.ID) {
		return
	}
	c := call{w: w, r: r, tenant: tenant, key: key}
	parts := strings.Split(strings.Trim(below, "/"), "/")
	if scope, typ := scopeOf(r, parts); !allows(key.Scopes, scope, typ) {
		p.fail(c, outOfScope(scope, typ))
		return
	}
	switch {
	case p.fixed(c, parts): //nolint:contextcheck // the call carries its request, and that its context
	case p.cfg.Graph != nil && parts[0] != "":
		p.entities(c, parts) //nolint:contextcheck // the call carries its request, and that its context
	default:
		c.nothing()
	}
}

// nothing answers a path that leads nowhere.
func (c call) nothing() {
	writeError(c.w, http.StatusNotFound, "not_found", "", "there is nothing at this path; /openapi.json and the README name what there is")
}

func (p *Plane) showStatus(c call) {
	s, err := p.cfg.Status(c.r.Context(), c.tenant)
	if err != nil {
		p.fail(c, err)
		return
	}
	writeJSON(c.w, http.StatusOK, s)
}

// fail answers an error: input at fault as 400, the rest as 500.
func (p *Plane) fail(c call, err error) {
	var field *headlessly.FieldError
	var known *graph.Error
	switch {
	case errors.As(err, &known):
		p.refuse(c, known)
	case c.r.Context().Err() != nil: // nobody waits for the answer
	case errors.As(err, &field):
		writeFaults(c.w, err)
	default:
		p.cfg.Logger.Error("control.fault", slog.String("path", c.r.URL.Path), slog.Any("error", err))
		writeError(c.w, http.StatusInternalServerError, "internal", "", "the gateway has a fault; its log says more")
	}
}

// refuse answers an error of the graph.
func (p *Plane) refuse(c call, e *graph.Error) {
	status := e.Status()
	switch {
	case e.RetryAfter > 0:
		c.w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	case status == http.StatusMethodNotAllowed:
		c.w.Header().Set("Allow", http.MethodGet)
	}
	if status >= http.StatusInternalServerError {
		p.cfg.Logger.Warn("control.unavailable", slog.String("path", c.r.URL.Path), slog.Any("error", e))
	}
	writeJSON(c.w, status, e)
}

// known gives an error the form that clients know; one that is our own fault is
// logged and not shown.
func (p *Plane) known(c call, err error) *graph.Error {
	var e *graph.Error
	if errors.As(err, &e) {
		return e
	}
	p.cfg.Logger.Error("control.fault", slog.String("path", c.r.URL.Path), slog.Any("error", err))
	return &graph.Error{Code: graph.CodeInternal, Message: "the gateway has a fault; its log says more"}
}
