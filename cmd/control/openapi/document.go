package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"github.com/headlessly/headlessly/connectors/graph"
)

// object is a JSON object of the document.
type object = map[string]any

// Document writes the document. tenant is the tenant variable's default.
func Document(types *graph.Types, version, tenant string) ([]byte, error) {
	schemas, paths, tags := common(), fixed(), []object{}
	maps.Copy(schemas, partSchemas())
	maps.Copy(paths, parts())
	parameters := parameters()
	maps.Copy(parameters, partParameters())
	for _, t := range types.All() {
		schemas[t.Name], schemas[t.Name+".Input"], schemas[t.Name+".Page"] = entity(t), input(t, true), page(t.Name)
		tags = append(tags, object{"name": t.Name, "description": "Domain: " + t.Domain + "."})
		if !t.Immutable {
			schemas[t.Name+".Changes"] = input(t, false)
		}
		maps.Copy(paths, routes(t))
	}
	doc := object{
		"openapi": "3.1.0",
		"info": object{
			"title": "headlessly", "version": version,
			"description": "Typed entities with verbs, events and a history. Every request wants a secret key (hly_sk_…) of the tenant, or an admin key.",
		},
		"servers":    []object{{"url": "/~{tenant}", "variables": object{"tenant": object{"default": tenant, "description": "The tenant's name."}}}},
		"security":   []object{{"key": []string{}}},
		"tags":       tags,
		"paths":      paths,
		"components": object{"schemas": schemas, "responses": responses(), "parameters": parameters, "headers": headers(), "securitySchemes": object{"key": object{"type": "http", "scheme": "bearer", "description": "hly_sk_… or hly_admin_…"}}},
	}
	return json.Marshal(doc)
}

func ref(kind, name string) object { return object{"$ref": "#/components/" + kind + "/" + name} }

func schema(name string) object { return ref("schemas", name) }

// routes are a type's paths.
func routes(t *graph.Type) object {
	n := t.Name
	list := object{
		"get": operation("list"+n, n, "List or find "+n+" entities. A field's name as a parameter is a condition: stage=Lead, value[$gt]=100.",
			answers(n+".Page", "200", "400"), withParameters("filter", "sort", "limit", "offset", "cursor", "include", "fields", "asOf", "withTotal"), conditions(t)),
		"post": operation("create"+n, n, "Create a "+n+".", created(n), body(n+".Input", true)),
	}
	out := object{
		"/" + n: list,
		"/" + n + "/find": object{
			"get":  operation("search"+n, n, "The same as the list.", answers(n+".Page", "200", "400"), withParameters("filter", "sort", "limit", "offset", "cursor", "include", "fields", "asOf", "withTotal"), conditions(t)),
			"post": operation("find"+n, n, "Find with the query in the body.", answers(n+".Page", "200", "400"), body("api.Query", false)),
		},
		"/" + n + "/count": object{
			"get":  operation("count"+n, n, "Count the entities that a filter fits.", answers("api.Count", "200", "400"), withParameters("filter", "asOf")),
			"post": operation("countBy"+n, n, "Count with the query in the body.", answers("api.Count", "200", "400"), body("api.Query", false)),
		},
		"/" + n + "/get": object{"post": operation("fetch"+n, n, "Read the one with the body's id.", withNotModified(answers(n, "200", "400", "413")), body("api.ID", true))},
	}
	one := object{"get": operation("get"+n, n, "Read a "+n+", as it is or as it was.", withNotModified(answers(n, "200", "400", "404")), withParameters("id", "include", "fields", "asOf", "ifNoneMatch"))}
	if !t.Immutable {
		update := func(id string) object {
			return operation(id+n, n, "Change some fields; null removes one.", answers(n, "200", mutation...), withParameters("id", "ifMatch", "ifVersion"), body(n+".Changes", true))
		}
		one["patch"], one["put"] = update("update"), update("put")
		one["delete"] = operation("delete"+n, n, "Delete; the history stays, and rollback brings it back.", answers("api.Deleted", "200", mutation...), withParameters("id", "ifMatch", "ifVersion"))
	}
	out["/"+n+"/{id}"] = one
	out["/"+n+"/{id}/events"] = object{"get": operation("events"+n, n, "The entity's history.", answers("api.EventPage", "200", "400"), withParameters("id", "after", "before", "eventType", "actor", "eventLimit"))}
	for i := range t.Verbs {
		maps.Copy(out, verbRoutes(t, &t.Verbs[i]))
	}
	return out
}

