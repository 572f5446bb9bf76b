package tee

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"strings"

	"github.com/headlessly/headlessly"
)

// maxCrumbs is how many breadcrumbs of an event are kept: more would take it
// over the limit of one event.
const maxCrumbs = 50

// errEnvelope means that an envelope is none.
var errEnvelope = errors.New("the envelope cannot be read")

// readSentry reads an envelope. The key is in the query, a header or the
// envelope's own dsn; where it is in several, all must be right.
func readSentry(r *Request) (Result, error) {
	var out Result
	out.Claim.Project = strings.Split(r.Path, "/")[2]
	query, err := url.ParseQuery(r.Query)
	if err != nil {
		return out, errors.New("the query cannot be read")
	}
	for _, k := range query["sentry_key"] {
		out.Claim.Keys = add(out.Claim.Keys, k)
	}
	out.Claim.Keys = add(out.Claim.Keys, sentryAuth(r.Header("X-Sentry-Auth")))
	body := r.Body
	if enc := strings.ToLower(r.Header("Content-Encoding")); enc != "" && enc != "identity" {
		if body, err = r.Inflate(enc, body); err != nil {
			return out, err
		}
	}
	head, rest, _ := bytes.Cut(body, []byte{'\n'})
	var envelope struct {
		DSN string `json:"dsn"`
	}
	if json.Unmarshal(head, &envelope) != nil {
		return out, errEnvelope
	}
	if envelope.DSN != "" {
		u, err := url.Parse(envelope.DSN)
		if err != nil || u.User == nil || u.User.Username() == "" {
			return out, errors.New("the envelope's dsn cannot be read")
		}
		out.Claim.Keys, out.Claim.Hosts = add(out.Claim.Keys, u.User.Username()), add(out.Claim.Hosts, u.Host)
		if project := u.Path[strings.LastIndexByte(u.Path, '/')+1:]; project != out.Claim.Project {
			return out, errors.New("the envelope's dsn is of another project than the path")
		}
	}
	for len(rest) > 0 {
		var kind string
		var payload []byte
		if kind, payload, rest, err = nextItem(rest); err != nil {
			return out, err
		}
		e, err := sentryItem(kind, payload)
		if err != nil {
			return out, err
		}
		if e != nil {
			out.Events = append(out.Events, e)
		}
	}
	return out, nil
}

// sentryAuth finds the key in "Sentry sentry_version=7, sentry_key=…".
func sentryAuth(h string) string {
	for part := range strings.SplitSeq(strings.TrimPrefix(h, "Sentry "), ",") {
		if k, v, ok := strings.Cut(strings.TrimSpace(part), "="); ok && k == "sentry_key" {
			return v
		}
	}
	return ""
}

// nextItem takes one item off an envelope: a header line, and a payload of the
// length that it names or up to the line's end.
func nextItem(b []byte) (kind string, payload, rest []byte, err error) {
	head, rest, _ := bytes.Cut(b, []byte{'\n'})
	if len(bytes.TrimSpace(head)) == 0 {
		return "", nil, rest, nil
	}
	var h struct {
		Type   string `json:"type"`
		Length *int   `json:"length"`
	}
	if json.Unmarshal(head, &h) != nil {
		return "", nil, nil, errEnvelope
	}
	if h.Length == nil {
		payload, rest, _ = bytes.Cut(rest, []byte{'\n'})
		return h.Type, payload, rest, nil
	}
	if *h.Length < 0 || *h.Length > len(rest) {
		return "", nil, nil, errEnvelope
	}
	payload, rest = rest[:*h.Length], rest[*h.Length:]
	return h.Type, payload, bytes.TrimPrefix(rest, []byte{'\n'}), nil
}

