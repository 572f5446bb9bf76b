package mcp

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/sandbox"
)

// Types of fetch that are no entities.
const (
	typeSchema = "Schema"
	typeStatus = "Status"
	typeMetric = "Metric"
)

// fetch reads one thing.
func (a *agent) fetch(ctx context.Context, raw json.RawMessage) (any, error) {
	var in struct {
		ID      string   `json:"id"`
		Type    string   `json:"type"`
		AsOf    string   `json:"asOf"`
		Include []string `json:"include"`
		Fields  []string `json:"fields"`
	}
	if err := read(raw, &in, "id, type, asOf, include, fields"); err != nil {
		return nil, err
	}
	asOf, err := moment(in.AsOf)
	if err != nil {
		return nil, err
	}
	switch {
	case in.Type == typeSchema:
		return a.schema(in.ID)
	case in.Type == typeStatus:
		return a.status(ctx)
	case in.Type == typeMetric && !strings.HasPrefix(in.ID, "metric_"):
		return a.metric(ctx, in.ID, asOf)
	case in.ID == "":
		return nil, &graph.Error{Code: graph.CodeValidation, Field: "id", Message: `id: name an entity, such as {"id":"deal_k7TmPvQx"}; {"type":"Schema"}, {"type":"Status"} and {"type":"Metric","id":"mrr"} go without one`}
	}
	t := a.scope.Types().OfID(in.ID)
	if in.Type != "" {
		if t, err = a.scope.Types().Lookup(in.Type); err != nil {
			return nil, err
		}
	}
	if t == nil {
		return nil, &graph.Error{Code: graph.CodeNotFound, ID: in.ID, Field: "id", Message: "id: this is no entity's id; find it with search"}
	}
	if err := a.permit(sandbox.AccessRead, t.Name); err != nil {
		return nil, err
	}
	if len(in.Include)+len(in.Fields) > 0 {
		page, err := a.scope.Find(ctx, graph.Query{Type: t.Name, Filter: map[string]any{"$id": in.ID}, Include: in.Include, Fields: in.Fields, AsOf: asOf, Limit: 1, NoTotal: true})
		if err != nil {
			return nil, err
		}
		if len(page.Results) > 0 {
			return page.Results[0], nil
		}
	}
	return a.scope.Get(ctx, t.Name, in.ID, asOf)
}

// typeLine is a type in the list of all.
type typeLine struct {
	Type   string   `json:"type"`
	Domain string   `json:"domain"`
	Verbs  []string `json:"verbs"` // its own, besides those that every type has
}

// typeSchemaAnswer is what an agent needs to know of a type.
type typeSchemaAnswer struct {
	Type      string            `json:"type"`
	Domain    string            `json:"domain"`
	Immutable bool              `json:"immutable,omitempty"`
	Fields    map[string]string `json:"fields"`
	Verbs     map[string]string `json:"verbs"` // to the event
	Events    []string          `json:"events,omitempty"`
	Groups    map[string]any    `json:"groups,omitempty"`
	Notation  string            `json:"notation"`
}

const notation = "! required, # indexed, ## unique, -> reference, <- back reference, [] list, A | B one of these; secret is accepted and never shown"

// schema answers the types, or one of them.
func (a *agent) schema(name string) (any, error) {
	types := a.scope.Types()
	if name == "" {
		var out []typeLine
		for _, t := range types.All() {
			l := typeLine{Type: t.Name, Domain: t.Domain, Verbs: []string{}}
			for i := range t.Verbs {
				if !t.Verbs[i].Builtin {
					l.Verbs = append(l.Verbs, t.Verbs[i].Name)
				}
			}
			out = append(out, l)
		}
		return map[string]any{
			"types": out, "everyType": "create, get, find, update, delete, count, rollback, history",
			"next": `fetch {"type":"Schema","id":"Deal"} tells a type's fields`,
		}, nil
	}
	t, err := types.Lookup(name)
	if err != nil {
		return nil, err
	}
	out := typeSchemaAnswer{Type: t.Name, Domain: t.Domain, Immutable: t.Immutable, Fields: map[string]string{}, Verbs: map[string]string{}, Events: t.Events, Notation: notation}
	for i := range t.Fields {
		out.Fields[t.Fields[i].Name] = t.Fields[i].Notation()
	}
	for i := range t.Verbs {
		out.Verbs[t.Verbs[i].Name] = t.Name + "." + t.Verbs[i].Event
	}
	if len(t.Groups) > 0 {
		out.Groups = map[string]any{}
		for f, g := range t.Groups {
			out.Groups[f] = g
		}
	}
	return out, nil
}

func (a *agent) status(ctx context.Context) (any, error) {
	if err := a.permit(sandbox.AccessRead, ""); err != nil {
		return nil, err
	}
	if a.s.cfg.Status == nil {
		return nil, &graph.Error{Code: graph.CodeNotFound, Type: typeStatus, Message: "there is no status in this place"}
	}
	return a.s.cfg.Status(ctx, a.scope.Tenant())
}

// metricNames bounds the names that an answer about metrics lists.
const metricNames = 50

// metric answers the newest value of a metric by its name, with the ones
// before.
func (a *agent) metric(ctx context.Context, name string, asOf graph.AsOf) (any, error) {
	if err := a.permit(sandbox.AccessRead, typeMetric); err != nil {
		return nil, err
	}
	if name != "" {
		page, err := a.scope.Find(ctx, graph.Query{Type: typeMetric, Filter: map[string]any{"name": name}, AsOf: asOf, Sort: []string{"-$updatedAt"}, Limit: 1, NoTotal: true})
		if err != nil {
			return nil, err
		}
		if len(page.Results) > 0 {
			return page.Results[0], nil
		}
	}
	names, more, err := a.metrics(ctx, asOf)
	if err != nil {
		return nil, err
	}
	if name == "" {
		return map[string]any{"metrics": names, "hasMore": more, "next": `fetch {"type":"Metric","id":"…"} gives the newest value; "asOf" an earlier one`}, nil
	}
	known := "none is recorded yet: connect a provider such as stripe, or record one with $.Metric.create({ name, value })"
	if len(names) > 0 {
		known = "known are " + strings.Join(names, ", ")
		if more {
			known += " and more"
		}
	}
	return nil, &graph.Error{Code: graph.CodeNotFound, Type: typeMetric, ID: name, Field: "id", Message: "there is no metric of this name; " + known}
}

// metrics gives the names that metrics have, those of the newest first: each
// look passes over the names that are known, however many values they have.
func (a *agent) metrics(ctx context.Context, asOf graph.AsOf) (names []string, more bool, err error) {
	names = []string{}
	known := []any{}
	for {
		q := graph.Query{Type: typeMetric, AsOf: asOf, Sort: []string{"-$updatedAt"}, Limit: graph.MaxLimit, NoTotal: true}
		if len(known) > 0 {
			q.Filter = map[string]any{"name": map[string]any{"$nin": known}}
		}
		page, err := a.scope.Find(ctx, q)
		if err != nil {
			return nil, false, err
		}
		for _, e := range page.Results {
			n := e.Text("name")
			if slices.Contains(names, n) {
				continue
			}
			if len(names) == metricNames {
				return names, true, nil
			}
			names, known = append(names, n), append(known, n)
		}
		if !page.HasMore {
			return names, false, nil
		}
	}
}
