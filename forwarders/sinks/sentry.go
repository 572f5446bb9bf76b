package sinks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

var eventID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// item is one part of an envelope.
type item struct {
	kind    string
	payload []byte
}

// envelope takes Sentry's envelopes and refuses what Relay refuses.
func (s *Sinks) envelope(w http.ResponseWriter, r *http.Request, body []byte) {
	head, items, broken := splitEnvelope(body)
	key, err := sentryKey(r, head)
	if err != nil {
		s.refuse(w, Sentry, http.StatusForbidden, err.Error())
		return
	}
	if broken != nil {
		s.refuse(w, Sentry, http.StatusBadRequest, broken.Error())
		return
	}
	if err := checkEnvelope(head, items); err != nil {
		s.refuse(w, Sentry, http.StatusBadRequest, err.Error())
		return
	}
	id, _ := head["event_id"].(string)
	for _, it := range items {
		if it.kind == "event" && len(it.payload) > 1<<20 {
			s.refuse(w, Sentry, http.StatusRequestEntityTooLarge, "event is over 1 MiB")
			return
		}
		e := Event{
			Kind: Sentry, Route: it.kind, Project: r.PathValue("project"), Request: map[string]any{"header": head, "key": key},
			Payload: asJSON(it.payload),
		}
		if it.kind == "event" {
			e.ID = id
			e.Name, e.Visitor, e.Violations = checkSentryEvent(it.payload, id)
		}
		s.add(e)
	}
	writeJSON(w, http.StatusOK, map[string]string{"id": id})
}

// sentryKey finds the public key in the header, the query or the envelope's own
// dsn; several must agree.
func sentryKey(r *http.Request, head map[string]any) (string, error) {
	var found []string
	if dsn, _ := head["dsn"].(string); dsn != "" {
		u, err := url.Parse(dsn)
		if err != nil || u.User.Username() == "" || !strings.HasSuffix(u.Path, "/"+r.PathValue("project")) {
			return "", errors.New("dsn in the envelope is not this project's")
		}
		found = append(found, u.User.Username())
	}
	if auth, ok := strings.CutPrefix(r.Header.Get("X-Sentry-Auth"), "Sentry "); ok {
		for part := range strings.SplitSeq(auth, ",") {
			if k, v, _ := strings.Cut(strings.TrimSpace(part), "="); k == "sentry_key" && v != "" {
				found = append(found, v)
			}
		}
		if !strings.Contains(auth, "sentry_version=7") {
			return "", errors.New("sentry_version is not 7")
		}
	}
	if v := r.URL.Query().Get("sentry_key"); v != "" {
		found = append(found, v)
	}
	if len(found) == 0 {
		return "", errors.New("missing authorization information")
	}
	for _, k := range found[1:] {
		if k != found[0] {
			return "", errors.New("conflicting authorization information")
		}
	}
	return found[0], nil
}

func splitEnvelope(body []byte) (map[string]any, []item, error) {
	line, rest, _ := bytes.Cut(body, []byte("\n"))
	var head map[string]any
	if err := json.Unmarshal(line, &head); err != nil {
		return nil, nil, fmt.Errorf("invalid envelope header: %w", err)
	}
	if bytes.Count(line, []byte(`"sent_at"`)) > 1 {
		return nil, nil, errors.New("sent_at twice in the envelope header")
	}
	var items []item
	for len(bytes.TrimSpace(rest)) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		var h struct {
			Type   string `json:"type"`
			Length *int   `json:"length"`
		}
		if err := json.Unmarshal(line, &h); err != nil {
			return nil, nil, fmt.Errorf("invalid item header: %w", err)
		}
		if h.Type == "" {
			return nil, nil, errors.New("item without a type")
		}
		var payload []byte
		switch {
		case h.Length == nil:
			payload, rest, _ = bytes.Cut(rest, []byte("\n"))
		case *h.Length < 0 || *h.Length > len(rest):
			return nil, nil, errors.New("unexpected end of file in an item")
		default:
			payload, rest = rest[:*h.Length], rest[*h.Length:]
			if len(rest) > 0 && rest[0] != '\n' {
				return nil, nil, errors.New("missing newline behind an item")
			}
			rest = bytes.TrimPrefix(rest, []byte("\n"))
		}
		items = append(items, item{h.Type, payload})
	}
	return head, items, nil
}