// sentryItem makes a native event of an item, nil for one that is no event.
func sentryItem(kind string, payload []byte) (json.RawMessage, error) {
	switch kind {
	case "event", "transaction", "feedback":
	default: // session, sessions, attachment, user_report, client_report, check_in, replay_event, replay_recording, profile, profile_chunk, span, log, …
		return nil, nil
	}
	p := object(payload)
	if p == nil {
		return nil, errEnvelope
	}
	e, c := fields{}, fields{}
	switch {
	case kind == "transaction":
		e["type"], e["event"] = "transaction", "transaction"
		e.set("event", text(p["transaction"]))
		e["properties"] = transaction(p)
	case kind == "feedback":
		f := object(object(p["contexts"])["feedback"])
		e["type"], e["event"], e["properties"] = "feedback", "feedback", f
	case len(p["exception"]) > 0 && string(p["exception"]) != "null":
		e["type"] = headlessly.TypeError
		e.set("exception", exceptionOf(p["exception"]))
	default:
		e["type"] = headlessly.TypeMessage
	}
	e.set("messageId", text(p["event_id"]))
	e.set("ts", p["timestamp"])
	e.set("level", text(p["level"]))
	e.set("release", text(p["release"]))
	e.set("environment", text(p["environment"]))
	e.set("fingerprint", p["fingerprint"])
	e.set("message", message(p))
	e.set("tags", pairs(p["tags"]))
	request := object(p["request"])
	e.set("url", text(request["url"]))
	e.set("referrer", text(object(request["headers"])["Referer"]))
	user := object(p["user"])
	e.set("userId", text(user["id"]))
	delete(user, "ip_address") // the column has it, as the tenant wants it
	if len(user) > 0 {
		c["user"] = user
	}
	if kind == "event" {
		e.set("breadcrumbs", crumbs(p["breadcrumbs"]))
		for _, k := range []string{"extra", "contexts"} {
			if o := object(p[k]); len(o) > 0 {
				e[k] = o
			}
		}
		for _, k := range []string{"dist", "debug_meta", "transaction"} {
			c.set(k, p[k])
		}
	}
	sdk := object(p["sdk"])
	c["library"] = fields{"name": text(sdk["name"]), "version": text(sdk["version"])}
	return native(headlessly.DestinationSentry, e, c)
}

// exceptionOf brings the chain into the form with values that the native
// decoder knows; a bare array is one too.
func exceptionOf(raw json.RawMessage) json.RawMessage {
	if len(raw) > 0 && raw[0] == '[' {
		return append(append(json.RawMessage(`{"values":`), raw...), '}')
	}
	return raw
}

// message is a message in any of its forms: a text, {message, formatted} or
// logentry.
func message(p map[string]json.RawMessage) string {
	for _, key := range []string{"message", "logentry"} {
		if s := text(p[key]); s != "" {
			return s
		}
		m := object(p[key])
		if s := text(m["formatted"]); s != "" {
			return s
		}
		if s := text(m["message"]); s != "" {
			return s
		}
	}
	return ""
}

// pairs reads tags: an object, or an array of pairs.
func pairs(raw json.RawMessage) any {
	if o := object(raw); len(o) > 0 {
		return o
	}
	var list [][]json.RawMessage
	if json.Unmarshal(raw, &list) != nil || len(list) == 0 {
		return nil
	}
	out := fields{}
	for _, p := range list {
		if len(p) == 2 {
			out.set(text(p[0]), p[1])
		}
	}
	delete(out, "")
	return out
}

// crumbs gives the newest breadcrumbs, oldest first.
func crumbs(raw json.RawMessage) any {
	if o := object(raw); o != nil {
		raw = o["values"]
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil || len(list) == 0 {
		return nil
	}
	return list[max(0, len(list)-maxCrumbs):]
}

// transaction is what of a trace is worth a row: how long, of what, and where
// to find the rest.
func transaction(p map[string]json.RawMessage) fields {
	out := fields{}
	var start, end float64
	if json.Unmarshal(p["start_timestamp"], &start) == nil && json.Unmarshal(p["timestamp"], &end) == nil && end >= start {
		out["duration_ms"] = (end - start) * 1000
	}
	trace := object(object(p["contexts"])["trace"])
	for _, k := range []string{"op", "status", "trace_id", "span_id"} {
		out.set(k, text(trace[k]))
	}
	var spans []json.RawMessage
	if json.Unmarshal(p["spans"], &spans) == nil {
		out["spans"] = len(spans)
	}
	out.set("measurements", p["measurements"])
	return out
}
