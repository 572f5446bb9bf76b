package sentry

import (
	"encoding/json"
	"strings"

	"github.com/getsentry/sentry-go"
	"github.com/google/uuid"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/payload"
)

// Sentry's own limits within an event; what is longer is cut there without a
// word, so it is cut here.
const (
	maxTag     = 200
	maxMessage = 8192
	maxFrames  = 50
	maxCrumbs  = 100
)

// build maps an event onto sentry-go's Event.
func build(e *headlessly.Event, c payload.Context) *sentry.Event {
	ev := &sentry.Event{
		EventID:   sentry.EventID(eventID(e.MessageID)),
		Timestamp: headlessly.Time(e.Timestamp),
		Platform:  platform(e.Source),
		Level:     level(e.Level),
		Release:   e.Release, Environment: e.Environment,
		Transaction: e.Path,
		Logger:      e.Library,
		Fingerprint: payload.Fingerprint(e.Fingerprint),
		User:        user(e, c),
		Tags:        tags(e, c),
		Contexts:    contexts(e, c),
		Breadcrumbs: breadcrumbs(c),
		Request:     request(e),
		Sdk:         sentry.SdkInfo{Name: "headlessly", Version: "1"},
	}
	if dist := payload.Text(c.All["dist"]); dist != "" {
		ev.Dist = dist
	}
	if e.Type == headlessly.TypeMessage && e.ErrorStack == "" {
		ev.Message = payload.Cut(orText(e.ErrorMessage, e.Event), maxMessage)
	} else {
		ev.Exception = exceptions(e)
	}
	if len(c.DebugMeta) > 0 {
		var meta sentry.DebugMeta
		if json.Unmarshal(c.DebugMeta, &meta) == nil && len(meta.Images) > 0 {
			ev.DebugMeta = &meta
		}
	}
	return ev
}

// marshal encodes the event with its extra values, for which sentry-go's type
// has no field any more.
func marshal(ev *sentry.Event, e *headlessly.Event, c payload.Context) ([]byte, error) {
	b, err := json.Marshal(ev)
	if err != nil {
		return nil, err
	}
	extra := extras(e, c)
	if len(extra) == 0 {
		return b, nil
	}
	x, err := json.Marshal(extra)
	if err != nil {
		return nil, err
	}
	b = append(b[:len(b)-1], `,"extra":`...)
	return append(append(b, x...), '}'), nil
}

func eventID(messageID string) string {
	u, err := uuid.Parse(messageID)
	if err != nil {
		u = uuid.NewSHA1(uuid.NameSpaceOID, []byte(messageID))
	}
	return strings.ReplaceAll(u.String(), "-", "")
}

func platform(source string) string {
	switch source {
	case headlessly.SourceNode:
		return "node"
	case headlessly.SourceAPI:
		return "other"
	}
	return "javascript"
}

func level(l string) sentry.Level {
	switch l {
	case "fatal", "error", "warning", "info", "debug":
		return sentry.Level(l)
	case "warn":
		return sentry.LevelWarning
	case "log":
		return sentry.LevelInfo
	}
	return sentry.LevelError
}

func orText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// exceptions gives the chain as Sentry wants it: causes first, thrown last.
func exceptions(e *headlessly.Event) []sentry.Exception {
	chain := payload.Stack(e.ErrorStack, orText(e.ErrorType, "Error"), e.ErrorMessage)
	out := make([]sentry.Exception, 0, len(chain))
	for i := len(chain) - 1; i >= 0; i-- {
		x := chain[i]
		s := sentry.Exception{
			Type: payload.Cut(orText(x.Type, "Error"), maxMessage), Value: payload.Cut(x.Value, maxMessage), Module: x.Module,
			Mechanism: mechanism(x, i, len(chain)),
		}
		if len(x.Frames) > 0 {
			s.Stacktrace = &sentry.Stacktrace{Frames: frames(x.Frames)}
		}
		out = append(out, s)
	}
	return out
}

func mechanism(x payload.Exception, i, n int) *sentry.Mechanism {
	m := &sentry.Mechanism{Type: payload.Text(x.Mechanism["type"])}
	if m.Type == "" {
		m.Type = "generic"
	}
	var handled bool
	if json.Unmarshal(x.Mechanism["handled"], &handled) == nil {
		m.Handled = &handled
	}
	m.Source = payload.Text(x.Mechanism["source"])
	if n > 1 { // a chain: each cause points to what it caused
		m.ExceptionID = i
		if i > 0 {
			parent := i - 1
			m.ParentID = &parent
			m.Type = "chained"
		}
	}
	return m
}

