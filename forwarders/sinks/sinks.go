package sinks

import (
	"compress/flate"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/headlessly/headlessly"
)

// Kinds of stand-in.
const (
	GA4     = "ga4"
	Sentry  = "sentry"
	PostHog = "posthog"
	Hook    = "hook"
	// PostHogFiles is what posthog-js asks for besides: flags, configuration
	// and static files.
	PostHogFiles = "posthog-files"
)

// DefaultKeep is how many events are kept.
const DefaultKeep = 100_000

// maxBody is the most of a request that is read: PostHog's limit.
const maxBody = 20 << 20

// Config makes stand-ins.
type Config struct {
	Clock headlessly.Clock // default the machine's
	// Keep bounds the events kept; the oldest go first. Default [DefaultKeep].
	Keep int
	// NoV1 leaves PostHog's new route out, as older installations do.
	NoV1 bool
}

// Event is one event as a provider understood it.
type Event struct {
	Seq  int       `json:"seq"`
	At   time.Time `json:"at"`
	Kind string    `json:"kind"`
	// Route is the path, Project what it was for: measurement id, project id or
	// API key.
	Route   string `json:"route"`
	Project string `json:"project"`
	// ID is what the provider deduplicates by, "" where it does not; Duplicate
	// means that it came before and the provider would drop it.
	ID        string `json:"id,omitempty"`
	Duplicate bool   `json:"duplicate,omitempty"`
	Name      string `json:"name"`
	Visitor   string `json:"visitor,omitempty"`
	// Request is the request without its events, Payload the event.
	Request map[string]any  `json:"request,omitempty"`
	Payload json.RawMessage `json:"payload"`
	// Violations are what the provider would drop, cut or refuse of it.
	Violations []string `json:"violations,omitempty"`
}

// Sinks is an http.Handler; make it with [New]. Safe for concurrent use.
type Sinks struct {
	cfg Config
	mux *http.ServeMux

	mu         sync.Mutex
	events     []Event
	seq        int
	counts     map[string]int
	requests   map[string]int
	duplicates map[string]int
	refused    map[string]int
	violations []string
	seen       map[string]struct{}
	faults     []*Fault
}

// New makes stand-ins.
func New(cfg Config) *Sinks {
	if cfg.Clock == nil {
		cfg.Clock = headlessly.SystemClock
	}
	if cfg.Keep <= 0 {
		cfg.Keep = DefaultKeep
	}
	s := &Sinks{cfg: cfg, mux: http.NewServeMux()}
	s.Reset()
	s.route("/mp/collect", GA4, s.mpCollect)
	s.route("/debug/mp/collect", GA4, s.mpDebug)
	s.route("/g/collect", GA4, s.gCollect)
	s.route("/api/{project}/envelope/", Sentry, s.envelope)
	for _, path := range []string{"/batch/", "/batch", "/capture/", "/e/", "/i/v0/e/"} {
		s.route(path, PostHog, s.capture)
	}
	if !cfg.NoV1 {
		s.route("/i/v1/analytics/events", PostHog, s.captureV1)
	}
	for _, path := range []string{"/flags/", "/decide/", "/array/", "/static/", "/api/surveys/{$}", "/api/web_experiments/{$}", "/api/early_access_features/{$}"} {
		s.route(path, PostHogFiles, s.files)
	}
	s.route("/hook/", Hook, s.hook)
	s.mux.HandleFunc("GET /_/received", s.received)
	s.mux.HandleFunc("GET /{$}", s.page)
	return s
}

// route adds a stand-in's route: faults first, then the body, then the answer.
func (s *Sinks) route(path, kind string, answer func(http.ResponseWriter, *http.Request, []byte)) {
	s.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests[kind]++
		s.mu.Unlock()
		f := s.fault(kind)
		if f != nil && f.before(w, r) {
			return
		}
		body, status, err := read(r)
		if err != nil {
			s.refuse(w, kind, status, err.Error())
			return
		}
		if f != nil && f.after(w, r, body) {
			return
		}
		answer(w, r, body)
		if f != nil && f.LoseAnswer {
			f.hangUp(w)
		}
	})
}