// verbRoutes are a verb's paths: on the entity, and on the type, where the
// body's id names it.
func verbRoutes(t *graph.Type, v *graph.Verb) object {
	n, what, in := t.Name, "Emits "+t.Name+"."+v.Event+". Hooks: "+v.Gerund+" before, "+v.Past+" after.", t.Name+".Changes"
	answer := answers(n, "200", mutation...)
	switch v.Name {
	case graph.VerbCreate:
		return object{"/" + n + "/create": object{"post": operation(n+".createNew", n, "The same as a POST to the list.", created(n), body(n+".Input", true))}}
	case graph.VerbRollback:
		in, what = "api.Rollback", "Give the entity the fields of an earlier version, as a new event."
	case graph.VerbDelete:
		answer = answers("api.Deleted", "200", mutation...)
	}
	onType := what + " The body's id names the entity."
	if v.Creates {
		onType = what + " Without an id in the body it makes a new entity."
	}
	if v.Name == graph.VerbRollback {
		in = "api.RollbackOf"
	}
	return object{
		"/" + n + "/{id}/" + v.Name: object{"post": operation(n+"."+v.Name, n, what, answer, withParameters("id", "ifMatch", "ifVersion"), body(strings.TrimSuffix(in, "Of"), false))},
		"/" + n + "/" + v.Name:      object{"post": operation(n+"."+v.Name+"New", n, onType, answer, body(in, false))},
	}
}

// mutation are the refusals of a mutation.
var mutation = []string{"400", "404", "405", "409", "412", "413", "422", "502"} //nolint:gochecknoglobals // a list that never changes

// option changes an operation.
type option func(object)

func operation(id, tag, summary string, opts ...option) object {
	op := object{"operationId": id, "tags": []string{tag}, "summary": summary}
	for _, o := range opts {
		o(op)
	}
	return op
}

func withParameters(names ...string) option {
	return func(op object) {
		list, _ := op["parameters"].([]object)
		for _, n := range names {
			list = append(list, ref("parameters", n))
		}
		op["parameters"] = list
	}
}

// conditions are the declared fields as parameters of a list.
func conditions(t *graph.Type) option {
	return func(op object) {
		list, _ := op["parameters"].([]object)
		for i := range t.Fields {
			if f := &t.Fields[i]; f.Stored() && f.Kind != graph.KindJSON && !strings.Contains(f.Name, ".") && parameters()[f.Name] == nil {
				list = append(list, object{"name": f.Name, "in": "query", "description": "Only those with this value: " + f.Notation() + ".", "schema": object{"type": "string"}})
			}
		}
		op["parameters"] = list
	}
}

func body(name string, required bool) option {
	return func(op object) {
		op["requestBody"] = object{"required": required, "content": content(name)}
	}
}

func content(name string) object { return object{"application/json": object{"schema": schema(name)}} }

// answers are an operation's success and its refusals besides those that every
// operation has.
func answers(name, status string, refusals ...string) option {
	return func(op object) {
		out := object{status: object{"description": "Done.", "headers": object{"ETag": ref("headers", "ETag")}, "content": content(name)}}
		for _, s := range append([]string{"401", "403", "404", "429", "503"}, refusals...) {
			out[s] = ref("responses", s)
		}
		op["responses"] = out
	}
}

func created(name string) option {
	return func(op object) {
		answers(name, "201", "400", "409", "413", "422", "502")(op)
		r, _ := op["responses"].(object)["201"].(object)
		r["headers"] = object{"ETag": ref("headers", "ETag"), "Location": ref("headers", "Location")}
	}
}

func withNotModified(o option) option {
	return func(op object) {
		o(op)
		op["responses"].(object)["304"] = object{"description": "The version that If-None-Match names."} //nolint:forcetypeassert // made by answers
	}
}

func responses() object {
	out := object{}
	for status, what := range map[string]string{
		"400": "Bad input: invalid_filter, invalid_json or validation_failed, with the field.", "401": "No key, or one that is unknown or revoked.",
		"403": "The key may not do this.", "404": "There is nothing there.", "405": "The type or the path does not take this.", "409": "A unique value is taken, or others keep changing the entity.",
		"412": "The entity has another version than the one named.", "413": "Too large.", "422": "A before hook vetoed it.", "429": "Too many requests; wait as Retry-After says.",
		"502": "The provider refused, or did not answer.", "503": "Not now; try again.",
	} {
		r := object{"description": what, "content": content("api.Error")}
		if status == "429" || status == "503" {
			r["headers"] = object{"Retry-After": ref("headers", "Retry-After")}
		}
		out[status] = r
	}
	return out
}

