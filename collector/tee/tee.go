package tee

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/headlessly/headlessly"
)

// Kind is a sort of request.
type Kind int

// Kinds.
const (
	GA             Kind = iota + 1 // gtag's events
	Sentry                         // an envelope
	PostHogEvents                  // events
	PostHogRecords                 // session recordings, logs, metrics
	PostHogFlags                   // flags and remote configuration, by a key in the body or the query
	PostHogConfig                  // configuration, by a key in the path
	PostHogAsset                   // a static file, which belongs to nobody
)

// Request is what came in.
type Request struct {
	Path   string
	Query  string
	Header func(name string) string
	Body   []byte // as it came
	Now    time.Time
	// Inflate decompresses within the listener's bounds.
	Inflate func(encoding string, body []byte) ([]byte, error)
}

// Result is what a request says.
type Result struct {
	Claim  headlessly.TunnelClaim
	Events []json.RawMessage // native events
}

// ErrNoKey means that a request does not say whose it is.
var ErrNoKey = errors.New("the request names no project: neither a measurement id (tid) nor a DSN key nor a project key was found in it")

// Match tells what a path below the listener's root is for; ok is false for a
// path of nobody's.
func Match(path string) (kind Kind, ok bool) {
	if !plain(path) {
		return 0, false
	}
	trimmed := strings.TrimSuffix(path, "/")
	switch trimmed {
	case "/g/collect":
		return GA, trimmed == path
	case "/i/v0/e", "/i/v1/analytics/events", "/capture", "/track", "/engage", "/batch":
		return PostHogEvents, true
	case "/e":
		return PostHogEvents, trimmed != path // without the slash it is the gateway's own
	case "/s", "/i/v1/logs", "/i/v1/metrics":
		return PostHogRecords, true
	case "/flags", "/decide", "/api/surveys", "/api/web_experiments", "/api/early_access_features", "/api/product_tours":
		return PostHogFlags, true
	}
	parts := strings.Split(strings.TrimPrefix(trimmed, "/"), "/")
	switch {
	case len(parts) == 3 && parts[0] == "api" && parts[2] == "envelope":
		return Sentry, true
	case len(parts) == 3 && parts[0] == "array" && (parts[2] == "config" || parts[2] == "config.js"):
		return PostHogConfig, true
	case len(parts) == 3 && parts[0] == "array" && strings.HasSuffix(parts[2], ".js"):
		return PostHogConfig, true
	case len(parts) >= 2 && parts[0] == "static":
		return PostHogAsset, true
	}
	return 0, false
}

// plain lets nothing through that a provider might read otherwise than we do.
func plain(path string) bool {
	for i := range len(path) {
		c := path[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("/_-.@", rune(c)) {
			return false
		}
	}
	return strings.HasPrefix(path, "/") && !strings.Contains(path, "..") && !strings.Contains(path, "//")
}

// Method says which methods a kind of request may have.
func (k Kind) Method(m string) bool {
	switch k {
	case GA, PostHogFlags, PostHogEvents, PostHogRecords: // an image or a beacon is a GET
		return m == "GET" || m == "POST"
	case Sentry:
		return m == "POST"
	default:
		return m == "GET" || m == "HEAD"
	}
}

// Events says whether the request is for events, so that one without any is
// worth a look.
func (k Kind) Events() bool { return k == GA || k == Sentry || k == PostHogEvents }

// Static says whether the answer is a file.
func (k Kind) Static() bool { return k == PostHogAsset || k == PostHogConfig }

// Provider is the destination's name.
func (k Kind) Provider() string {
	switch k {
	case GA:
		return headlessly.DestinationGA4
	case Sentry:
		return headlessly.DestinationSentry
	}
	return headlessly.DestinationPostHog
}

// Read finds the claim and the events of a request. With an error the claim may
// still be right: then the events could not be read, but whose they are.
func Read(k Kind, r *Request) (Result, error) {
	var out Result
	var err error
	switch k {
	case GA:
		out, err = readGA(r)
	case Sentry:
		out, err = readSentry(r)
	case PostHogConfig:
		parts := strings.Split(r.Path, "/")
		out.Claim.Keys = []string{parts[2]}
	case PostHogAsset:
		out.Claim.Asset = true
	default:
		out, err = readPostHog(k, r)
	}
	out.Claim.Provider = k.Provider()
	if err == nil && len(out.Claim.Keys) == 0 && !out.Claim.Asset {
		err = ErrNoKey
	}
	return out, err
}

// fields is an object under construction; empty values are left out.
type fields map[string]any

func (f fields) set(key string, v any) {
	switch x := v.(type) {
	case nil:
		return
	case string:
		if x == "" {
			return
		}
	case json.RawMessage:
		if len(x) == 0 || string(x) == "null" {
			return
		}
	case fields:
		if len(x) == 0 {
			return
		}
	}
	f[key] = v
}

// native finishes an event: who it came through, and that it goes nowhere else.
func native(provider string, e, context fields) (json.RawMessage, error) {
	context["tunnel"] = provider
	e["context"] = context
	e["integrations"] = map[string]bool{"All": false}
	e["source"] = headlessly.SourceBrowser
	return json.Marshal(e)
}

// add appends a key that is not in the list yet.
func add(list []string, key string) []string {
	if key == "" {
		return list
	}
	for _, k := range list {
		if k == key {
			return list
		}
	}
	return append(list, key)
}

// text reads a JSON string, "" for anything else.
func text(raw json.RawMessage) string {
	var s string
	if len(raw) > 0 && raw[0] == '"' {
		_ = json.Unmarshal(raw, &s) // what cannot be read is no text
	}
	return s
}

// object reads a JSON object, nil for anything else.
func object(raw json.RawMessage) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if len(raw) > 0 && raw[0] == '{' {
		_ = json.Unmarshal(raw, &m) // as above
	}
	return m
}
