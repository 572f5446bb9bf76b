package rules

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/expr-lang/expr"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/payload"
)

// Apply gives the event as the destination shall see it: the event itself when
// nothing changes, else a copy.
func (s *Set) Apply(e *headlessly.Event) *headlessly.Event {
	if s == nil || !s.changes {
		return e
	}
	c := *e
	p := s.rules.Properties
	if p != nil {
		props := payload.Object(e.Properties)
		if props == nil {
			props = map[string]json.RawMessage{}
		}
		s.trim(props, p.Keep)
		hide(props, p)
		rename(props, p.Rename)
		s.fill(e, props)
		c.Properties = text(props)
		if e.Traits != "" {
			traits := payload.Object(e.Traits)
			hide(traits, p)
			c.Traits = text(traits)
		}
	}
	if to, ok := s.rules.Rename[e.Event]; ok {
		c.Event = to
	} else if to, ok := s.rules.Rename[e.Type]; ok && e.Event == "" {
		c.Event = to
	}
	return &c
}

func (s *Set) trim(props map[string]json.RawMessage, keep []string) {
	if len(keep) == 0 {
		return
	}
	for name := range props {
		if !listed(keep, name) {
			delete(props, name)
		}
	}
}

// rename gives values new names, all at once, so that the order of the rules
// does not matter and a and b can change places.
func rename(props map[string]json.RawMessage, names map[string]string) {
	moved := map[string]json.RawMessage{}
	for _, from := range slices.Sorted(maps.Keys(names)) {
		if v, ok := props[from]; ok {
			moved[names[from]] = v
		}
	}
	for from := range names {
		delete(props, from)
	}
	maps.Copy(props, moved)
}

func hide(m map[string]json.RawMessage, p *headlessly.PropertyRules) {
	for name := range m {
		switch {
		case listed(p.Drop, name):
			delete(m, name)
		case listed(p.Mask, name):
			m[name] = json.RawMessage(`"` + Masked + `"`)
		}
	}
}

func listed(patterns []string, name string) bool {
	for _, p := range patterns {
		if glob(p, name) {
			return true
		}
	}
	return false
}

// fill adds the values of expressions; one that fails, or gives what JSON
// cannot hold, adds nothing.
func (s *Set) fill(e *headlessly.Event, props map[string]json.RawMessage) {
	if len(s.add) == 0 {
		return
	}
	seen := view(e)
	for _, a := range s.add {
		out, err := expr.Run(a.value, seen)
		if err != nil || out == nil {
			continue
		}
		if b, err := json.Marshal(out); err == nil && len(b) <= headlessly.MaxEventBytes {
			props[a.name] = b
		}
	}
}

func text(m map[string]json.RawMessage) string {
	if len(m) == 0 {
		return ""
	}
	b, err := json.Marshal(m)
	if err != nil {
		return ""
	}
	return string(b)
}
