package graph

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/headlessly/headlessly"
)

// Limits of one entity.
const (
	// MaxDocBytes is the largest entity as JSON. Its event holds the values
	// before and after, and fits with them in a message of 1 MiB.
	MaxDocBytes = 256 << 10
	// MaxFieldName bounds the name of a field that no declaration knows.
	MaxFieldName = 128
	maxDepth     = headlessly.MaxJSONDepth
	maxKeys      = headlessly.MaxJSONKeys
)

// metaFields are set by the system and ignored on input.
func metaField(name string) bool {
	switch name {
	case "$id", "$type", "$context", "$version", "$createdAt", "$updatedAt", "$createdBy":
		return true
	}
	return false
}

// input is what a caller gave, checked: fields to set (nil removes one), and
// secrets, which are kept out of everything that is stored.
type input struct {
	fields  map[string]any
	secrets map[string]headlessly.Secret
}

// checker validates values against a type and gathers the faults.
type checker struct {
	typ    *Type
	faults []*Error
	keys   int
}

func (c *checker) fault(field, format string, args ...any) {
	c.faults = append(c.faults, invalid(c.typ.Name, field, "%s: %s", field, fmt.Sprintf(format, args...)))
}

// read checks a caller's arguments, each field for itself.
func (t *Type) read(args map[string]any) (input, []*Error) {
	c := &checker{typ: t}
	in := input{fields: make(map[string]any, len(args)), secrets: map[string]headlessly.Secret{}}
	for name, v := range args {
		v, err := plain(v)
		if err != nil {
			c.fault(name, "%v", err)
			continue
		}
		f := t.fields[name]
		switch {
		case metaField(name):
		case f == nil:
			if c.unknownName(name) && c.walk(name, v, 2) {
				in.fields[name] = v
			}
		case f.Kind == KindBack: // computed, so whatever came back is dropped
		case f.Kind == KindSecret:
			c.secret(&in, name, v)
		case v == nil:
			in.fields[name] = nil
		default:
			if v, ok := c.value(f, v); ok {
				in.fields[name] = v
			}
		}
	}
	t.nestedSecrets(c, &in)
	return in, c.faults
}

// secret puts a credential aside.
func (c *checker) secret(in *input, name string, v any) {
	switch v := v.(type) {
	case nil:
	case string:
		in.secrets[name] = headlessly.NewSecret(v)
	default:
		raw, err := encode(v)
		if err != nil {
			c.fault(name, "is no value")
			return
		}
		in.secrets[name] = headlessly.NewSecret(string(raw))
	}
}

// nestedSecrets takes secrets out of json fields.
func (t *Type) nestedSecrets(c *checker, in *input) {
	for i := range t.Fields {
		f := &t.Fields[i]
		if f.Kind != KindSecret || !strings.Contains(f.Name, ".") {
			continue
		}
		path := strings.Split(f.Name, ".")
		at, ok := any(in.fields), true
		for _, p := range path[:len(path)-1] {
			var m map[string]any
			if m, ok = at.(map[string]any); !ok {
				break
			}
			at = m[p]
		}
		if m, is := at.(map[string]any); ok && is {
			if v, has := m[path[len(path)-1]]; has {
				c.secret(in, f.Name, v)
				delete(m, path[len(path)-1])
			}
		}
	}
}

