package graph

import (
	"encoding/json"
	"maps"
	"strconv"
)

// Entity is one entity as it stands, or stood at an earlier moment. It never
// changes.
type Entity struct {
	ID      string
	Type    string
	Tenant  string
	Version int64  // +1 on every mutation
	Seq     uint64 // place of its last mutation in the log

	CreatedAt, UpdatedAt int64 // µs since the Unix epoch
	CreatedBy            string

	context string          // $context
	doc     json.RawMessage // its fields, an object with sorted keys
	more    map[string]any  // included entities by field
	only    []string        // the fields to show; nil for all
}

// Fields decodes the entity's own fields, without the meta fields; numbers are
// json.Number. The map is the caller's.
func (e *Entity) Fields() map[string]any {
	m, err := decodeObject(e.doc)
	if err != nil { // the projection stores only what it encoded itself
		return map[string]any{}
	}
	return m
}

// Text gives a string field's value, "" when there is none.
func (e *Entity) Text(field string) string {
	s, _ := e.Fields()[field].(string)
	return s
}

// Number gives a number field's value as written, "" when there is none.
func (e *Entity) Number(field string) json.Number {
	n, _ := e.Fields()[field].(json.Number)
	return n
}

// Doc is the JSON object of the entity's own fields. It must not be changed.
func (e *Entity) Doc() json.RawMessage { return e.doc }

// MarshalJSON writes the meta fields, then the entity's own.
func (e *Entity) MarshalJSON() ([]byte, error) { return e.AppendJSON(nil) }

// AppendJSON appends what MarshalJSON gives.
func (e *Entity) AppendJSON(b []byte) ([]byte, error) {
	b = append(b, `{"$id":`...)
	b = strconv.AppendQuote(b, e.ID)
	b = append(b, `,"$type":`...)
	b = strconv.AppendQuote(b, e.Type)
	b = append(b, `,"$context":`...)
	b = strconv.AppendQuote(b, e.context)
	b = append(b, `,"$version":`...)
	b = strconv.AppendInt(b, e.Version, 10)
	b = append(b, `,"$createdAt":"`...)
	b = append(b, FormatTime(e.CreatedAt)...)
	b = append(b, `","$updatedAt":"`...)
	b = append(b, FormatTime(e.UpdatedAt)...)
	b = append(b, `","$createdBy":`...)
	b = strconv.AppendQuote(b, e.CreatedBy)
	if e.only == nil && e.more == nil {
		if len(e.doc) > len(`{}`) {
			b = append(b, ',')
			b = append(b, e.doc[1:]...)
			return b, nil
		}
		return append(b, '}'), nil
	}
	fields := e.Fields()
	if e.only != nil {
		all := fields
		fields = make(map[string]any, len(e.only))
		for _, f := range e.only {
			if v, ok := all[f]; ok {
				fields[f] = v
			}
		}
	}
	for f, v := range e.more {
		fields[f] = v
	}
	raw, err := encode(fields)
	if err != nil {
		return nil, err
	}
	if len(raw) > len(`{}`) {
		b = append(b, ',')
		return append(b, raw[1:]...), nil
	}
	return append(b, '}'), nil
}

// With gives the entity with further fields to show; it is stored nowhere.
func (e *Entity) With(more map[string]any) *Entity {
	out := *e
	out.more = maps.Clone(e.more)
	if out.more == nil {
		out.more = map[string]any{}
	}
	maps.Copy(out.more, more)
	return &out
}
