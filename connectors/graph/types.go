package graph

import (
	_ "embed" // for the built-in types
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"strings"
)

//go:embed types.yaml
var builtin []byte

// number is a JSON number as written, so that no digit is lost.
type number = json.Number

// Types is a set of entity types. It never changes and is safe for concurrent
// use.
type Types struct {
	list     []*Type
	byName   map[string]*Type
	byPrefix map[string]*Type // lower-case name
}

// BuiltinTypes are the types that the product documents.
func BuiltinTypes() *Types {
	list, err := declare("types.yaml", builtin)
	if err != nil {
		panic("graph: " + err.Error()) // the file is part of the program, and a test reads it
	}
	t, err := newTypes(list)
	if err != nil {
		panic("graph: " + err.Error())
	}
	return t
}

// WithFile adds the types of a user's file. The error joins every fault of the
// file, each with its line.
func (ts *Types) WithFile(path string) (*Types, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read types: %w", err)
	}
	return ts.With(path, raw)
}

// With adds the types declared by raw; file is its name in messages.
func (ts *Types) With(file string, raw []byte) (*Types, error) {
	more, err := declare(file, raw)
	if err != nil {
		return nil, err
	}
	t, err := newTypes(append(slices.Clone(ts.list), more...))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return t, nil
}

func newTypes(list []*Type) (*Types, error) {
	ts := &Types{list: list, byName: map[string]*Type{}, byPrefix: map[string]*Type{}}
	var errs []error
	for _, t := range list {
		prefix := strings.ToLower(t.Name)
		if ts.byPrefix[prefix] != nil || prefix == "evt" {
			errs = append(errs, fmt.Errorf("type %s: the name is taken", t.Name))
		}
		ts.byName[t.Name], ts.byPrefix[prefix] = t, t
	}
	for _, t := range list {
		for i := range t.Fields {
			if err := ts.checkRef(t, &t.Fields[i]); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return ts, errors.Join(errs...)
}

func (ts *Types) checkRef(t *Type, f *Field) error {
	if f.Ref == "" {
		return nil
	}
	other := ts.byName[f.Ref]
	if other == nil {
		return fmt.Errorf("%s.%s: there is no type %q", t.Name, f.Name, f.Ref)
	}
	if f.Kind == KindBack {
		if r := other.Field(f.RefField); r == nil || r.Kind != KindRef || r.Ref != t.Name {
			return fmt.Errorf("%s.%s: %s.%s does not refer to %s", t.Name, f.Name, f.Ref, f.RefField, t.Name)
		}
	}
	return nil
}

// All gives the types in declared order.
func (ts *Types) All() []*Type { return slices.Clone(ts.list) }

// Lookup gives the type of this name; the error of an unknown one names what
// was probably meant.
func (ts *Types) Lookup(name string) (*Type, error) {
	if t := ts.byName[name]; t != nil {
		return t, nil
	}
	names := make([]string, len(ts.list))
	for i, t := range ts.list {
		names[i] = t.Name
	}
	return nil, notFound("", "", "there is no type %q%s", name, suggestion(name, names))
}

// OfID gives the type that an id belongs to, nil when it is no id.
func (ts *Types) OfID(id string) *Type {
	prefix, rest, ok := strings.Cut(id, "_")
	if !ok || !validSqid(rest) {
		return nil
	}
	return ts.byPrefix[prefix]
}

// fingerprint changes whenever the projection's tables would.
func (ts *Types) fingerprint() string {
	h := fnv.New64a()
	for _, t := range ts.list {
		_, _ = fmt.Fprintf(h, "%s;", t.Name)
		for _, f := range t.Fields {
			if f.Indexed {
				_, _ = fmt.Fprintf(h, "%s %s %v,", f.Name, f.Kind, f.Unique)
			}
		}
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// suggestion is a sentence part that names the nearest known word, and all of
// them when they are few.
func suggestion(got string, known []string) string {
	if best := Nearest(got, known); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	if len(known) <= 20 {
		return "; known are " + strings.Join(known, ", ")
	}
	return ""
}
