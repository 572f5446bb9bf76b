package posthog

import (
	"maps"
	"slices"

	"github.com/valyala/fastjson"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/payload"
)

// defaultGroup is the group type of a group call that names none.
const defaultGroup = "company"

func (c *encoder) identify(e *headlessly.Event) {
	traits := c.traits.Props(e.Traits)
	once := traits.Get("$set_once")
	if once != nil {
		c.raw("$set_once", once.String())
	}
	if n := traits.Len(); n > 1 || n == 1 && once == nil {
		c.members("$set", traits)
	}
	if e.AnonymousID != "" && e.AnonymousID != e.UserID {
		c.text("$anon_distinct_id", e.AnonymousID)
	}
}

func (c *encoder) group(e *headlessly.Event, props payload.Props) {
	c.text("$group_type", groupType(props))
	c.text("$group_key", e.GroupID)
	if traits := c.traits.Props(e.Traits); traits.Len() > 0 {
		c.members("$group_set", traits)
	}
}

// members writes a property that is an object, but for $set_once, which has a
// property of its own.
func (c *encoder) members(key string, m payload.Props) {
	c.w.Object(key)
	c.taken = append(c.taken, key)
	m.Each(func(key string, v *fastjson.Value) {
		if key != "$set_once" {
			c.w.Key(key)
			c.w.B = v.MarshalTo(c.w.B)
		}
	})
	c.w.Close()
}

// groupType is what kind of thing the group is, as the client says it.
func groupType(p payload.Props) string {
	return orText(p.Text("$group_type", "groupType", "group_type"), defaultGroup)
}

func (c *encoder) vital(e *headlessly.Event) {
	if e.VitalName == "" {
		return
	}
	c.value("$web_vitals_"+e.VitalName+"_value", e.VitalValue)
	c.value("$web_vitals_"+e.VitalName+"_event", map[string]any{
		"name": e.VitalName, "value": e.VitalValue, "rating": e.VitalRating,
		"$current_url": e.URL, "timestamp": e.Timestamp / 1000,
	})
}

// click makes an autocapture event of a click. PostHog wants the elements from
// the innermost outwards; a client that sends only the innermost one's parts
// gets a list of one.
func (c *encoder) click(p payload.Props) {
	c.text("$event_type", "click")
	if p.Get("$elements") != nil {
		return
	}
	if list := p.Get("elements"); list != nil {
		c.raw("$elements", list.String())
		return
	}
	el := map[string]any{}
	take := func(to string, from ...string) {
		if v := p.Text(from...); v != "" {
			el[to] = v
		}
	}
	take("tag_name", "tag", "tag_name", "element")
	take("$el_text", "text", "$el_text")
	take("attr__href", "href", "attr__href")
	take("attr__id", "id", "attr__id")
	take("attr__class", "classes", "class", "attr__class")
	take("attr__name", "name")
	if len(el) == 0 {
		return
	}
	el["nth_child"], el["nth_of_type"] = 1, 1
	c.value("$elements", []any{el})
	if t, ok := el["$el_text"].(string); ok {
		c.text("$el_text", t)
	}
}

func (c *encoder) exception(e *headlessly.Event) {
	platform := "web:javascript"
	switch e.Source {
	case headlessly.SourceNode:
		platform = "node:javascript"
	case headlessly.SourceAPI:
		platform = "custom"
	}
	chain := payload.Stack(e.ErrorStack, orText(e.ErrorType, "Error"), e.ErrorMessage)
	w := &c.w
	w.Key("$exception_list")
	c.taken = append(c.taken, "$exception_list")
	w.B = append(w.B, '[')
	for i, x := range chain {
		if i > 0 {
			w.B = append(w.B, ',')
		}
		w.Open()
		w.Text("type", orText(x.Type, "Error"))
		w.Key("value")
		w.B = payload.AppendString(w.B, x.Value)
		w.Text("module", x.Module)
		mechanism(w, &x, e.Type == headlessly.TypeMessage)
		stacktrace(w, x.Frames, platform)
		w.Close()
	}
	w.B = append(w.B, ']')
	c.text("$exception_level", e.Level)
	if own := payload.Fingerprint(e.Fingerprint); len(own) > 0 {
		c.text("$exception_fingerprint", e.Fingerprint)
	}
}

// mechanism says how the exception was caught: as the client says it, else
// whether somebody handled it and whether it has no stack.
func mechanism(w *payload.Writer, x *payload.Exception, handled bool) {
	w.Object("mechanism")
	if _, told := x.Mechanism["handled"]; !told {
		w.Bool("handled", handled)
	}
	if _, told := x.Mechanism["synthetic"]; !told {
		w.Bool("synthetic", len(x.Frames) == 0)
	}
	for _, k := range slices.Sorted(maps.Keys(x.Mechanism)) {
		w.Raw(k, string(x.Mechanism[k]))
	}
	w.Close()
}

func stacktrace(w *payload.Writer, frames []payload.Frame, platform string) {
	if len(frames) == 0 {
		return
	}
	w.Object("stacktrace")
	w.Text("type", "raw")
	w.Key("frames")
	w.B = append(w.B, '[')
	for i, f := range frames {
		if i > 0 {
			w.B = append(w.B, ',')
		}
		w.Open()
		w.Text("platform", platform)
		w.Text("filename", orText(f.Filename, f.AbsPath))
		w.Text("function", orText(f.Function, "?"))
		w.Bool("in_app", f.InApp == nil || *f.InApp)
		w.Int("lineno", int64(max(0, f.Lineno)))
		w.Int("colno", int64(max(0, f.Colno)))
		w.Close()
	}
	w.B = append(w.B, ']')
	w.Close()
}
