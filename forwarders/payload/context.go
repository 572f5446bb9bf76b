package payload

import (
	"encoding/json"
	"time"
)

// Context is what an event's context holds beyond its columns.
type Context struct {
	Breadcrumbs []Breadcrumb
	Tags        map[string]json.RawMessage
	Extra       map[string]json.RawMessage
	Contexts    map[string]map[string]any
	User        map[string]json.RawMessage
	DebugMeta   json.RawMessage
	GA          GA
	All         map[string]json.RawMessage
}

// GA are the ids that gtag keeps in its cookies.
type GA struct{ ClientID, SessionID, SessionNumber string }

// Breadcrumb is one line of what happened before an error.
type Breadcrumb struct {
	Time     time.Time
	Type     string
	Category string
	Message  string
	Level    string
	Data     map[string]any
}

// ReadContext reads an event's context.
func ReadContext(text string) Context {
	all := Object(text)
	if all == nil {
		return Context{}
	}
	c := Context{All: all}
	part := func(key string, to any) {
		if raw := all[key]; raw != nil {
			_ = json.Unmarshal(raw, to)
		}
	}
	part("tags", &c.Tags)
	part("extra", &c.Extra)
	part("user", &c.User)
	var contexts map[string]json.RawMessage
	part("contexts", &contexts)
	for name, raw := range contexts {
		var m map[string]any
		if json.Unmarshal(raw, &m) == nil && m != nil {
			if c.Contexts == nil {
				c.Contexts = map[string]map[string]any{}
			}
			c.Contexts[name] = m
		}
	}
	var ga map[string]json.RawMessage
	part("ga", &ga)
	c.GA = GA{ClientID: Text(ga["clientId"]), SessionID: Text(ga["sessionId"]), SessionNumber: Text(ga["sessionNumber"])}
	if meta := all["debug_meta"]; meta != nil {
		c.DebugMeta = meta
	} else if meta := all["debugMeta"]; meta != nil {
		c.DebugMeta = meta
	}
	var crumbs []map[string]json.RawMessage
	part("breadcrumbs", &crumbs)
	for _, m := range crumbs {
		b := Breadcrumb{
			Time: Moment(m["timestamp"]), Type: Text(m["type"]), Category: Text(m["category"]),
			Message: Text(m["message"]), Level: Text(m["level"]),
		}
		if raw := m["data"]; raw != nil {
			_ = json.Unmarshal(raw, &b.Data)
		}
		c.Breadcrumbs = append(c.Breadcrumbs, b)
	}
	return c
}

// Moment reads a time given as RFC 3339, or as seconds or milliseconds since
// the epoch.
func Moment(raw json.RawMessage) time.Time {
	if t, err := time.Parse(time.RFC3339Nano, Text(raw)); err == nil {
		return t.UTC()
	}
	n, ok := Number(raw)
	switch {
	case !ok || n <= 0 || n > 1e15:
		return time.Time{}
	case n > 1e11: // milliseconds
		return time.UnixMicro(int64(n * 1e3)).UTC()
	}
	return time.UnixMicro(int64(n * 1e6)).UTC()
}
