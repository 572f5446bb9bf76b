package graph

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

var enumValue = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// parseField reads one line of a declaration: a kind, marks, a default.
func parseField(name, notation string) (Field, error) {
	f := Field{Name: name}
	if !fieldName.MatchString(name) {
		return f, errors.New("a name starts with a lower-case letter and holds letters and digits")
	}
	kind, value, defaulted := strings.Cut(notation, " = ")
	kind = f.marks(strings.TrimSpace(kind))
	if rest, ok := strings.CutSuffix(kind, "[]"); ok {
		kind, f.List = strings.TrimSpace(rest), true
	}
	if err := f.kind(kind); err != nil {
		return f, err
	}
	switch {
	case strings.Contains(name, ".") && f.Kind != KindSecret:
		return f, errors.New("only a secret has a dotted name")
	case f.Unique && (f.List || f.Kind != KindString && f.Kind != KindInt):
		return f, errors.New("only a string or an int can be unique")
	case f.Indexed && (f.List || f.Kind == KindJSON || !f.Stored()):
		return f, errors.New("cannot be indexed")
	case f.Kind == KindBack && !f.List:
		return f, errors.New("a back reference is a list: <- Type.field[]")
	case f.List && (f.Kind == KindSecret || f.Kind == KindJSON):
		return f, fmt.Errorf("%s[] is not a kind", f.Kind)
	}
	if defaulted {
		return f, f.setDefault(strings.TrimSpace(value))
	}
	return f, nil
}

// marks takes !, # and ## off the end of a notation.
func (f *Field) marks(s string) string {
	for {
		switch {
		case strings.HasSuffix(s, "##"):
			s, f.Unique, f.Indexed = s[:len(s)-2], true, true
		case strings.HasSuffix(s, "#"):
			s, f.Indexed = s[:len(s)-1], true
		case strings.HasSuffix(s, "!"):
			s, f.Required = s[:len(s)-1], true
		default:
			return strings.TrimSpace(s)
		}
	}
}

func (f *Field) kind(s string) error {
	switch k := Kind(s); k {
	case KindString, KindInt, KindNumber, KindBool, KindTime, KindJSON, KindSecret:
		f.Kind = k
		return nil
	}
	if to, ok := strings.CutPrefix(s, "->"); ok {
		f.Kind, f.Ref, f.Indexed = KindRef, strings.TrimSpace(to), !f.List
		return nil
	}
	if from, ok := strings.CutPrefix(s, "<-"); ok {
		f.Kind = KindBack
		f.Ref, f.RefField, _ = strings.Cut(strings.TrimSpace(from), ".")
		return nil
	}
	if !strings.Contains(s, "|") {
		return fmt.Errorf("%q is no kind; kinds are string, int, number, bool, time, json, secret, A | B, -> Type, <- Type.field[]", s)
	}
	f.Kind = KindEnum
	for v := range strings.SplitSeq(s, "|") {
		v = strings.TrimSpace(v)
		if !enumValue.MatchString(v) || slices.Contains(f.Enum, v) {
			return fmt.Errorf("%q is no value of an enumeration, or is there twice", v)
		}
		f.Enum = append(f.Enum, v)
	}
	return nil
}

func (f *Field) setDefault(s string) error {
	switch {
	case s == "now" && f.Kind == KindTime:
		f.Default = &Default{Now: true}
		return nil
	case strings.HasPrefix(s, "."):
		f.Default = &Default{Field: s[1:]}
		return nil
	}
	v, err := f.constant(s)
	if err != nil {
		return fmt.Errorf("default %q: %w", s, err)
	}
	f.Default = &Default{Value: v}
	return nil
}

// constant reads a value of a declaration as the field's kind wants it.
func (f *Field) constant(s string) (any, error) {
	switch f.Kind {
	case KindString:
		return s, nil
	case KindEnum:
		if !slices.Contains(f.Enum, s) {
			return nil, fmt.Errorf("is not among %s", strings.Join(f.Enum, ", "))
		}
		return s, nil
	case KindBool:
		return strconv.ParseBool(s)
	case KindInt, KindNumber:
		if _, err := strconv.ParseFloat(s, 64); err != nil {
			return nil, errors.New("is no number")
		}
		return number(s), nil
	}
	return nil, fmt.Errorf("a %s takes no constant", f.Kind)
}

func (d *declaration) verbs(t *Type, n *yaml.Node) {
	if t.Immutable {
		d.fault(n, "%s: an immutable type has no verbs", t.Name)
		return
	}
	d.each(n, "verbs by name", func(key, value *yaml.Node) {
		v, err := t.parseVerb(key.Value, value.Value)
		if err != nil {
			d.fault(value, "%s.%s: %v", t.Name, key.Value, err)
			return
		}
		t.Verbs = append(t.Verbs, v)
	})
}

// parseVerb reads one line of a declaration: an event, then effects.
func (t *Type) parseVerb(name, notation string) (Verb, error) {
	parts := strings.Split(notation, ";")
	v := Verb{Name: name, Event: strings.TrimSpace(parts[0])}
	v.Gerund, v.Past = gerund(name), lowerFirst(v.Event)
	switch {
	case !fieldName.MatchString(name) || strings.Contains(name, "."):
		return v, errors.New("a verb starts with a lower-case letter and holds letters and digits")
	case slices.Contains(reservedVerbs(), name):
		return v, errors.New("is built in")
	case !eventName.MatchString(v.Event):
		return v, fmt.Errorf("%q is no event name", v.Event)
	}
	for _, part := range parts[1:] {
		part = strings.TrimSpace(part)
		if part == "create" {
			v.Creates = true
			continue
		}
		e, err := t.parseEffect(part)
		if err != nil {
			return v, fmt.Errorf("%q: %w", part, err)
		}
		v.Sets = append(v.Sets, e)
	}
	return v, nil
}

func (t *Type) parseEffect(s string) (Effect, error) {
	field, value, ok := strings.Cut(s, "=")
	name, appends := strings.CutSuffix(strings.TrimSpace(field), "+")
	e := Effect{Field: strings.TrimSpace(name)}
	value = strings.TrimSpace(value)
	f := t.Field(e.Field)
	switch {
	case !ok:
		return e, errors.New("want create, field = value or field += argument")
	case f == nil || !f.Stored():
		return e, fmt.Errorf("%s has no field %q", t.Name, e.Field)
	case appends && (!f.List || value == ""):
		return e, errors.New("+= adds an argument to a list")
	case appends:
		e.Append = value
	case value == "now" && f.Kind == KindTime:
		e.Now = true
	case value != "":
		v, err := f.constant(value)
		if err != nil {
			return e, err
		}
		e.Value = v
	}
	return e, nil
}

// reservedVerbs have a meaning of their own in every face.
func reservedVerbs() []string {
	return []string{VerbCreate, "get", "find", VerbUpdate, VerbDelete, "count", VerbRollback}
}
