package lifecycle

import (
	"context"
	"slices"
	"strings"

	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
)

// push carries a mutation to the provider that has the entity's type, if one is
// connected: it is the handler of every verb that a connector lists.
func (c *Connections) push(ctx context.Context, d *graph.Draft) error {
	if connectors.IsOwn(ctx) {
		return nil // it comes from there
	}
	e, err := c.owner(ctx, d)
	if err != nil || e == nil {
		return err
	}
	conn := c.cfg.Registry.Find(e.Text("provider"))
	l, err := c.link(e)
	if err != nil {
		return err
	}
	kind := conn.Kind()
	if n := c.find(e.ID); n != nil {
		c.mu.RLock()
		refused := n.refused
		c.mu.RUnlock()
		if refused {
			return &graph.Error{Code: graph.CodeProvider, Type: d.Type, ID: id(d), Field: connectors.FieldIntegration, Message: kind.Name + " has refused the credential of " + e.ID + "; connect it again with one that works: " + e.Text("error")}
		}
	}
	if err := c.unique(ctx, d); err != nil {
		return err
	}
	timed, cancel := context.WithTimeout(connectors.Own(ctx), c.cfg.PushTimeout)
	defer cancel()
	c.departs(d.ID)
	at, err := conn.(connectors.Pusher).Push(timed, l, d)
	if err != nil || at.IsZero() {
		c.arrives(d.ID)
	}
	if err != nil {
		return c.answer(l, d.Type, id(d), kind, err)
	}
	if !at.IsZero() {
		d.Fields[connectors.FieldIntegration] = e.ID
		d.Fields[connectors.FieldSyncedAt] = graph.FormatTime(at.UnixMicro())
	}
	return nil
}

// id is the draft's id, "" for an entity that is being made.
func id(d *graph.Draft) string {
	if d.Current == nil {
		return ""
	}
	return d.ID
}

// owner is the integration that a mutation goes to, nil for none: the one that
// the entity belongs to, or the one that is connected for its type.
func (c *Connections) owner(ctx context.Context, d *graph.Draft) (*graph.Entity, error) {
	sc, err := c.cfg.Graph.Scope(d.Tenant, graph.Anonymous)
	if err != nil {
		return nil, err
	}
	var providers []any
	for _, conn := range c.cfg.Registry {
		if k := conn.Kind(); slices.Contains(k.Verbs[d.Type], d.Verb) {
			providers = append(providers, k.Provider)
		}
	}
	var found []*graph.Entity
	q := graph.Query{
		Type: integration, Limit: graph.MaxLimit, NoTotal: true,
		Filter: map[string]any{"provider": map[string]any{"$in": providers}, "status": map[string]any{"$in": linkedStatuses()}},
	}
	for more := true; more; {
		page, err := sc.Find(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, e := range page.Results {
			if c.cfg.Store.Credentials(e.ID) != nil {
				found = append(found, e)
			}
		}
		more, q.Cursor = page.HasMore, page.Cursor
	}
	named, _ := d.Fields[connectors.FieldIntegration].(string)
	if d.Current != nil {
		if named = d.Current.Text(connectors.FieldIntegration); named == "" {
			return nil, nil // it was never carried to a provider
		}
	}
	if named != "" {
		at := slices.IndexFunc(found, func(e *graph.Entity) bool { return e.ID == named || e.Text("slug") == named })
		switch {
		case at >= 0:
			return found[at], nil
		case d.Current != nil:
			return nil, nil // it is not connected any more: the entity is ours alone
		}
		return nil, &graph.Error{Code: graph.CodeValidation, Type: d.Type, Field: connectors.FieldIntegration, Message: connectors.FieldIntegration + ": " + named + " is not connected"}
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return found[0], nil
	}
	var ids []string
	for _, e := range found {
		ids = append(ids, e.ID)
	}
	return nil, &graph.Error{Code: graph.CodeValidation, Type: d.Type, Field: connectors.FieldIntegration, Message: connectors.FieldIntegration + ": several are connected; name one of " + strings.Join(ids, ", ")}
}

// unique refuses a draft whose unique values are taken before the provider is
// called: the log would refuse it afterwards.
func (c *Connections) unique(ctx context.Context, d *graph.Draft) error {
	t, err := c.cfg.Graph.Types().Lookup(d.Type)
	if err != nil {
		return err
	}
	for _, f := range t.Fields {
		v := d.Fields[f.Name]
		if !f.Unique || v == nil || d.Current != nil && same(d.Current.Fields()[f.Name], v) {
			continue
		}
		page, err := d.Graph().Find(ctx, graph.Query{Type: d.Type, Filter: map[string]any{f.Name: v}, Limit: 1, NoTotal: true})
		if err != nil {
			return err
		}
		if len(page.Results) == 1 && page.Results[0].ID != d.ID {
			return &graph.Error{Code: graph.CodeConflict, Type: d.Type, ID: page.Results[0].ID, Field: f.Name, Message: f.Name + ": another " + d.Type + " has this value"}
		}
	}
	return nil
}
