package tee

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/headlessly/headlessly"
)

// readPostHog reads a request of posthog-js: one event, an array of them, or
// {"batch": […]}, with the project key beside or inside each.
func readPostHog(k Kind, r *Request) (Result, error) {
	var out Result
	query, err := url.ParseQuery(r.Query)
	if err != nil {
		return out, errors.New("the query cannot be read")
	}
	for _, name := range []string{"token", "api_key"} {
		for _, key := range query[name] {
			out.Claim.Keys = add(out.Claim.Keys, key)
		}
	}
	if scheme, key, ok := strings.Cut(r.Header("Authorization"), " "); ok && strings.EqualFold(scheme, "bearer") {
		out.Claim.Keys = add(out.Claim.Keys, strings.TrimSpace(key))
	}
	body, err := postHogBody(r, query)
	if err != nil || len(body) == 0 {
		return out, err
	}
	var list []json.RawMessage
	switch body[0] {
	case '[':
		if json.Unmarshal(body, &list) != nil {
			return out, errJSON
		}
	case '{':
		o := object(body)
		if o == nil {
			return out, errJSON
		}
		out.Claim.Keys = add(add(out.Claim.Keys, text(o["api_key"])), text(o["token"]))
		if list = []json.RawMessage{body}; len(o["batch"]) > 0 && json.Unmarshal(o["batch"], &list) != nil {
			return out, errJSON
		}
	default:
		return out, errJSON
	}
	for _, raw := range list {
		e := object(raw)
		if e == nil {
			return out, errJSON
		}
		props := object(e["properties"])
		for _, key := range []json.RawMessage{e["api_key"], e["token"], props["token"]} {
			out.Claim.Keys = add(out.Claim.Keys, text(key))
		}
		if k != PostHogEvents {
			continue
		}
		events, err := postHogEvent(e, props, r.Now)
		if err != nil {
			return out, err
		}
		out.Events = append(out.Events, events...)
	}
	return out, nil
}

var errJSON = errors.New("the body is not JSON in a form of PostHog's")

// postHogBody undoes what posthog-js does to its JSON: compression by header
// or by query, and base64 in a form's field.
func postHogBody(r *Request, query url.Values) (body []byte, err error) {
	body = r.Body
	if enc := strings.ToLower(r.Header("Content-Encoding")); enc != "" && enc != "identity" {
		if body, err = r.Inflate(enc, body); err != nil {
			return nil, err
		}
	}
	if data := query.Get("data"); len(body) == 0 && data != "" {
		body = []byte("data=" + url.QueryEscape(data))
	}
	if bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		if body, err = r.Inflate("gzip", body); err != nil {
			return nil, err
		}
	}
	if bytes.HasPrefix(body, []byte("data=")) {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, errors.New("the form cannot be read")
		}
		data := form.Get("data")
		if body = []byte(data); !strings.HasPrefix(data, "{") && !strings.HasPrefix(data, "[") {
			if body, err = base64.StdEncoding.DecodeString(strings.ReplaceAll(data, " ", "+")); err != nil {
				return nil, errors.New("the form's data is not base64")
			}
		}
		if bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
			return r.Inflate("gzip", body)
		}
	}
	return bytes.TrimSpace(body), nil
}

// postHogEvent makes native events of one of PostHog's, several of one that
// tells of several web vitals.
func postHogEvent(e, props map[string]json.RawMessage, now time.Time) ([]json.RawMessage, error) {
	name := text(e["event"])
	switch name {
	case "", "$snapshot", "$performance_event": // parts of a recording
		return nil, nil
	}
	out, c := fields{"event": name}, fields{}
	out.set("messageId", text(e["uuid"]))
	out.set("ts", postHogTime(e, now))
	out.set("sentAt", e["sent_at"])
	delete(props, "token")
	visitor := text(props["distinct_id"])
	if visitor == "" {
		visitor = text(e["distinct_id"])
	}
	device := text(props["$device_id"])
	if device == "" {
		device = visitor
	}
	out.set("anonymousId", device)
	out.set("userId", text(props["$user_id"]))
	if out["userId"] == nil && string(props["$is_identified"]) == "true" {
		out.set("userId", visitor)
	}
	out.set("sessionId", text(props["$session_id"]))
	for _, key := range []string{"$set", "$set_once"} { // beside the properties or among them
		if len(e[key]) > 0 && len(props[key]) == 0 && props != nil {
			props[key] = e[key]
		}
	}
	if set := object(props["$set"]); len(set) > 0 {
		out["traits"] = set
	}
	switch name {
	case "$groupidentify":
		out.set("groupId", text(props["$group_key"]))
		if set := object(props["$group_set"]); len(set) > 0 {
			out["traits"] = set
		}
	case "$create_alias":
		out.set("previousId", text(props["alias"]))
	case "$exception":
		out.set("exception", props["$exception_list"])
		out.set("level", text(props["$exception_level"]))
		delete(props, "$exception_list")
	case "$web_vitals":
		return vitals(out, c, props)
	}
	if len(props) > 0 {
		out["properties"] = props
	}
	raw, err := native(headlessly.DestinationPostHog, out, c)
	return []json.RawMessage{raw}, err
}

// postHogTime is an event's time: its own, or an offset in milliseconds before
// now, as posthog-js sends it from its queue.
func postHogTime(e map[string]json.RawMessage, now time.Time) any {
	if raw := e["timestamp"]; len(raw) > 0 {
		return raw
	}
	var ms float64
	if json.Unmarshal(e["offset"], &ms) == nil && ms >= 0 && ms < 72*3600*1000 {
		return now.Add(-time.Duration(ms * float64(time.Millisecond))).UTC().Format(time.RFC3339Nano)
	}
	return nil
}

// vitals makes an event of each metric; the first keeps the id.
func vitals(common, c fields, props map[string]json.RawMessage) ([]json.RawMessage, error) {
	var list []json.RawMessage
	for _, metric := range []string{"LCP", "INP", "CLS", "FCP", "TTFB"} {
		value := props["$web_vitals_"+metric+"_value"]
		if len(value) == 0 {
			continue
		}
		p := fields{"name": metric, "value": value}
		p.set("rating", text(object(props["$web_vitals_"+metric+"_event"])["rating"]))
		for k, v := range props {
			if !strings.HasPrefix(k, "$web_vitals_") {
				p.set(k, v)
			}
		}
		e := fields{}
		for k, v := range common {
			e[k] = v
		}
		e["type"], e["event"], e["properties"] = headlessly.TypeVital, metric, p
		if id, ok := common["messageId"].(string); ok && len(list) > 0 {
			e["messageId"] = id + ":" + metric
		}
		raw, err := native(headlessly.DestinationPostHog, e, c)
		if err != nil {
			return nil, err
		}
		list = append(list, raw)
	}
	return list, nil
}
