package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/headlessly/headlessly/connectors/graph"
)

// GraphHost lets a program act in one scope of the graph.
type GraphHost struct {
	Scope *graph.Scope
	// Permit refuses what the caller may not do: write or read entities of a
	// type, and ask SQL (kind "sql"). Nil permits everything.
	Permit func(kind, typ string) error
	// Status and SQL answer $.status() and $.sql; nil ones are refused.
	Status func(ctx context.Context, tenant string) (any, error)
	SQL    func(ctx context.Context, tenant, sql string) (rows []json.RawMessage, err error)
}

// Kinds of access that [GraphHost.Permit] is asked for.
const (
	AccessRead  = "read"
	AccessWrite = "write"
	AccessSQL   = "sql"
)

// Tenant implements [Host].
func (h *GraphHost) Tenant() string { return h.Scope.Tenant() }

// Types implements [Host].
func (h *GraphHost) Types() *graph.Types { return h.Scope.Types() }

// Writes implements [Host].
func (h *GraphHost) Writes(method string) bool { return method == "op" }

// args are those of any call.
type args struct {
	Type    string          `json:"type"`
	Verb    string          `json:"verb"`
	ID      string          `json:"id"`
	Args    map[string]any  `json:"args"`
	Filter  map[string]any  `json:"filter"`
	Sort    oneOrMore       `json:"sort"`
	Limit   int             `json:"limit"`
	Offset  int             `json:"offset"`
	Cursor  string          `json:"cursor"`
	Include oneOrMore       `json:"include"`
	Fields  oneOrMore       `json:"fields"`
	AsOf    string          `json:"asOf"`
	If      int64           `json:"ifVersion"`
	Version int64           `json:"version"`
	Entity  string          `json:"entity"`
	Actor   string          `json:"actor"`
	After   json.RawMessage `json:"after"`
	Before  json.RawMessage `json:"before"`
	Forward bool            `json:"forward"`
	SQL     string          `json:"sql"`
}

// oneOrMore is a text or a list of them.
type oneOrMore []string

// UnmarshalJSON implements json.Unmarshaler.
func (o *oneOrMore) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*o = oneOrMore{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(o))
}

// Call implements [Host].
func (h *GraphHost) Call(ctx context.Context, method string, raw json.RawMessage) (any, error) {
	var a args
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&a); err != nil {
		return nil, &graph.Error{Code: graph.CodeInvalidJSON, Message: fmt.Sprintf("%s was called with arguments of the wrong kind: %v", method, err)}
	}
	switch method {
	case "op":
		return h.op(ctx, &a)
	case "get", "find", "count":
		if err := h.permit(AccessRead, a.Type); err != nil {
			return nil, err
		}
		return h.read(ctx, method, &a)
	case "events":
		if err := h.permit(AccessRead, ""); err != nil {
			return nil, err
		}
		return h.events(ctx, &a)
	case "status":
		if err := h.permit(AccessRead, ""); err != nil {
			return nil, err
		}
		if h.Status != nil {
			return h.Status(ctx, h.Tenant())
		}
	case "sql":
		if err := h.permit(AccessSQL, ""); err != nil {
			return nil, err
		}
		if h.SQL != nil {
			return h.SQL(ctx, h.Tenant(), a.SQL)
		}
	}
	return nil, &graph.Error{Code: graph.CodeNotFound, Message: "$." + method + " is not there in this place"}
}

func (h *GraphHost) permit(kind, typ string) error {
	if h.Permit == nil {
		return nil
	}
	return h.Permit(kind, typ)
}

func (h *GraphHost) op(ctx context.Context, a *args) (any, error) {
	if err := h.permit(AccessWrite, a.Type); err != nil {
		return nil, err
	}
	asOf, err := moment("asOf", a.AsOf)
	if err != nil {
		return nil, err
	}
	r, err := h.Scope.Do(ctx, graph.Op{Type: a.Type, Verb: a.Verb, ID: a.ID, Args: a.Args, IfVersion: a.If, Version: a.Version, AsOf: asOf})
	if err != nil || a.Verb == graph.VerbDelete {
		return nil, err
	}
	return r.Entity, nil
}

func (h *GraphHost) read(ctx context.Context, method string, a *args) (any, error) {
	asOf, err := moment("asOf", a.AsOf)
	if err != nil {
		return nil, err
	}
	switch method {
	case "count":
		return h.Scope.Count(ctx, a.Type, a.Filter, asOf)
	case "get":
		if len(a.Include)+len(a.Fields) == 0 {
			return h.Scope.Get(ctx, a.Type, a.ID, asOf)
		}
		page, err := h.Scope.Find(ctx, graph.Query{Type: a.Type, Filter: map[string]any{"$id": a.ID}, Include: a.Include, Fields: a.Fields, AsOf: asOf, Limit: 1})
		if err == nil && len(page.Results) == 0 {
			return h.Scope.Get(ctx, a.Type, a.ID, asOf) // says why
		}
		if err != nil {
			return nil, err
		}
		return page.Results[0], nil
	}
	return h.Scope.Find(ctx, graph.Query{
		Type: a.Type, Filter: a.Filter, Sort: a.Sort, Limit: a.Limit, Offset: a.Offset, Cursor: a.Cursor, Include: a.Include, Fields: a.Fields, AsOf: asOf,
	})
}

func (h *GraphHost) events(ctx context.Context, a *args) (any, error) {
	after, err := place("after", a.After)
	if err != nil {
		return nil, err
	}
	before, err := place("before", a.Before)
	if err != nil {
		return nil, err
	}
	q := graph.EventQuery{After: after, Before: before, Type: a.Type, Entity: a.Entity, Actor: a.Actor, Limit: a.Limit, Forward: a.Forward}
	if q.Limit == 0 {
		q.Limit = defaultEvents
	}
	if q.Limit < 1 || q.Limit >= graph.MaxEvents {
		return nil, &graph.Error{Code: graph.CodeInvalidFilter, Field: "limit", Message: fmt.Sprintf("limit: %d, want 1 to %d", q.Limit, graph.MaxEvents-1)}
	}
	q.Limit++ // one more tells whether there are more
	events, err := h.Scope.Events(ctx, q)
	more := len(events) == q.Limit
	if more {
		events = events[:q.Limit-1]
	}
	if events == nil {
		events = []*graph.Event{}
	}
	return map[string]any{"results": events, "hasMore": more}, err
}

// defaultEvents is how many events an answer has unless the call says more.
const defaultEvents = 25

// moment reads a time, "" for now.
func moment(field, s string) (graph.AsOf, error) {
	if s == "" {
		return graph.AsOf{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return graph.AsOf{}, &graph.Error{Code: graph.CodeValidation, Field: field, Message: fmt.Sprintf("%s: %q is no RFC 3339 time, such as 2025-09-15T14:32:00Z", field, s)}
	}
	return graph.AsOf{Time: t}, nil
}

// place reads a sequence or a time.
func place(field string, raw json.RawMessage) (graph.AsOf, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return graph.AsOf{}, nil
	}
	var seq uint64
	if json.Unmarshal(raw, &seq) == nil {
		return graph.AsOf{Seq: seq}, nil
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return graph.AsOf{}, &graph.Error{Code: graph.CodeValidation, Field: field, Message: field + ": want an event's seq or an RFC 3339 time"}
	}
	return moment(field, s)
}
