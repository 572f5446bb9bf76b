package openapi

import (
	"strings"

	"github.com/headlessly/headlessly/connectors/graph"
)

// entity is the schema of what a type's entities look like.
func entity(t *graph.Type) object {
	props := object{
		"$id": object{"type": "string", "pattern": "^" + t.IDPrefix() + "[A-Za-z0-9]{8,12}$"}, "$type": object{"const": t.Name}, "$context": object{"type": "string"},
		"$version": object{"type": "integer", "minimum": 1}, "$createdAt": object{"type": "string", "format": "date-time"}, "$updatedAt": object{"type": "string", "format": "date-time"},
		"$createdBy": object{"type": "string"},
		"$leftOut": object{
			"type": "object", "additionalProperties": object{"type": "integer", "minimum": 1}, "readOnly": true,
			"description": "How many entities of an included field are not shown, by field. Only where there are such.",
		},
	}
	for i := range t.Fields {
		f := &t.Fields[i]
		switch f.Kind {
		case graph.KindSecret:
		case graph.KindBack:
			props[f.Name] = object{"type": "array", "items": schema(f.Ref), "readOnly": true, "description": notation(f) + " Only when included."}
		case graph.KindRef:
			s := value(f)
			one := object{"anyOf": []object{s, schema(f.Ref)}, "description": notation(f) + " The entity itself when included."}
			if f.List {
				one = object{"type": "array", "items": object{"anyOf": []object{s, schema(f.Ref)}}, "description": notation(f)}
			}
			props[f.Name] = one
		default:
			props[f.Name] = listed(f, value(f))
		}
	}
	return object{
		"type": "object", "properties": props, "additionalProperties": true,
		"required": []string{"$id", "$type", "$context", "$version", "$createdAt", "$updatedAt", "$createdBy"},
	}
}

