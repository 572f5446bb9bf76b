package graph

import "strings"

// Kind is what values a field takes.
type Kind string

// Field kinds, as a declaration writes them.
const (
	KindString Kind = "string"
	KindInt    Kind = "int"
	KindNumber Kind = "number"
	KindBool   Kind = "bool"
	KindTime   Kind = "time" // RFC 3339, or a date
	KindJSON   Kind = "json" // any value
	KindEnum   Kind = "enum"
	KindRef    Kind = "ref"
	KindBack   Kind = "back" // computed: the entities that refer to this one
	KindSecret Kind = "secret"
)

// Type is one declared entity type. It never changes once its [Types] is made.
type Type struct {
	Name   string // PascalCase
	Domain string
	Fields []Field // in declared order, secrets and back references among them
	Verbs  []Verb  // the built-in ones first
	Events []string
	// Immutable types are created and read, nothing else.
	Immutable bool
	// Groups name several values of a field: field, name, values.
	Groups map[string]map[string][]string

	fields    map[string]*Field
	verbs     map[string]*Verb
	indexed   []*Field // those with a column of their own
	uniques   []*Field
	insertSQL string
}

// Field is one declared field.
type Field struct {
	Name     string // of a nested secret: its dotted path
	Kind     Kind
	List     bool
	Required bool
	Indexed  bool
	Unique   bool
	Enum     []string
	Ref      string // KindRef and KindBack: the other type
	RefField string // KindBack: the other type's field
	Default  *Default
}

// Default is what a field gets on create when the caller leaves it out: a
// constant, another field's value, or the time.
type Default struct {
	Value any
	Field string
	Now   bool
}

// Verb is something that can be done to an entity of a type.
type Verb struct {
	Name   string // cancel
	Event  string // Cancelled
	Gerund string // cancelling: the before hook's name
	Past   string // cancelled: the after hook's name
	// Creates lets the verb make a new entity when called without an id.
	Creates bool
	Builtin bool
	Sets    []Effect
}

// Effect is what a verb does to a field by itself.
type Effect struct {
	Field  string
	Append string // the argument whose value joins the list Field
	Value  any    // nil removes the field
	Now    bool
}

// Built-in verbs.
const (
	VerbCreate   = "create"
	VerbUpdate   = "update"
	VerbDelete   = "delete"
	VerbRollback = "rollback"
)

// Field gives the declared field of this name, nil when there is none.
func (t *Type) Field(name string) *Field { return t.fields[name] }

// Verb gives the verb of this name, nil when there is none.
func (t *Type) Verb(name string) *Verb { return t.verbs[name] }

// IDPrefix is what the ids of this type start with: "integration_".
func (t *Type) IDPrefix() string { return strings.ToLower(t.Name) + "_" }

// Stored says whether the field's value is part of the entity.
func (f *Field) Stored() bool { return f.Kind != KindSecret && f.Kind != KindBack }

// Notation writes the field's kind and marks as a declaration does.
func (f *Field) Notation() string {
	s := string(f.Kind)
	switch f.Kind {
	case KindEnum:
		s = strings.Join(f.Enum, " | ")
	case KindRef:
		s = "-> " + f.Ref
	case KindBack:
		return "<- " + f.Ref + "." + f.RefField + "[]"
	}
	if f.List {
		s += "[]"
	}
	if f.Required {
		s += "!"
	}
	switch {
	case f.Unique:
		s += "##"
	case f.Indexed && f.Kind != KindRef:
		s += "#"
	}
	return s
}
