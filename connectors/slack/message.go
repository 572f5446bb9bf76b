package slack

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/headlessly/headlessly/connectors/graph"
)

// Slack's limits, and ours within them.
const (
	maxText     = 2900 // of a section: 3,000
	maxValue    = 300  // of a shown field: 2,000
	maxFields   = 8    // of a section: 10
	maxFallback = 3000
)

type text struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Verbatim bool   `json:"verbatim,omitempty"`
}

type block struct {
	Type     string `json:"type"`
	Text     *text  `json:"text,omitempty"`
	Fields   []text `json:"fields,omitempty"`
	Elements []text `json:"elements,omitempty"`
}

// message is the body of an incoming webhook.
type message struct {
	Text   string  `json:"text"` // for notifications
	Blocks []block `json:"blocks"`
}

// mrkdwn is text in Slack's markup; names and links in it are not resolved.
func mrkdwn(s string) text { return text{Type: "mrkdwn", Text: s, Verbatim: true} }

func section(s string) block {
	t := mrkdwn(s)
	return block{Type: "section", Text: &t}
}

// compose writes a message of one event, or a list of several.
func compose(events []*graph.Happened, templates map[string]string) message {
	if len(events) == 1 {
		h := events[0]
		line := headline(h, templates)
		m := message{Text: cut(line, maxFallback), Blocks: []block{section(cut(line, maxText))}}
		if shown := details(h); len(shown) > 0 {
			m.Blocks = append(m.Blocks, block{Type: "section", Fields: shown})
		}
		m.Blocks = append(m.Blocks, block{Type: "context", Elements: []text{mrkdwn(footer(h))}})
		return m
	}
	m := message{Text: fmt.Sprintf("%d events", len(events))}
	for _, h := range events {
		m.Blocks = append(m.Blocks, section(cut(headline(h, templates), maxText/4)+"\n"+footer(h)))
	}
	return m
}

// headline says what happened, in one line.
func headline(h *graph.Happened, templates map[string]string) string {
	if t, ok := template(templates, h.Event.Name); ok {
		return fill(t, h)
	}
	typ, event, _ := strings.Cut(h.Event.Name, ".")
	line := "*" + words(typ) + " " + strings.ToLower(words(event)) + "*"
	if name := label(h.Entity.Fields()); name != "" {
		line += ": " + escape(cut(name, maxValue))
	}
	return line
}

// template finds an event's template: its own first, then the most exact
// pattern.
func template(templates map[string]string, name string) (string, bool) {
	names := slices.SortedFunc(maps.Keys(templates), func(a, b string) int {
		if d := breadth(a) - breadth(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for _, p := range names {
		if graph.Match([]string{p}, name) {
			return templates[p], true
		}
	}
	return "", false
}

// breadth orders patterns: an exact one, half a one, all.
func breadth(pattern string) int {
	if pattern == "*" || pattern == "*.*" {
		return 2
	}
	return strings.Count(pattern, "*")
}

var hole = regexp.MustCompile(`\{\{\s*([A-Za-z0-9_$.]+)\s*\}\}`)

// fill puts an event's values into a template. What is not there leaves an
// empty place.
func fill(t string, h *graph.Happened) string {
	fields := h.Entity.Fields()
	before := map[string]any{}
	var changes map[string]struct {
		Before any `json:"before"`
	}
	if h.Event.Version > 1 && json.Unmarshal(h.Event.Data, &changes) == nil {
		for name, c := range changes {
			before[name] = c.Before
		}
	}
	return hole.ReplaceAllStringFunc(t, func(found string) string {
		path := strings.Split(hole.FindStringSubmatch(found)[1], ".")
		switch path[0] {
		case "event":
			return escape(h.Event.Name)
		case "$id":
			return escape(h.Entity.ID)
		case "actor":
			return escape(h.Event.Actor)
		case "timestamp":
			return when(h)
		case "previous":
			return escape(cut(show(look(before, path[1:])), maxValue))
		case "data":
			path = path[1:]
		}
		return escape(cut(show(look(fields, path)), maxValue))
	})
}

func look(v any, path []string) any {
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[p]
	}
	return v
}

// label is what people call an entity.
func label(fields map[string]any) string {
	for _, name := range []string{"name", "title", "subject", "number", "email", "body", "provider"} {
		if s, ok := fields[name].(string); ok && s != "" {
			return s
		}
	}
	return ""
}

// details are the fields worth showing: those that changed, or of a new entity
// the short ones.
func details(h *graph.Happened) []text {
	var changes map[string]struct {
		Before any `json:"before"`
		After  any `json:"after"`
	}
	var out []text
	add := func(name, value string) {
		if value != "" && len(out) < maxFields {
			out = append(out, mrkdwn("*"+escape(words(name))+"*\n"+value))
		}
	}
	if h.Event.Version > 1 {
		if json.Unmarshal(h.Event.Data, &changes) != nil {
			return nil
		}
		for _, name := range slices.Sorted(maps.Keys(changes)) {
			c := changes[name]
			before, after := escape(cut(show(c.Before), maxValue)), escape(cut(show(c.After), maxValue))
			switch {
			case hidden(name):
			case before == "":
				add(name, after)
			case after == "":
				add(name, "~"+before+"~")
			default:
				add(name, before+" → "+after)
			}
		}
		return out
	}
	fields := h.Entity.Fields()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if s := show(fields[name]); !hidden(name) && s != label(fields) && len(s) <= maxValue {
			add(name, escape(s))
		}
	}
	return out
}

// hidden fields are bookkeeping.
func hidden(name string) bool {
	return name == "syncedAt" || name == "integration" || strings.HasPrefix(name, "lastSync") || strings.HasPrefix(name, "stripe") || strings.HasPrefix(name, "github")
}

func footer(h *graph.Happened) string {
	return "`" + h.Entity.ID + "` · " + when(h) + " · by " + escape(h.Event.Actor)
}

// when lets Slack write the time in the reader's time zone.
func when(h *graph.Happened) string {
	µs := h.Event.Time
	return fmt.Sprintf("<!date^%d^{date_short_pretty} {time}|%s>", µs/1_000_000, graph.FormatTime(µs)[:16]+"Z")
}

// show writes a value for people.
func show(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = show(e)
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		raw, _ := json.Marshal(v) // it came from JSON
		return string(raw)
	}
	return fmt.Sprint(v)
}

// words turns camelCase into words: "stageChanged" into "Stage changed".
func words(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case i == 0:
			b.WriteRune(unicode.ToUpper(r))
		case unicode.IsUpper(r):
			b.WriteByte(' ')
			b.WriteRune(unicode.ToLower(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// escape makes text harmless in Slack's markup: no mention, no link.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// cut shortens text to a number of bytes, at a rune.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	at := most - len("…")
	for at > 0 && s[at]&0xc0 == 0x80 {
		at--
	}
	return s[:at] + "…"
}
