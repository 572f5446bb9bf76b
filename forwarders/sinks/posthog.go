package sinks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// phEvent is one event of a batch, or a single one.
type phEvent struct {
	APIKey     string                     `json:"api_key"`
	Token      string                     `json:"token"`
	Event      string                     `json:"event"`
	DistinctID any                        `json:"distinct_id"`
	UUID       string                     `json:"uuid"`
	Timestamp  string                     `json:"timestamp"`
	Properties map[string]json.RawMessage `json:"properties"`
}

// key is the project key that the event itself names.
func (e *phEvent) key() string {
	if own := e.APIKey + e.Token; own != "" {
		return own
	}
	var own string
	_ = json.Unmarshal(e.Properties["token"], &own) // absent in most
	return own
}

func (e *phEvent) visitor() string {
	if s, ok := e.DistinctID.(string); ok && s != "" {
		return s
	}
	var s string
	_ = json.Unmarshal(e.Properties["distinct_id"], &s)
	return s
}

// capture takes PostHog's v0 routes, single and batch.
func (s *Sinks) capture(w http.ResponseWriter, r *http.Request, body []byte) {
	body, err := unwrap(body)
	if err != nil {
		s.refuse(w, PostHog, http.StatusBadRequest, err.Error())
		return
	}
	var b struct {
		APIKey     string            `json:"api_key"`
		Token      string            `json:"token"`
		Historical bool              `json:"historical_migration"`
		SentAt     string            `json:"sent_at"`
		Batch      []json.RawMessage `json:"batch"`
	}
	if bytes.HasPrefix(body, []byte{'['}) {
		err = json.Unmarshal(body, &b.Batch)
	} else {
		err = json.Unmarshal(body, &b)
	}
	if err != nil {
		s.refuse(w, PostHog, http.StatusBadRequest, "failed to decode request: "+err.Error())
		return
	}
	if b.Batch == nil && !strings.HasPrefix(r.URL.Path, "/batch") {
		if len(body) > 2<<20 {
			s.refuse(w, PostHog, http.StatusRequestEntityTooLarge, "body is over 2 MiB")
			return
		}
		b.Batch = []json.RawMessage{body}
	}
	if len(b.Batch) == 0 {
		s.refuse(w, PostHog, http.StatusBadRequest, "request holds no event")
		return
	}
	key := b.APIKey + b.Token
	if key == "" && len(b.Batch) > 0 {
		var first phEvent
		_ = json.Unmarshal(b.Batch[0], &first) // read again below
		key = first.key()
	}
	if key == "" || strings.HasPrefix(key, "phx_") {
		s.refuse(w, PostHog, http.StatusUnauthorized, "API key is missing or a personal one")
		return
	}
	events := make([]phEvent, len(b.Batch))
	for i, raw := range b.Batch {
		if err := json.Unmarshal(raw, &events[i]); err != nil {
			s.refuse(w, PostHog, http.StatusBadRequest, "failed to decode event: "+err.Error())
			return
		}
		if own := events[i].key(); own != "" && own != key {
			s.refuse(w, PostHog, http.StatusUnauthorized, "events of different API keys in one request")
			return
		}
	}
	head := map[string]any{"historical_migration": b.Historical, "sent_at": b.SentAt, "encoding": r.Header.Get("Content-Encoding")}
	for i := range events {
		s.add(s.phRecord(r, key, &events[i], b.Batch[i], head, b.Historical))
	}
	writeJSON(w, http.StatusOK, map[string]int{"status": 1})
}

func (s *Sinks) phRecord(r *http.Request, key string, e *phEvent, raw json.RawMessage, head map[string]any, historical bool) Event {
	var out []string
	if e.Event == "" {
		out = append(out, "event without a name is answered 200 and not ingested")
	}
	if e.visitor() == "" {
		out = append(out, "event without distinct_id is answered 200 and not ingested")
	}
	if len(e.visitor()) > 200 {
		out = append(out, "distinct_id is over 200 characters")
	}
	t, err := time.Parse(time.RFC3339Nano, e.Timestamp)
	if err != nil {
		out = append(out, "timestamp is not ISO 8601")
	} else if s.cfg.Clock().Sub(t) > 48*time.Hour && !historical {
		out = append(out, "event is older than 48 hours and not marked as historical_migration")
	}
	if len(raw) > 1<<20 {
		out = append(out, "event is over 1 MiB")
	}
	out = append(out, checkSpecial(e)...)
	return Event{
		Kind: PostHog, Route: trimSlash(r.URL.Path), Project: key, Name: e.Event, Visitor: e.visitor(),
		ID: e.UUID + e.Event + e.Timestamp + e.visitor(), Request: head, Payload: raw, Violations: out,
	}
}

