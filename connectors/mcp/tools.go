package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/sandbox"
)

// tools are the three tools. Every agent pays for their definitions with its
// context on every turn, so they are short; a test counts them.
func tools() []*sdk.Tool {
	object := func(properties, required string) json.RawMessage {
		return json.RawMessage(`{"type":"object","properties":{` + properties + `}` + required + `}`)
	}
	return []*sdk.Tool{
		{
			Name:        "search",
			Description: `Find entities: {type:'Integration',filter:{status:'Active'}}. Mongo operators. query: a text, in any type.`,
			InputSchema: object(`"type":{"type":"string"},"filter":{"type":"object"},"query":{"type":"string"},"limit":{"type":"integer"},"cursor":{"type":"string"}`, ""),
			Annotations: &sdk.ToolAnnotations{ReadOnlyHint: true},
		},
		{
			Name:        "fetch",
			Description: `Read an entity by id. type Schema (id: a type) tells fields and verbs, Status the health, Metric (id: mrr) a figure.`,
			InputSchema: object(`"id":{"type":"string"},"type":{"type":"string"},"asOf":{"type":"string"}`, ""),
			Annotations: &sdk.ToolAnnotations{ReadOnlyHint: true},
		},
		{
			Name:        "do",
			Description: "Run TypeScript: await $.Integration.connect({provider:'stripe',apiKey}); $.Deal.win(id); $.events(), $.sql`select …`. Answers the last expression.",
			InputSchema: object(`"code":{"type":"string"}`, `,"required":["code"]`),
		},
	}
}