func checkEnvelope(head map[string]any, items []item) error {
	if sent, ok := head["sent_at"].(string); ok {
		if _, err := time.Parse(time.RFC3339, sent); err != nil {
			return errors.New("sent_at is not RFC 3339")
		}
	}
	events, transactions := 0, 0
	for _, it := range items {
		switch it.kind {
		case "event":
			events++
		case "transaction":
			transactions++
		}
	}
	if events > 1 || events+transactions > 1 {
		return errors.New("more than one event in an envelope")
	}
	if id, _ := head["event_id"].(string); events+transactions > 0 && !eventID.MatchString(id) {
		return errors.New("event_id of the envelope is missing or not 32 lower-case hexadecimal digits")
	}
	return nil
}

// checkSentryEvent finds what Sentry would discard of an event.
func checkSentryEvent(payload []byte, id string) (name, visitor string, out []string) {
	var e struct {
		EventID     string                     `json:"event_id"`
		Timestamp   json.RawMessage            `json:"timestamp"`
		Platform    string                     `json:"platform"`
		Level       string                     `json:"level"`
		Message     json.RawMessage            `json:"message"`
		Tags        map[string]json.RawMessage `json:"tags"`
		Exception   json.RawMessage            `json:"exception"`
		Breadcrumbs json.RawMessage            `json:"breadcrumbs"`
		ServerName  string                     `json:"server_name"`
		User        struct {
			ID string `json:"id"`
		} `json:"user"`
	}
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if err := json.Unmarshal(payload, &e); err != nil {
		say("event: %v", err)
		return "", "", out
	}
	if e.EventID != "" && e.EventID != id {
		say("event_id %s differs from the envelope's %s", e.EventID, id)
	}
	if len(e.Timestamp) == 0 {
		say("timestamp is missing")
	}
	switch e.Platform {
	case "javascript", "node", "other":
	default:
		say("platform %q", e.Platform)
	}
	switch e.Level {
	case "", "fatal", "error", "warning", "info", "debug":
	default:
		say("level %q", e.Level)
	}
	if e.ServerName != "" {
		say("server_name is the gateway's: %s", e.ServerName)
	}
	for k, v := range e.Tags {
		if len(v) == 0 || v[0] != '"' {
			say("tag %s is not a string", k)
		}
		if len(k) > 200 || chars(v) > 200 {
			say("tag %s is over 200 characters", k)
		}
	}
	var message string
	_ = json.Unmarshal(e.Message, &message)
	if len(message) > 8192 {
		say("message is over 8,192 characters")
	}
	name, problems := checkExceptions(e.Exception)
	out = append(out, problems...)
	if name == "" {
		name = message
	}
	if name == "" {
		say("neither exception nor message")
	}
	return name, e.User.ID, out
}

// checkExceptions names the thrown one, which is the last.
func checkExceptions(raw json.RawMessage) (thrown string, out []string) {
	type exception struct {
		Type, Value string
		Mechanism   *struct {
			Type string `json:"type"`
		}
		Stacktrace *struct {
			Frames []struct {
				Filename, Function, Module string
				Lineno, Colno              *int
			}
		}
	}
	var list []exception
	if len(raw) == 0 {
		return "", nil
	}
	if json.Unmarshal(raw, &list) != nil {
		var o struct{ Values []exception }
		if json.Unmarshal(raw, &o) != nil {
			return "", []string{"exception is neither a list nor {values}"}
		}
		list = o.Values
	}
	for _, x := range list {
		if x.Type == "" && x.Value == "" {
			out = append(out, "an exception has neither type nor value")
		}
		if x.Mechanism != nil && x.Mechanism.Type == "" {
			out = append(out, "a mechanism has no type")
		}
		thrown = x.Type
		if thrown == "" {
			thrown = x.Value
		}
		if x.Stacktrace == nil {
			continue
		}
		if len(x.Stacktrace.Frames) == 0 {
			out = append(out, "a stack trace has no frames")
		}
		if len(x.Stacktrace.Frames) > 50 {
			out = append(out, "a stack trace has more than 50 frames")
		}
		for _, f := range x.Stacktrace.Frames {
			if f.Filename == "" && f.Function == "" && f.Module == "" {
				out = append(out, "a frame has neither file nor function")
			}
			if (f.Lineno != nil && *f.Lineno < 1) || (f.Colno != nil && *f.Colno < 1) {
				out = append(out, "a frame's line or column is below 1")
			}
		}
	}
	return thrown, out
}