// ServeHTTP implements http.Handler.
func (s *Sinks) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// read takes the body in whatever encoding it came.
func read(r *http.Request) ([]byte, int, error) {
	var body io.Reader = r.Body
	var err error
	switch enc := r.Header.Get("Content-Encoding"); enc {
	case "", "identity":
	case "gzip":
		body, err = gzip.NewReader(body)
	case "deflate":
		body = flate.NewReader(body)
	case "br":
		body = brotli.NewReader(body)
	case "zstd":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(body); err == nil {
			defer z.Close()
			body = z
		}
	default:
		return nil, http.StatusUnsupportedMediaType, fmt.Errorf("unknown content encoding %q", enc)
	}
	if err != nil {
		return nil, http.StatusBadRequest, fmt.Errorf("read body: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	switch {
	case err != nil:
		return nil, http.StatusBadRequest, fmt.Errorf("read body: %w", err)
	case len(b) > maxBody:
		return nil, http.StatusRequestEntityTooLarge, errors.New("body is over 20 MiB")
	}
	return b, 0, nil
}

// add keeps an event.
func (s *Sinks) add(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	e.Seq, e.At = s.seq, s.cfg.Clock()
	if e.ID != "" {
		key := e.Kind + "\x00" + e.Project + "\x00" + e.ID
		if _, e.Duplicate = s.seen[key]; e.Duplicate {
			s.duplicates[e.Kind]++
		}
		s.seen[key] = struct{}{}
	}
	s.counts[e.Kind]++
	for _, v := range e.Violations {
		if len(s.violations) < 1000 {
			s.violations = append(s.violations, e.Kind+" "+e.Name+": "+v)
		}
	}
	if len(s.events) >= s.cfg.Keep { // drop a tenth at once, so that it is cheap
		s.events = append(s.events[:0:0], s.events[max(1, s.cfg.Keep/10):]...)
	}
	s.events = append(s.events, e)
}

// refuse answers an error as a provider would and counts it.
func (s *Sinks) refuse(w http.ResponseWriter, kind string, status int, detail string) {
	s.mu.Lock()
	s.refused[kind]++
	if len(s.violations) < 1000 {
		s.violations = append(s.violations, fmt.Sprintf("%s refused with %d: %s", kind, status, detail))
	}
	s.mu.Unlock()
	if kind == Sentry {
		w.Header().Set("X-Sentry-Error", detail)
	}
	writeJSON(w, status, map[string]any{"detail": detail, "type": "validation_error"})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// Events gives what is kept of one kind ("" for all), oldest first.
func (s *Sinks) Events(kind string) []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Event
	for _, e := range s.events {
		if kind == "" || e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

// Counts are totals by kind since the start or the last Reset.
type Counts struct {
	Requests   map[string]int `json:"requests"`
	Events     map[string]int `json:"events"`
	Duplicates map[string]int `json:"duplicates"`
	Refused    map[string]int `json:"refused"`
}

// Counts gives the totals.
func (s *Sinks) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Counts{Requests: clone(s.requests), Events: clone(s.counts), Duplicates: clone(s.duplicates), Refused: clone(s.refused)}
}

// Violations gives what providers would have dropped, cut or refused.
func (s *Sinks) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.violations...)
}

// Reset forgets everything, faults as well.
func (s *Sinks) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events, s.violations, s.faults, s.seq = nil, nil, nil, 0
	s.counts, s.requests, s.duplicates, s.refused = map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	s.seen = map[string]struct{}{}
}

func clone(m map[string]int) map[string]int {
	out := make(map[string]int, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

// trimSlash cuts a path to what names the route.
func trimSlash(path string) string { return strings.TrimSuffix(path, "/") }
