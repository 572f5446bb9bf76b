package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/headlessly/headlessly/connectors/graph"
)

// Config is what a server needs.
type Config struct {
	Store *graph.Store
	// Authenticate says who a key is within a tenant; its error is a
	// *graph.Error of code unauthorized, forbidden or not_found. It is asked
	// again while the connection lasts, so it must be quick. Required.
	Authenticate func(tenant, key string) (Caller, error)

	// PingEvery is how often a silent client is looked after; 20 s unless set.
	PingEvery time.Duration
	// HelloWithin is how long a client may take to say who it is; 10 s unless set.
	HelloWithin time.Duration
	Logger      *slog.Logger
}

// Caller is who is behind a key.
type Caller struct {
	Actor string
	// May says whether the key's scopes let it see entities of a type ("*" for
	// all types), or write them.
	May func(write bool, typ string) bool
}

// Limits.
const (
	maxMessage       = 1 << 20 // bytes, either way
	maxRegistrations = 200     // of one connection
	maxConnections   = 100     // of one tenant
	writeWithin      = 10 * time.Second
	takeOverWithin   = 5 * time.Second
)

// Server holds the clients' connections. Safe for concurrent use.
type Server struct {
	cfg Config

	mu     sync.Mutex
	open   map[*session]bool
	byName map[string]*session // tenant/client
	perTen map[string]int
	closed bool
	ended  sync.WaitGroup
}

// New makes a server. Close it before the store.
func New(cfg Config) *Server {
	if cfg.PingEvery <= 0 {
		cfg.PingEvery = 20 * time.Second
	}
	if cfg.HelloWithin <= 0 {
		cfg.HelloWithin = 10 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Server{cfg: cfg, open: map[*session]bool{}, byName: map[string]*session{}, perTen: map[string]int{}}
}

// Close tells every client to come back later and waits until their hooks are
// at rest.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for c := range s.open {
		go c.end(websocket.StatusGoingAway, "the server shuts down")
	}
	s.mu.Unlock()
	s.ended.Wait()
}

// WebSocket serves one client of a tenant until it goes. It authenticates the
// client itself: by the Authorization header, or by its first message.
func (s *Server) WebSocket(w http.ResponseWriter, r *http.Request, tenant string) {
	key, caller := "", Caller{}
	if scheme, value, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "bearer") {
		var err error
		key = strings.TrimSpace(value)
		if caller, err = s.cfg.Authenticate(tenant, key); err != nil {
			writeError(w, err)
			return
		}
	}
	if r.Header.Get("Origin") != "" {
		writeError(w, &graph.Error{Code: graph.CodeForbidden, Message: "hooks need a secret key, which does not belong into a browser: connect from a server"})
		return
	}
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // it has answered
	}
	ws.SetReadLimit(maxMessage)
	c := newSession(s, ws, tenant, key, caller)
	switch open, room := s.add(c); {
	case !open:
		c.end(websocket.StatusGoingAway, "the server shuts down")
		return
	case !room:
		c.refuse(closeTooMany, &graph.Error{Code: graph.CodeRateLimited, Message: "too many connections for hooks: close some, or come back later"}) //nolint:contextcheck // the connection outlives its request
		return
	}
	defer s.ended.Done()
	c.run(context.WithoutCancel(r.Context()))
}

// add counts a connection in.
func (s *Server) add(c *session) (open, room bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.perTen[c.tenant] >= maxConnections {
		return !s.closed, false
	}
	s.open[c] = true
	s.perTen[c.tenant]++
	s.ended.Add(1)
	return true, true
}

// remove counts a connection out.
func (s *Server) remove(c *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	if s.perTen[c.tenant]--; s.perTen[c.tenant] <= 0 {
		delete(s.perTen, c.tenant)
	}
	if name := c.tenant + "/" + c.client; c.client != "" && s.byName[name] == c {
		delete(s.byName, name)
	}
}

// takeOver makes c the connection of its client; an older one is ended, and
// waited for, so that its hooks are free.
func (s *Server) takeOver(ctx context.Context, c *session) {
	name := c.tenant + "/" + c.client
	s.mu.Lock()
	old := s.byName[name]
	s.byName[name] = c
	s.mu.Unlock()
	if old == nil {
		return
	}
	go old.end(closeReplaced, "a newer connection of this client took over")
	select {
	case <-old.done:
	case <-time.After(takeOverWithin):
	case <-ctx.Done():
	}
}

// listed is a hook as the REST list shows it.
type listed struct {
	Hook       string        `json:"hook"`
	Phase      graph.Phase   `json:"phase"`
	Name       string        `json:"name"`
	Missing    graph.Missing `json:"missing,omitempty"`
	DeadlineMs int64         `json:"deadlineMs,omitempty"`
	// Through is up to which event an after hook has taken all of them.
	Through uint64 `json:"through,omitempty"`
	Parked  int    `json:"parked,omitempty"`
}

// REST lists the tenant's hooks and forgets one; path is what follows
// /~{tenant}/hooks. The caller has authenticated the request.
func (s *Server) REST(w http.ResponseWriter, r *http.Request, tenant, path string) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case path == "" && r.Method == http.MethodGet:
		out, err := s.list(r.Context(), tenant)
		if err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, http.StatusOK, map[string]any{"results": out, "total": len(out), "hasMore": false})
	case len(parts) == 2 && r.Method == http.MethodDelete:
		if err := s.cfg.Store.ForgetRemote(r.Context(), tenant, parts[0], parts[1]); err != nil {
			writeError(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	case path == "" || len(parts) == 2:
		writeError(w, &graph.Error{Code: graph.CodeNotAllowed, Message: "hooks knows GET; hooks/{hook}/{name} knows DELETE"})
	default:
		writeError(w, &graph.Error{Code: graph.CodeNotFound, Message: "hooks knows GET hooks, DELETE hooks/{hook}/{name} and the WebSocket hooks/ws"})
	}
}

func (s *Server) list(ctx context.Context, tenant string) ([]listed, error) {
	out := []listed{}
	for _, h := range s.cfg.Store.Remotes(tenant) {
		l := listed{Hook: h.Path(), Phase: h.Phase, Name: h.Name, Missing: h.Missing, DeadlineMs: h.Deadline.Milliseconds()}
		if h.Phase == graph.After {
			parked, err := s.cfg.Store.Parked(ctx, h.Cursor())
			if err != nil {
				return nil, err
			}
			l.Parked = len(parked)
			if l.Through, err = s.cfg.Store.Through(ctx, h.Cursor()); err != nil {
				return nil, err
			}
		}
		out = append(out, l)
	}
	return out, nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone when this fails
}

func writeError(w http.ResponseWriter, err error) {
	e := asError(err)
	if e.Code == graph.CodeUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeJSON(w, e.Status(), e)
}

func asError(err error) *graph.Error {
	var e *graph.Error
	if errors.As(err, &e) {
		return e
	}
	return &graph.Error{Code: graph.CodeInternal, Message: "the gateway has a fault; its log says more", Err: err}
}