func (c *checker) unknownName(name string) bool {
	switch {
	case strings.HasPrefix(name, "$"):
		c.fault(name, "names that start with $ are the system's; leave it out")
	case name == "" || len(name) > MaxFieldName || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || strings.ContainsRune(`."\`, r) }):
		c.fault(strconv.QuoteToASCII(name), "is no field name: use up to %d characters without dot, quote, backslash or control characters", MaxFieldName)
	default:
		return true
	}
	return false
}

// value checks one value of a declared field and gives its canonical form.
func (c *checker) value(f *Field, v any) (any, bool) {
	if !f.List {
		return c.one(f, f.Name, v)
	}
	list, ok := v.([]any)
	if !ok {
		c.fault(f.Name, "must be a list")
		return nil, false
	}
	if c.keys += len(list); c.keys > maxKeys {
		c.fault(f.Name, "has more than %d elements", maxKeys)
		return nil, false
	}
	out := make([]any, len(list))
	for i, e := range list {
		if out[i], ok = c.one(f, fmt.Sprintf("%s[%d]", f.Name, i), e); !ok {
			return nil, false
		}
	}
	return out, true
}

func (c *checker) one(f *Field, at string, v any) (any, bool) {
	switch f.Kind {
	case KindJSON:
		return v, c.walk(at, v, 2)
	case KindBool:
		if _, ok := v.(bool); !ok {
			c.fault(at, "must be true or false")
			return nil, false
		}
		return v, true
	case KindInt, KindNumber:
		return c.numeric(f, at, v)
	}
	if m, ok := v.(map[string]any); ok && f.Kind == KindRef { // an included entity, sent back
		v = m["$id"]
	}
	s, ok := v.(string)
	if !ok {
		c.fault(at, "must be a string")
		return nil, false
	}
	return c.text(f, at, s)
}

func (c *checker) text(f *Field, at, s string) (any, bool) {
	switch f.Kind {
	case KindEnum:
		if !slices.Contains(f.Enum, s) {
			c.fault(at, "%q is not among %s", s, strings.Join(f.Enum, ", "))
			return nil, false
		}
	case KindTime:
		canonical, err := parseTime(s)
		if err != nil {
			c.fault(at, "must be a time such as 2025-09-15T14:32:00Z, or a date")
			return nil, false
		}
		return canonical, true
	case KindRef:
		prefix := strings.ToLower(f.Ref) + "_"
		if rest, ok := strings.CutPrefix(s, prefix); !ok || !validSqid(rest) {
			c.fault(at, "must be the id of a %s, such as %shV6nRxWm", f.Ref, prefix)
			return nil, false
		}
	}
	return s, true
}

func (c *checker) numeric(f *Field, at string, v any) (any, bool) {
	n, ok := v.(number)
	if !ok {
		c.fault(at, "must be a number")
		return nil, false
	}
	if f.Kind == KindInt {
		if n, ok = integer(n); !ok {
			c.fault(at, "must be a whole number")
		}
		return n, ok
	}
	return n, c.finite(at, n)
}

func (c *checker) finite(at string, n number) bool {
	if _, err := strconv.ParseFloat(string(n), 64); err != nil {
		c.fault(at, "is out of range")
		return false
	}
	return true
}

// walk checks a value of any form: how deep, how many, numbers in range.
func (c *checker) walk(at string, v any, depth int) bool {
	if depth > maxDepth {
		c.fault(at, "is nested deeper than %d", maxDepth)
		return false
	}
	if c.keys++; c.keys > maxKeys {
		c.fault(at, "brings the entity above %d values", maxKeys)
		return false
	}
	switch v := v.(type) {
	case number:
		return c.finite(at, v)
	case []any:
		for _, e := range v {
			if !c.walk(at, e, depth+1) {
				return false
			}
		}
	case map[string]any:
		for _, e := range v {
			if !c.walk(at, e, depth+1) {
				return false
			}
		}
	}
	return true
}

// complete checks what is only known of the whole entity.
func (t *Type) complete(doc map[string]any) []*Error {
	c := &checker{typ: t}
	for i := range t.Fields {
		f := &t.Fields[i]
		if v, ok := doc[f.Name]; f.Required && (!ok || v == nil || v == "") {
			c.fault(f.Name, "is required")
		}
	}
	if len(doc) > maxKeys {
		c.fault("", "the entity has more than %d fields", maxKeys)
	}
	return c.faults
}

// TakeSecrets removes nested secrets from fields and gives them by their dotted
// names, as [Draft].Secrets has them.
func (t *Type) TakeSecrets(fields map[string]any) map[string]headlessly.Secret {
	in := input{fields: fields, secrets: map[string]headlessly.Secret{}}
	t.nestedSecrets(&checker{typ: t}, &in)
	return in.secrets
}