// checkSpecial looks at the properties that PostHog gives a meaning to.
func checkSpecial(e *phEvent) []string {
	var out []string
	has := func(key string) bool {
		return len(e.Properties[key]) > 0 && !bytes.Equal(e.Properties[key], []byte("null"))
	}
	object := func(key string) {
		if has(key) && e.Properties[key][0] != '{' {
			out = append(out, key+" is not an object")
		}
	}
	object("$set")
	object("$set_once")
	object("$groups")
	object("$group_set")
	need := func(keys ...string) {
		for _, k := range keys {
			if !has(k) {
				out = append(out, e.Event+" lacks "+k)
			}
		}
	}
	switch e.Event {
	case "$create_alias":
		need("alias")
	case "$groupidentify":
		need("$group_type", "$group_key")
	case "$exception":
		need("$exception_list")
		var list []struct {
			Type, Value string
			Stacktrace  *struct {
				Type   string
				Frames []struct{ Platform string }
			}
		}
		if err := json.Unmarshal(e.Properties["$exception_list"], &list); err != nil || len(list) == 0 {
			out = append(out, fmt.Sprintf("$exception_list cannot be read: %v", err))
		}
		for _, x := range list {
			if x.Type == "" {
				out = append(out, "an exception has no type")
			}
			if x.Stacktrace != nil && (x.Stacktrace.Type != "raw" || len(x.Stacktrace.Frames) == 0 || x.Stacktrace.Frames[0].Platform == "") {
				out = append(out, "a stack trace is not raw frames with a platform")
			}
		}
	case "$autocapture":
		need("$event_type")
	}
	return out
}

// captureV1 takes PostHog's new route, which answers for each event.
func (s *Sinks) captureV1(w http.ResponseWriter, r *http.Request, body []byte) {
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || key == "" {
		s.refuse(w, PostHog, http.StatusUnauthorized, "bearer token is missing")
		return
	}
	var b struct {
		CreatedAt  string            `json:"created_at"`
		Historical bool              `json:"historical_migration"`
		Batch      []json.RawMessage `json:"batch"`
	}
	if err := strict(body, &b); err != nil || len(b.Batch) == 0 {
		s.refuse(w, PostHog, http.StatusBadRequest, fmt.Sprintf("failed to decode request: %v", err))
		return
	}
	results := map[string]any{}
	for _, raw := range b.Batch {
		var e struct {
			phEvent
			SessionID string         `json:"session_id"`
			WindowID  string         `json:"window_id"`
			Options   map[string]any `json:"options"`
		}
		if err := strict(raw, &e); err != nil {
			s.refuse(w, PostHog, http.StatusBadRequest, "failed to decode event: "+err.Error())
			return
		}
		rec := s.phRecord(r, key, &e.phEvent, raw, map[string]any{"historical_migration": b.Historical}, b.Historical)
		if e.Event == "" || e.visitor() == "" {
			results[e.UUID] = map[string]string{"result": "drop", "details": "event or distinct_id is missing"}
			continue
		}
		s.add(rec)
		results[e.UUID] = map[string]string{"result": "ok"}
	}
	writeJSON(w, http.StatusOK, map[string]any{"results": results})
}

// hook takes anything: the target of a generic HTTP destination.
func (s *Sinks) hook(w http.ResponseWriter, r *http.Request, body []byte) {
	head := map[string]any{"method": r.Method}
	for k := range r.Header {
		head[k] = r.Header.Get(k)
	}
	s.add(Event{
		Kind: Hook, Route: r.URL.Path, ID: r.Header.Get("Idempotency-Key"), Name: r.Method + " " + r.URL.Path,
		Request: head, Payload: asJSON(body),
	})
	w.WriteHeader(http.StatusOK)
}

// strict decodes and refuses what is not known.
func strict(body []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	return nil
}

// asJSON keeps a body that is JSON as it is, anything else as a string.
func asJSON(body []byte) json.RawMessage {
	if json.Valid(body) {
		return body
	}
	b, _ := json.Marshal(string(body)) // a string always encodes
	return b
}
