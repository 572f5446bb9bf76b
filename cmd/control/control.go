package control

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/store"
)

// maxBody bounds a request to the control plane.
const maxBody = 1 << 20

// Config is what the control plane needs.
type Config struct {
	Store     *store.Store
	PublicURL string // host of $context
	// Check says whether the destinations can be built: their rules, templates
	// and addresses. It joins one *headlessly.FieldError for each fault.
	Check func(headlessly.Destinations) error
	// SQL answers a query of a tenant ("" asks over all of them).
	SQL func(ctx context.Context, tenant string, q Query, w io.Writer) error
	// Live shows what arrives to emit until ctx ends.
	Live func(ctx context.Context, tenant string, f LiveFilter, emit func(kind string, v any) error) error
	// Status describes a tenant's health.
	Status func(ctx context.Context, tenant string) (any, error)
	// Ready is nil while events are accepted.
	Ready  func() error
	Logger *slog.Logger
	// Mount adds handlers for further path prefixes, such as metrics.
	Mount map[string]http.Handler
}

// Plane is the control plane's handler.
type Plane struct {
	cfg     Config
	mux     *http.ServeMux
	running running
}

// New makes the handler.
func New(cfg Config) *Plane {
	p := &Plane{cfg: cfg, mux: http.NewServeMux()}
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
	p.mux.HandleFunc("GET /debug/pprof/", p.profile)
	p.mux.HandleFunc("/", p.tenant)
	return p
}

// ServeHTTP implements http.Handler.
func (p *Plane) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
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
	tenant, path, _ := strings.Cut(rest, "/")
	key, ok := p.authenticate(w, r, tenant)
	if !ok {
		return
	}
	c := call{w: w, r: r, tenant: tenant, key: key}
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case path == "sql":
		c.only(http.MethodPost, p.sql)
	case len(parts) == 2 && parts[0] == "sql":
		c.only(http.MethodGet, func(c call) { p.progress(c, parts[1]) })
	case path == "events/live":
		c.only(http.MethodGet, p.live)
	case path == "status":
		c.only(http.MethodGet, p.status)
	case parts[0] == "keys":
		p.keys(c, parts[1:]) //nolint:contextcheck // the call carries its request, and that its context
	case parts[0] == "Integration":
		p.integration(c, parts[1:]) //nolint:contextcheck // the call carries its request, and that its context
	default:
		writeError(w, http.StatusNotFound, "not_found", "", "there is nothing at this path; known are Integration, keys, sql, status")
	}
}

// authenticate finds the caller's key and checks that it may act for tenant.
func (p *Plane) authenticate(w http.ResponseWriter, r *http.Request, tenant string) (headlessly.Key, bool) {
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") || value == "" {
		w.Header().Set("WWW-Authenticate", "Bearer")
		writeError(w, http.StatusUnauthorized, "unauthorized", "key", "send Authorization: Bearer hly_sk_…")
		return headlessly.Key{}, false
	}
	key, ok := p.cfg.Store.Authenticate(strings.TrimSpace(value))
	switch {
	case !ok:
		w.Header().Set("WWW-Authenticate", "Bearer")
		writeError(w, http.StatusUnauthorized, "unauthorized", "key", "the key is unknown or revoked")
	case key.Kind == headlessly.KeyPublic:
		writeError(w, http.StatusForbidden, "forbidden", "key", "a public key only appends events; use the secret key (hly_sk_…)")
	case r.Header.Get("Origin") != "":
		writeError(w, http.StatusForbidden, "forbidden", "key", "a secret key came from a browser: revoke it, and call from a server")
	case key.Kind != headlessly.KeyAdmin && key.Tenant != tenant:
		writeError(w, http.StatusForbidden, "forbidden", "tenant", "the key belongs to another tenant")
	case tenant == "" && key.Kind == headlessly.KeyAdmin && strings.HasPrefix(r.URL.Path, "/~/sql"):
		return key, true // SQL over every tenant
	case !p.cfg.Store.HasTenant(tenant):
		writeError(w, http.StatusNotFound, "not_found", "tenant", "there is no such tenant; declare it under tenants in the configuration file")
	default:
		return key, true
	}
	return headlessly.Key{}, false
}

// only lets one method through.
func (c call) only(method string, next func(call)) {
	if c.r.Method != method {
		c.w.Header().Set("Allow", method)
		writeError(c.w, http.StatusMethodNotAllowed, "method_not_allowed", "", "use "+method)
		return
	}
	next(c)
}

func (p *Plane) status(c call) {
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
	switch {
	case errors.Is(err, store.ErrNotFound):
		writeError(c.w, http.StatusNotFound, "not_found", "id", "this tenant has no such integration")
	case errors.As(err, &field):
		writeFaults(c.w, err)
	default:
		p.cfg.Logger.Error("control.fault", slog.String("path", c.r.URL.Path), slog.Any("error", err))
		writeError(c.w, http.StatusInternalServerError, "internal", "", "the gateway has a fault; its log says more")
	}
}
