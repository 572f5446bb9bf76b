package graph

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"go.yaml.in/yaml/v3"
)

// declaration is one file of types while it is read. Every fault is kept, with
// its line.
type declaration struct {
	file string
	errs []error
}

func (d *declaration) fault(n *yaml.Node, format string, args ...any) {
	d.errs = append(d.errs, fmt.Errorf("%s:%d: %s", d.file, n.Line, fmt.Sprintf(format, args...)))
}

var (
	typeName  = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,62}$`)
	fieldName = regexp.MustCompile(`^[a-z][A-Za-z0-9]{0,62}(\.[A-Za-z][A-Za-z0-9]{0,62})*$`)
	eventName = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,62}$`)
)

// declare reads the types of one file, without checking what they refer to.
func declare(file string, raw []byte) ([]*Type, error) {
	d := &declaration{file: file}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if doc.Kind == 0 { // an empty file
		return nil, nil
	}
	var out []*Type
	d.each(doc.Content[0], "types by name", func(key, value *yaml.Node) {
		if !typeName.MatchString(key.Value) {
			d.fault(key, "type %q: a name starts with a capital and holds letters and digits", key.Value)
		}
		out = append(out, d.typ(key.Value, value))
	})
	return out, errors.Join(d.errs...)
}

// each calls f for the pairs of a mapping and reports anything else.
func (d *declaration) each(n *yaml.Node, what string, f func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.fault(n, "want %s", what)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if seen[key.Value] {
			d.fault(key, "%q is declared twice", key.Value)
		}
		seen[key.Value] = true
		f(key, n.Content[i+1])
	}
}

func (d *declaration) typ(name string, n *yaml.Node) *Type {
	t := &Type{Name: name, fields: map[string]*Field{}, verbs: map[string]*Verb{}}
	var verbs, groups, events *yaml.Node
	d.each(n, "a type's domain, fields and verbs", func(key, value *yaml.Node) {
		switch key.Value {
		case "domain":
			t.Domain = value.Value
		case "immutable":
			if err := value.Decode(&t.Immutable); err != nil {
				d.fault(value, "immutable: want true or false")
			}
		case "fields":
			d.fields(t, value)
		case "verbs":
			verbs = value
		case "events":
			events = value
		case "groups":
			groups = value
		default:
			d.fault(key, "%s: unknown key %q; known are domain, immutable, fields, verbs, events, groups", name, key.Value)
		}
	})
	if t.Domain == "" {
		d.fault(n, "%s: domain is missing", name)
	}
	if len(t.Fields) == 0 {
		d.fault(n, "%s: has no fields", name)
	}
	t.builtins()
	if verbs != nil {
		d.verbs(t, verbs)
	}
	if events != nil {
		d.events(t, events)
	}
	if groups != nil {
		d.groups(t, groups)
	}
	t.index()
	return t
}

func (d *declaration) fields(t *Type, n *yaml.Node) {
	d.each(n, "fields by name", func(key, value *yaml.Node) {
		f, err := parseField(key.Value, value.Value)
		if value.Kind != yaml.ScalarNode {
			err = errors.New("want a kind, such as string or time")
		}
		if err != nil {
			d.fault(value, "%s.%s: %v", t.Name, key.Value, err)
			return
		}
		t.Fields = append(t.Fields, f)
	})
	t.index()
	for _, f := range t.Fields {
		if f.Default != nil && f.Default.Field != "" && t.fields[f.Default.Field] == nil {
			d.fault(n, "%s.%s: its default names %q, which is no field", t.Name, f.Name, f.Default.Field)
		}
	}
}

func (d *declaration) events(t *Type, n *yaml.Node) {
	if err := n.Decode(&t.Events); err != nil {
		d.fault(n, "%s.events: want a list of names", t.Name)
	}
	for _, e := range t.Events {
		if !eventName.MatchString(e) {
			d.fault(n, "%s.events: %q is no event name", t.Name, e)
		}
	}
}

func (d *declaration) groups(t *Type, n *yaml.Node) {
	if err := n.Decode(&t.Groups); err != nil {
		d.fault(n, "%s.groups: want a field's groups by name, each a list of values", t.Name)
		return
	}
	for _, field := range slices.Sorted(maps.Keys(t.Groups)) {
		f := t.Field(field)
		if f == nil || f.Kind != KindEnum {
			d.fault(n, "%s.groups: %q is no enumeration", t.Name, field)
			continue
		}
		for name, values := range t.Groups[field] {
			for _, v := range values {
				if !slices.Contains(f.Enum, v) {
					d.fault(n, "%s.groups.%s.%s: %q is not among its values", t.Name, field, name, v)
				}
			}
		}
	}
}

// index makes the lookups by name and what else follows from the fields.
func (t *Type) index() {
	t.indexed, t.uniques = nil, nil
	for i := range t.Fields {
		f := &t.Fields[i]
		t.fields[f.Name] = f
		if f.Indexed {
			t.indexed = append(t.indexed, f)
		}
		if f.Unique {
			t.uniques = append(t.uniques, f)
		}
	}
	t.insertSQL = t.insert()
	for i := range t.Verbs {
		t.verbs[t.Verbs[i].Name] = &t.Verbs[i]
	}
}

// builtins adds the verbs that every type has.
func (t *Type) builtins() {
	add := func(name, event string) {
		t.Verbs = append(t.Verbs, Verb{Name: name, Event: event, Gerund: gerund(name), Past: lowerFirst(event), Creates: name == VerbCreate, Builtin: true})
	}
	add(VerbCreate, "Created")
	if !t.Immutable {
		add(VerbUpdate, "Updated")
		add(VerbDelete, "Deleted")
		add(VerbRollback, "RolledBack")
	}
}

// Nearest is the name in list that s was probably meant to be, "" when none is
// close.
func Nearest(s string, list []string) string {
	best, distance := "", 1+len(s)/3
	for _, c := range list {
		if d := levenshtein.ComputeDistance(strings.ToLower(s), strings.ToLower(c)); d <= distance {
			best, distance = c, d-1
		}
	}
	return best
}