// frames keeps the outer and the inner ends of a stack that is too long.
func frames(list []payload.Frame) []sentry.Frame {
	if len(list) > maxFrames {
		head := list[: maxFrames/2 : maxFrames/2]
		list = append(head, list[len(list)-maxFrames/2:]...)
	}
	out := make([]sentry.Frame, 0, len(list))
	for _, f := range list {
		out = append(out, sentry.Frame{
			Filename: orText(f.Filename, f.AbsPath), AbsPath: f.AbsPath, Function: orText(f.Function, "?"), Module: f.Module,
			Lineno: max(0, f.Lineno), Colno: max(0, f.Colno), InApp: f.InApp == nil || *f.InApp,
		})
	}
	return out
}

func breadcrumbs(c payload.Context) []*sentry.Breadcrumb {
	list := c.Breadcrumbs
	if len(list) > maxCrumbs {
		list = list[len(list)-maxCrumbs:]
	}
	out := make([]*sentry.Breadcrumb, 0, len(list))
	for _, b := range list {
		s := &sentry.Breadcrumb{Type: b.Type, Category: b.Category, Message: b.Message, Data: b.Data, Timestamp: b.Time}
		if b.Level != "" {
			s.Level = level(b.Level)
		}
		out = append(out, s)
	}
	return out
}

func request(e *headlessly.Event) *sentry.Request {
	if e.URL == "" && e.UserAgent == "" {
		return nil
	}
	r := &sentry.Request{URL: e.URL, QueryString: e.Query}
	header := func(k, v string) {
		if v == "" {
			return
		}
		if r.Headers == nil {
			r.Headers = map[string]string{}
		}
		r.Headers[k] = v
	}
	header("User-Agent", e.UserAgent)
	header("Referer", e.Referrer)
	return r
}

func user(e *headlessly.Event, c payload.Context) sentry.User {
	traits := payload.Object(e.Traits)
	pick := func(key string) string { return orText(payload.Text(c.User[key]), payload.Text(traits[key])) }
	u := sentry.User{
		ID:    orText(e.UserID, orText(payload.Text(c.User["id"]), e.AnonymousID)),
		Email: pick("email"), Username: pick("username"), Name: pick("name"), IPAddress: e.IP,
	}
	for k, raw := range c.User {
		switch k {
		case "id", "email", "username", "name", "ip_address":
			continue
		}
		if v := payload.Scalar(raw); v != "" {
			if u.Data == nil {
				u.Data = map[string]string{}
			}
			u.Data[k] = v
		}
	}
	return u
}

func tags(e *headlessly.Event, c payload.Context) map[string]string {
	t := map[string]string{}
	for k, raw := range c.Tags {
		if v := payload.Scalar(raw); v != "" {
			t[payload.Cut(k, maxTag)] = payload.Cut(strings.ReplaceAll(v, "\n", " "), maxTag)
		}
	}
	add := func(k, v string) {
		if _, taken := t[k]; v != "" && !taken {
			t[k] = payload.Cut(v, maxTag)
		}
	}
	add("url", e.URL)
	add("session_id", e.SessionID)
	if len(t) == 0 {
		return nil
	}
	return t
}

func contexts(e *headlessly.Event, c payload.Context) map[string]sentry.Context {
	out := map[string]sentry.Context{}
	for name, m := range c.Contexts {
		out[name] = m
	}
	add := func(name string, pairs ...string) {
		if _, taken := out[name]; taken {
			return
		}
		m := sentry.Context{}
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i+1] != "" {
				m[pairs[i]] = pairs[i+1]
			}
		}
		if len(m) > 0 {
			out[name] = m
		}
	}
	add("browser", "name", e.Browser, "version", e.BrowserVersion)
	add("os", "name", e.OS, "version", e.OSVersion)
	add("device", "device_type", e.Device)
	add("culture", "locale", e.Language, "timezone", e.Timezone)
	return out
}

// extras are the client's extra values and the event's properties. An event is
// small enough (headlessly.MaxEventBytes) to stay within Sentry's limit for all
// of them.
func extras(e *headlessly.Event, c payload.Context) map[string]json.RawMessage {
	out := payload.Object(e.Properties)
	if out == nil {
		out = map[string]json.RawMessage{}
	}
	for k, v := range c.Extra {
		out[k] = v
	}
	return out
}
