package posthog

import (
	"encoding/json"

	posthog "github.com/posthog/posthog-go"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/payload"
)

// defaultGroup is the group type of a group call that names none.
const defaultGroup = "company"

func identify(e *headlessly.Event, p posthog.Properties) {
	traits := payload.Object(e.Traits)
	if once := traits["$set_once"]; once != nil {
		p["$set_once"] = once
		delete(traits, "$set_once")
	}
	if len(traits) > 0 {
		p["$set"] = traits
	}
	if e.AnonymousID != "" && e.AnonymousID != e.UserID {
		p["$anon_distinct_id"] = e.AnonymousID
	}
	delete(p, "$process_person_profile")
}

func group(e *headlessly.Event, p posthog.Properties) {
	p["$group_type"] = groupType(p)
	p["$group_key"] = e.GroupID
	if traits := payload.Object(e.Traits); len(traits) > 0 {
		p["$group_set"] = traits
	}
	delete(p, "$process_person_profile")
}

// groupType is what kind of thing the group is, as the client says it.
func groupType(p posthog.Properties) string {
	for _, key := range []string{"$group_type", "groupType", "group_type"} {
		if raw, ok := p[key].(json.RawMessage); ok && payload.Text(raw) != "" {
			return payload.Text(raw)
		}
	}
	return defaultGroup
}

func vital(e *headlessly.Event, p posthog.Properties) {
	if e.VitalName == "" {
		return
	}
	p["$web_vitals_"+e.VitalName+"_value"] = e.VitalValue
	p["$web_vitals_"+e.VitalName+"_event"] = map[string]any{
		"name": e.VitalName, "value": e.VitalValue, "rating": e.VitalRating,
		"$current_url": e.URL, "timestamp": e.Timestamp / 1000,
	}
}

// click makes an autocapture event of a click. PostHog wants the elements from
// the innermost outwards; a client that sends only the innermost one's parts
// gets a list of one.
func click(p posthog.Properties) {
	p["$event_type"] = "click"
	if _, ok := p["$elements"]; ok {
		return
	}
	if list, ok := p["elements"]; ok {
		p["$elements"] = list
		return
	}
	el := map[string]any{}
	take := func(to string, from ...string) {
		for _, key := range from {
			if raw, ok := p[key].(json.RawMessage); ok && payload.Scalar(raw) != "" {
				el[to] = payload.Scalar(raw)
				return
			}
		}
	}
	take("tag_name", "tag", "tag_name", "element")
	take("$el_text", "text", "$el_text")
	take("attr__href", "href", "attr__href")
	take("attr__id", "id", "attr__id")
	take("attr__class", "classes", "class", "attr__class")
	take("attr__name", "name")
	if len(el) > 0 {
		el["nth_child"], el["nth_of_type"] = 1, 1
		p["$elements"] = []any{el}
		if t, ok := el["$el_text"]; ok {
			p["$el_text"] = t
		}
	}
}

func exception(e *headlessly.Event, p posthog.Properties) {
	platform := "web:javascript"
	switch e.Source {
	case headlessly.SourceNode:
		platform = "node:javascript"
	case headlessly.SourceAPI:
		platform = "custom"
	}
	chain := payload.Stack(e.ErrorStack, orText(e.ErrorType, "Error"), e.ErrorMessage)
	list := make([]map[string]any, 0, len(chain))
	for _, x := range chain {
		item := map[string]any{"type": orText(x.Type, "Error"), "value": x.Value}
		if x.Module != "" {
			item["module"] = x.Module
		}
		mechanism := map[string]any{"handled": e.Type == headlessly.TypeMessage, "synthetic": len(x.Frames) == 0}
		for k, v := range x.Mechanism {
			mechanism[k] = v
		}
		item["mechanism"] = mechanism
		if len(x.Frames) > 0 {
			frames := make([]map[string]any, 0, len(x.Frames))
			for _, f := range x.Frames {
				frames = append(frames, frame(f, platform))
			}
			item["stacktrace"] = map[string]any{"type": "raw", "frames": frames}
		}
		list = append(list, item)
	}
	p["$exception_list"] = list
	if e.Level != "" {
		p["$exception_level"] = e.Level
	}
	if own := payload.Fingerprint(e.Fingerprint); len(own) > 0 {
		p["$exception_fingerprint"] = e.Fingerprint
	}
}

func frame(f payload.Frame, platform string) map[string]any {
	m := map[string]any{
		"platform": platform, "filename": orText(f.Filename, f.AbsPath), "function": orText(f.Function, "?"),
		"in_app": f.InApp == nil || *f.InApp,
	}
	if f.Lineno > 0 {
		m["lineno"] = f.Lineno
	}
	if f.Colno > 0 {
		m["colno"] = f.Colno
	}
	return m
}