// read decodes a tool's arguments strictly; a fault names what is known.
func read(raw json.RawMessage, into any, known string) error {
	if len(raw) == 0 {
		raw = json.RawMessage("{}")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	err := dec.Decode(into)
	if err == nil {
		if _, more := dec.Token(); errors.Is(more, io.EOF) {
			return nil
		}
		err = errors.New("more follows the object")
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return &graph.Error{Code: graph.CodeValidation, Field: kind.Field, Message: fmt.Sprintf("%s: want %s, got %s", kind.Field, kind.Type, kind.Value)}
	}
	return &graph.Error{Code: graph.CodeInvalidJSON, Message: strings.TrimPrefix(err.Error(), "json: ") + "; known are " + known}
}

// search finds entities.
func (a *agent) search(ctx context.Context, raw json.RawMessage) (any, error) {
	var in struct {
		Type    string         `json:"type"`
		Filter  map[string]any `json:"filter"`
		Query   string         `json:"query"`
		Sort    string         `json:"sort"`
		Limit   int            `json:"limit"`
		Offset  int            `json:"offset"`
		Cursor  string         `json:"cursor"`
		Include []string       `json:"include"`
		Fields  []string       `json:"fields"`
		AsOf    string         `json:"asOf"`
	}
	if err := read(raw, &in, "type, filter, query, sort, limit, offset, cursor, include, fields, asOf"); err != nil {
		return nil, err
	}
	asOf, err := moment(in.AsOf)
	if err != nil {
		return nil, err
	}
	q := graph.Query{Type: in.Type, Filter: in.Filter, Limit: in.Limit, Offset: in.Offset, Cursor: in.Cursor, Include: in.Include, Fields: in.Fields, AsOf: asOf}
	if in.Sort != "" {
		q.Sort = strings.Split(strings.ReplaceAll(in.Sort, " ", ""), ",")
	}
	switch {
	case in.Type == "" && in.Query == "":
		return nil, &graph.Error{Code: graph.CodeValidation, Field: "type", Message: `type: name one, as in {"type":"Contact","filter":{"stage":"Lead"}}, or give a query to look in every type; fetch {"type":"Schema"} lists the types`}
	case in.Type == "":
		return a.everywhere(ctx, q, in.Query)
	}
	if err := a.permit(sandbox.AccessRead, in.Type); err != nil {
		return nil, err
	}
	if in.Query != "" {
		t, err := a.scope.Types().Lookup(in.Type)
		if err != nil {
			return nil, err
		}
		q.Filter = containing(t, in.Query, q.Filter)
	}
	return a.scope.Find(ctx, q)
}

// found are the answers of a search over every type.
type found struct {
	Results []*graph.Entity `json:"results"`
	Total   int64           `json:"total"`
	HasMore bool            `json:"hasMore"`
	Next    string          `json:"next,omitempty"` // how to see more
}

const searchLimit = 25

// everywhere looks for a text in the types that the caller may read.
func (a *agent) everywhere(ctx context.Context, q graph.Query, text string) (any, error) {
	if len(q.Filter) > 0 || q.Cursor != "" || q.Offset > 0 || len(q.Sort) > 0 || len(q.Include) > 0 || len(q.Fields) > 0 {
		return nil, &graph.Error{Code: graph.CodeValidation, Field: "type", Message: "type: needed beside query for a filter, sort, cursor, include or fields"}
	}
	limit := q.Limit
	if limit < 0 || limit > graph.MaxLimit {
		return nil, &graph.Error{Code: graph.CodeInvalidFilter, Field: "limit", Message: fmt.Sprintf("limit: %d, want 1 to %d", limit, graph.MaxLimit)}
	}
	if limit == 0 {
		limit = searchLimit
	}
	out := found{Results: []*graph.Entity{}}
	for _, t := range a.scope.Types().All() {
		if a.permit(sandbox.AccessRead, t.Name) != nil {
			continue
		}
		filter := containing(t, text, nil)
		if filter == nil {
			continue
		}
		q.Type, q.Filter, q.Limit = t.Name, filter, min(limit, graph.MaxLimit)
		page, err := a.scope.Find(ctx, q)
		if err != nil {
			return nil, err
		}
		out.Total += page.Total
		out.Results = append(out.Results, page.Results[:min(len(page.Results), limit-len(out.Results))]...)
	}
	if out.HasMore = out.Total > int64(len(out.Results)); out.HasMore {
		out.Next = "name a type beside query: its pages have a cursor"
	}
	return out, nil
}

// containing is a filter for entities with a text in a field that people read;
// nil for a type without one.
func containing(t *graph.Type, text string, filter map[string]any) map[string]any {
	pattern := "(?i)" + regexp.QuoteMeta(text)
	var either []any
	for _, name := range []string{"name", "title", "subject", "slug", "email", "body", "number", "provider", "description"} {
		if f := t.Field(name); f != nil && f.Kind == graph.KindString && !f.List {
			either = append(either, map[string]any{name: map[string]any{"$regex": pattern}})
		}
	}
	if len(either) == 0 {
		return nil
	}
	match := map[string]any{"$or": either}
	if len(filter) == 0 {
		return match
	}
	return map[string]any{"$and": []any{filter, match}}
}

func moment(s string) (graph.AsOf, error) {
	if s == "" {
		return graph.AsOf{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return graph.AsOf{}, &graph.Error{Code: graph.CodeValidation, Field: "asOf", Message: fmt.Sprintf("asOf: %q is no RFC 3339 time, such as 2025-09-15T14:32:00Z", s)}
	}
	return graph.AsOf{Time: t}, nil
}

// done is what a program did.
type done struct {
	Value   json.RawMessage `json:"value,omitempty"`
	Console []sandbox.Line  `json:"console,omitempty"`
	Calls   int             `json:"calls"`
	Changes int             `json:"changes"`
	// Operations is how much the program did besides: calls of functions and
	// turns of loops.
	Operations int64 `json:"operations"`
	Ms         int64 `json:"ms"`
}

// failed is a program's fault, with what it did until then.
type failed struct {
	*sandbox.Error
	Console []sandbox.Line `json:"console,omitempty"`
	Changes int            `json:"changes"` // they stand
}

// programError carries it.
type programError struct{ failed failed }

func (e *programError) Error() string { return e.failed.Message }

// do runs a program.
func (a *agent) do(ctx context.Context, raw json.RawMessage) (any, error) {
	var in struct {
		Code string `json:"code"`
	}
	if err := read(raw, &in, "code"); err != nil {
		return nil, err
	}
	if strings.TrimSpace(in.Code) == "" {
		return nil, &graph.Error{Code: graph.CodeValidation, Field: "code", Message: "code: give TypeScript, such as await $.Deal.find({ stage: 'Open' })"}
	}
	host := &sandbox.GraphHost{Scope: a.scope, Permit: a.permit, Status: a.s.cfg.Status, SQL: a.s.cfg.SQL}
	r, err := a.s.cfg.Sandbox.Run(ctx, sandbox.Program{Source: in.Code, Host: host})
	var fault *sandbox.Error
	switch {
	case errors.As(err, &fault):
		return nil, &programError{failed{Error: fault, Console: r.Console, Changes: r.Writes}}
	case err != nil:
		return nil, err
	}
	return done{Value: r.Value, Console: r.Console, Calls: r.Calls, Changes: r.Writes, Operations: r.Operations, Ms: r.Elapsed.Milliseconds()}, nil
}