func headers() object {
	return object{
		"ETag":        object{"description": "The entity's version.", "schema": object{"type": "string"}},
		"Location":    object{"description": "The new entity's path.", "schema": object{"type": "string"}},
		"Retry-After": object{"description": "Seconds to wait.", "schema": object{"type": "string", "pattern": "^[0-9]+$"}},
	}
}

func parameter(name, in, what string, s object) object {
	return object{"name": name, "in": in, "description": what, "schema": s, "required": in == "path"}
}

func parameters() object {
	str, number := object{"type": "string"}, func(low, high int) object { return object{"type": "integer", "minimum": low, "maximum": high} }
	moment := object{"type": "string", "description": "RFC 3339, a date, or an event's seq.", "examples": []string{"2025-09-15T14:32:00Z"}}
	return object{
		"id":          parameter("id", "path", "The entity's $id.", object{"type": "string", "pattern": "^[a-z0-9]+_[A-Za-z0-9]{8,12}$"}),
		"filter":      object{"name": "filter", "in": "query", "description": "A filter object: {\"value\":{\"$gt\":100}}.", "content": object{"application/json": object{"schema": object{"type": "object"}}}},
		"sort":        parameter("sort", "query", "Fields, each with - before it for falling order, separated by commas. -$createdAt unless given.", str),
		"limit":       parameter("limit", "query", "How many; 25 unless given.", number(1, graph.MaxLimit)),
		"offset":      parameter("offset", "query", "How many to pass over.", number(0, 1_000_000)),
		"cursor":      parameter("cursor", "query", "From the page before.", str),
		"include":     parameter("include", "query", "References to put in place of their ids, separated by commas. A field brings at most 100 entities; $leftOut then says how many more there are.", str),
		"fields":      parameter("fields", "query", "The fields to show, separated by commas.", str),
		"asOf":        parameter("asOf", "query", "The moment to read.", moment),
		"withTotal":   parameter("withTotal", "query", "false leaves the count out.", object{"type": "boolean"}),
		"ifMatch":     parameter("If-Match", "header", "Only if the entity has this version: its ETag.", object{"type": "string", "pattern": `^("[1-9][0-9]{0,8}"|\*)$`}),
		"ifNoneMatch": parameter("If-None-Match", "header", "304 if the entity has this version.", object{"type": "string", "pattern": `^"[1-9][0-9]{0,8}"$`}),
		"ifVersion":   parameter("ifVersion", "query", "The same as If-Match.", number(1, 1<<31-1)),
		"after":       parameter("after", "query", "Only events after this moment.", moment),
		"before":      parameter("before", "query", "Only events before this moment.", moment),
		"eventType":   parameter("type", "query", "Patterns, separated by commas: Deal.Closed, Deal.*, *.Created, *.", str),
		"entity":      parameter("entity", "query", "Only events of this entity.", str),
		"actor":       parameter("actor", "query", "Only events by this actor.", str),
		"eventLimit":  parameter("limit", "query", "How many; 25 unless given.", number(1, graph.MaxEvents-1)),
		"lastEventID": parameter("Last-Event-ID", "header", "The last event that the client has.", str),
		"types":       parameter("type", "query", "Types, separated by commas.", str),
		"importType":  parameter("type", "query", "The type of lines without $type.", str),
		"keyID":       parameter("id", "path", "The key's $id.", object{"type": "string", "pattern": "^apikey_[A-Za-z0-9]{8,12}$"}),
	}
}

func page(name string) object {
	return object{
		"type": "object", "required": []string{"results", "total", "hasMore"},
		"properties": object{
			"results": object{"type": "array", "items": schema(name)}, "total": object{"type": "integer"}, "hasMore": object{"type": "boolean"},
			"cursor": object{"type": "string", "description": "For the next page."},
		},
	}
}

// notation is how a field's declaration describes it.
func notation(f *graph.Field) string { return fmt.Sprintf("Declared as %s.", f.Notation()) }