// input is the schema of what a caller gives: a whole entity, or changes, where
// null removes a field.
func input(t *graph.Type, whole bool) object {
	props, required := object{}, []string{}
	for i := range t.Fields {
		f := &t.Fields[i]
		if f.Kind == graph.KindBack || strings.Contains(f.Name, ".") {
			continue
		}
		s := value(f)
		if f.Kind == graph.KindSecret {
			s = object{"type": "string", "writeOnly": true}
		}
		s = listed(f, s)
		if f.Kind == graph.KindSecret {
			s["description"] = "Handed to the provider and never shown."
		}
		if !whole && !f.Required && f.Kind != graph.KindJSON {
			s = object{"anyOf": []object{s, {"type": "null"}}}
		}
		props[f.Name] = s
		if whole && f.Required && f.Default == nil {
			required = append(required, f.Name)
		}
	}
	out := object{"type": "object", "properties": props, "additionalProperties": true, "description": "Further fields are kept as they come."}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

// value is the schema of one value of a field.
func value(f *graph.Field) object {
	switch f.Kind {
	case graph.KindInt:
		return object{"type": "integer", "minimum": -(1 << 53), "maximum": 1 << 53}
	case graph.KindNumber:
		return object{"type": "number"}
	case graph.KindBool:
		return object{"type": "boolean"}
	case graph.KindTime:
		return object{"type": "string", "examples": []string{"2025-09-15T14:32:00Z"}, "anyOf": []object{{"format": "date-time"}, {"format": "date"}}}
	case graph.KindEnum:
		return object{"type": "string", "enum": f.Enum}
	case graph.KindRef:
		return object{"type": "string", "pattern": "^" + strings.ToLower(f.Ref) + "_[A-Za-z0-9]{8,12}$"}
	case graph.KindJSON:
		return object{}
	}
	return object{"type": "string"}
}

func listed(f *graph.Field, s object) object {
	if f.List {
		s = object{"type": "array", "items": s}
	}
	s["description"] = notation(f)
	return s
}

// common are the schemas that belong to no type.
func common() object {
	str, n, yes := object{"type": "string"}, object{"type": "integer"}, object{"type": "boolean"}
	of := func(required []string, props object) object {
		return object{"type": "object", "properties": props, "required": required}
	}
	list := func(items object) object { return object{"type": "array", "items": items} }
	either := object{"anyOf": []object{str, list(str)}}
	event := of([]string{"id", "type", "target", "actor", "timestamp", "data", "tenant", "version", "seq"}, object{
		"id": str, "type": str, "target": str, "actor": str, "timestamp": object{"type": "string", "format": "date-time"}, "tenant": str, "version": n, "seq": n, "cause": str,
		"data": object{"type": "object", "description": "The whole entity when it is made, else the changed fields with before and after."},
	})
	key := of([]string{"$id", "name", "kind", "prefix", "scopes", "$createdAt"}, object{
		"$id": str, "$type": str, "name": str, "kind": object{"enum": []string{"public", "secret", "admin"}}, "prefix": str, "scopes": list(str), "$createdAt": str, "lastUsedAt": str, "revokedAt": str,
		"key": object{"type": "string", "description": "The key itself; at creation and rotation only."},
	})
	return object{
		"api.Error": of([]string{"error", "message"}, object{
			"error": str, "message": object{"type": "string", "description": "What is wrong, and what to do."}, "type": str, "id": str, "field": str, "details": list(schema("api.Error")),
		}),
		"api.Count":      of([]string{"count"}, object{"count": n}),
		"api.Deleted":    of([]string{"$id", "$type", "$version", "deleted"}, object{"$id": str, "$type": str, "$version": n, "deleted": yes}),
		"api.Rollback":   object{"type": "object", "properties": object{"version": object{"type": "integer", "minimum": 1, "maximum": 1 << 31}, "asOf": object{"type": "string"}}, "additionalProperties": false},
		"api.RollbackOf": object{"type": "object", "properties": object{"id": str, "version": object{"type": "integer", "minimum": 1, "maximum": 1 << 31}, "asOf": object{"type": "string"}}, "additionalProperties": false},
		"api.ID":         object{"type": "object", "properties": object{"id": str}, "required": []string{"id"}},
		"api.Query": object{
			"type": "object", "additionalProperties": false, "properties": object{
				"filter": object{"type": "object"}, "sort": either, "limit": object{"type": "integer", "minimum": 1, "maximum": graph.MaxLimit}, "offset": object{"type": "integer", "minimum": 0, "maximum": 1_000_000},
				"cursor": str, "include": either, "fields": either, "asOf": str, "withTotal": yes,
			},
		},
		"api.Event":     event,
		"api.EventPage": of([]string{"results", "hasMore"}, object{"results": list(schema("api.Event")), "hasMore": yes, "next": object{"type": "object"}}),
		"api.Operation": object{
			"type": "object", "required": []string{"type", "verb"}, "additionalProperties": false,
			"properties": object{"type": str, "verb": str, "id": str, "data": object{"type": "object"}, "ifVersion": object{"type": "integer", "minimum": 0, "maximum": 1 << 31}},
		},
		"api.Batch": of([]string{"operations"}, object{"operations": object{"type": "array", "maxItems": graph.MaxOps, "items": schema("api.Operation")}}),
		"api.BatchResult": of([]string{"results", "succeeded", "failed"}, object{
			"succeeded": n, "failed": n,
			"results": list(of([]string{"status"}, object{"status": n, "entity": object{"type": "object"}, "deleted": schema("api.Deleted"), "error": schema("api.Error")})),
		}),
		"api.Key": key, "api.KeyPage": of([]string{"results"}, object{"results": list(schema("api.Key")), "total": n, "hasMore": yes}),
		"api.KeyInput":   object{"type": "object", "properties": object{"name": str, "kind": object{"enum": []string{"public", "secret"}}, "scopes": list(str)}},
		"api.KeyChanges": object{"type": "object", "properties": object{"name": object{"type": "string", "minLength": 1}, "scopes": list(str)}},
		"api.Rotation":   object{"type": "object", "properties": object{"graceSeconds": object{"type": "integer", "minimum": 0, "maximum": 2_592_000}}},
		"api.Imported": of([]string{"lines", "created", "updated", "unchanged", "failed", "faults"}, object{
			"lines": n, "created": n, "updated": n, "unchanged": n, "failed": n, "faults": list(of([]string{"line", "error"}, object{"line": n, "error": schema("api.Error")})),
		}),
		"api.SQL": of([]string{"sql"}, object{
			"sql": str, "format": object{"enum": []string{"json", "csv", "arrow", "parquet"}}, "maxRows": object{"type": "integer", "minimum": 0}, "timeoutMs": object{"type": "integer", "minimum": 0}, "id": str,
		}),
		"api.Status": object{"type": "object", "required": []string{"tenant"}, "properties": object{"tenant": str}},
	}
}
