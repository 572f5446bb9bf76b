package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
)

// handlers registers what the verbs of an Integration do, and those that
// connectors carry to their providers.
func (c *Connections) handlers() error {
	g := c.cfg.Graph
	if err := errors.Join(g.Route(integration, "connect", c.route), g.Settle(integration, c.settled)); err != nil {
		return err
	}
	for verb, f := range map[string]graph.BeforeFunc{
		"connect": c.connect, "disconnect": c.disconnect, "sync": c.sync, graph.VerbCreate: c.guard, graph.VerbUpdate: c.guard, graph.VerbDelete: c.remove,
	} {
		if err := g.Handle(integration, verb, f); err != nil {
			return err
		}
	}
	done := map[string]bool{}
	for _, conn := range c.cfg.Registry {
		for typ, verbs := range conn.Kind().Verbs {
			if err := g.Settle(typ, c.landed); err != nil {
				return err
			}
			for _, verb := range verbs {
				if done[typ+"."+verb] {
					continue
				}
				if done[typ+"."+verb] = true; g.Handle(typ, verb, c.push) != nil {
					return fmt.Errorf("connector %s: there is no verb %s.%s", conn.Kind().Provider, typ, verb)
				}
			}
		}
	}
	return nil
}

// route makes connecting a provider again change the integration that is
// there.
func (c *Connections) route(ctx context.Context, sc *graph.Scope, op graph.Op) (graph.Op, error) {
	if _, has := op.Args["id"]; has || op.ID != "" {
		return op, nil
	}
	if op.Args["provider"] == nil {
		return op, invalid("provider", "is missing; name one of %s", strings.Join(c.cfg.Registry.Providers(), ", "))
	}
	provider, _ := op.Args["provider"].(string)
	conn := c.cfg.Registry.Find(provider)
	if conn == nil {
		return op, nil
	}
	slug, _ := op.Args["slug"].(string)
	if slug == "" && !conn.Kind().Many {
		slug = provider
	}
	if slug == "" {
		return op, nil
	}
	page, err := sc.Find(ctx, graph.Query{Type: integration, Filter: map[string]any{"slug": slug, "provider": provider}, Limit: 1, NoTotal: true})
	if err == nil && len(page.Results) == 1 {
		op.ID = page.Results[0].ID
	}
	return op, err
}

// connect validates a credential at the provider, seals it, and registers the
// provider's webhook. The first sync starts with the event.
func (c *Connections) connect(ctx context.Context, d *graph.Draft) error {
	if connectors.IsOwn(ctx) {
		return nil
	}
	conn, kind, err := c.provider(d)
	if err != nil {
		return err
	}
	slug, _ := d.Fields["slug"].(string)
	if slug == "" && !kind.Many {
		slug = kind.Provider
		d.Fields["slug"] = slug
	}
	if slug != "" && d.Current == nil {
		if err := c.claim(d, slug); err != nil {
			return err
		}
	}
	if err := c.tie(ctx, d, conn, kind); err != nil {
		c.made(d.EventID)
		return err
	}
	return nil
}

// tie is what a connect does at the provider, and with its credential.
func (c *Connections) tie(ctx context.Context, d *graph.Draft, conn connectors.Connector, kind connectors.Kind) error {
	if err := c.unique(ctx, d); err != nil {
		return err
	}
	l, err := c.draft(d, kind)
	if err != nil {
		return err
	}
	timed, cancel := context.WithTimeout(connectors.Own(ctx), c.cfg.ConnectTimeout)
	defer cancel()
	if err := conn.Validate(timed, l); err != nil {
		return c.refuse(ctx, d, l, kind, err)
	}
	r, registers := conn.(connectors.Registrar)
	if registers {
		if err := r.Register(timed, l); err != nil {
			return c.refuse(ctx, d, l, kind, err)
		}
	}
	if err := c.cfg.Store.PutCredentials(ctx, d.Tenant, d.ID, l.Secrets); err != nil {
		if registers && l.Before == nil {
			_ = conn.Disconnect(timed, l) // nothing half-made; the first error counts
		}
		return unavailable(err, "the credential could not be stored; try again")
	}
	maps.Copy(d.Fields, l.Fields)
	_, receives := conn.(connectors.Receiver)
	for k, v := range map[string]any{"name": kind.Name, "category": kind.Category, "authType": kind.AuthType, "providerUrl": kind.URL, "webhookSupport": receives} {
		if _, given := d.Fields[k]; !given && v != "" {
			d.Fields[k] = v
		}
	}
	if d.Fields["config"] = l.Config; len(l.Config) == 0 {
		delete(d.Fields, "config")
	}
	return nil
}

// provider finds the connector that a connect means.
func (c *Connections) provider(d *graph.Draft) (connectors.Connector, connectors.Kind, error) {
	name, _ := d.Fields["provider"].(string)
	conn := c.cfg.Registry.Find(name)
	switch {
	case conn == nil:
		return nil, connectors.Kind{}, invalid("provider", "%q is not among %s", name, strings.Join(c.cfg.Registry.Providers(), ", "))
	case d.Current != nil && d.Current.Text("provider") != name:
		return nil, connectors.Kind{}, invalid("provider", "this integration is one of %s; connect %s without an id", d.Current.Text("provider"), name)
	}
	return conn, conn.Kind(), nil
}

// draft is the link that a connect would make: the credentials that are there
// with those that are given over them.
func (c *Connections) draft(d *graph.Draft, kind connectors.Kind) (*connectors.Link, error) {
	given, err := spread(d.Secrets)
	if err != nil {
		return nil, err
	}
	for field := range given {
		if !slices.Contains(kind.Secrets, field) {
			return nil, invalid(field, "%s takes no %s; it takes %s", kind.Name, field, strings.Join(append(slices.Clone(kind.Secrets), kind.Args...), ", "))
		}
	}
	if err := c.misspelt(d, kind); err != nil {
		return nil, err
	}
	l, err := c.blank(d.Tenant, d.ID, kind.Provider)
	if err != nil {
		return nil, err
	}
	l.Fields, l.Config, l.Secrets = maps.Clone(d.Fields), map[string]any{}, given
	l.Given = slices.Sorted(maps.Keys(given))
	if d.Current == nil {
		return l, nil
	}
	if slices.Contains(linkedStatuses(), any(d.Current.Text("status"))) {
		if l.Before, err = c.link(d.Current); err != nil {
			return nil, err
		}
		secrets := maps.Clone(l.Before.Secrets)
		if secrets == nil {
			secrets = map[string]headlessly.Secret{}
		}
		maps.Copy(secrets, given)
		l.Secrets = secrets
		if old := l.Before.Config; old != nil {
			l.Config = maps.Clone(old)
		}
	}
	return l, nil
}

// misspelt refuses an argument that nobody knows and that is almost one of the
// provider's: it would be kept as a field and change nothing, or connect more
// than was meant.
func (c *Connections) misspelt(d *graph.Draft, kind connectors.Kind) error {
	t, err := c.cfg.Graph.Types().Lookup(integration)
	if err != nil {
		return err
	}
	known := append(slices.Clone(kind.Args), kind.Secrets...)
	for _, field := range slices.Sorted(maps.Keys(d.Args)) {
		if strings.HasPrefix(field, "$") || t.Field(field) != nil || slices.Contains(known, field) {
			continue
		}
		if meant := graph.Nearest(field, known); meant != "" {
			return invalid(field, "%s takes no %s; did you mean %s?", kind.Name, field, meant)
		}
	}
	return nil
}

// spread takes the argument "credentials", several secrets by name, apart.
func spread(secrets map[string]headlessly.Secret) (map[string]headlessly.Secret, error) {
	out := maps.Clone(secrets)
	if out == nil {
		out = map[string]headlessly.Secret{}
	}
	all, ok := out["credentials"]
	if !ok {
		return out, nil
	}
	delete(out, "credentials")
	var byName map[string]string
	if json.Unmarshal([]byte(all.Reveal()), &byName) != nil {
		return nil, invalid("credentials", `must be an object such as {"apiKey":"…"}`)
	}
	for name, v := range byName {
		out[name] = headlessly.NewSecret(v)
	}
	return out, nil
}

// refuse answers a connect that the provider did not let through. A first
// connect leaves an integration with the status Errored, so that it can be
// seen, and nothing else; a later one leaves everything as it was.
func (c *Connections) refuse(ctx context.Context, d *graph.Draft, l *connectors.Link, kind connectors.Kind, cause error) error {
	answer := c.answer(l, integration, "", kind, cause)
	if answer.Code != graph.CodeProvider {
		return answer
	}
	own := connectors.Own(ctx)
	g := d.Graph()
	switch {
	case d.Current == nil:
		args := map[string]any{"provider": kind.Provider, "name": kind.Name, "category": kind.Category, "authType": kind.AuthType, "status": statusErrored, "error": answer.Message}
		if slug, ok := d.Fields["slug"]; ok {
			args["slug"] = slug
		} else if !kind.Many {
			args["slug"] = kind.Provider
		}
		e, err := g.Do(own, graph.Op{Type: integration, Verb: graph.VerbCreate, Args: args})
		if err != nil {
			l.Logger.Warn("integration.refused", "error", err)
			return answer
		}
		answer.ID = e.Entity.ID
		_, _ = g.Emit(own, integration, "Errored", e.Entity.ID, map[string]any{"errorCount": 1}) // the answer says it too
	case l.Before == nil || d.Current.Text("status") == statusErrored:
		n, _ := d.Current.Number("errorCount").Int64() // none counts as 0
		_, _ = g.Emit(own, integration, "Errored", d.ID, map[string]any{"status": statusErrored, "error": answer.Message, "errorCount": n + 1})
	}
	return answer
}

// disconnect removes what the integration has at the provider, and then its
// credential and everything that lifecycle keeps of it.
func (c *Connections) disconnect(ctx context.Context, d *graph.Draft) error {
	c.forget(ctx, d)
	d.Fields["status"] = statusDisconnected
	return c.cfg.Store.Forget(ctx, d.ID)
}

// remove is what deleting an Integration does.
func (c *Connections) remove(ctx context.Context, d *graph.Draft) error {
	c.forget(ctx, d)
	return c.cfg.Store.Forget(ctx, d.ID)
}

// forget tears down at the provider. That a provider cannot be reached does not
// keep the tenant from disconnecting; the entity says what is left there.
func (c *Connections) forget(ctx context.Context, d *graph.Draft) {
	delete(d.Fields, "error")
	conn := c.cfg.Registry.Find(d.Current.Text("provider"))
	if conn == nil || d.Current.Text("status") == statusDisconnected {
		return
	}
	l, err := c.link(d.Current)
	timed, cancel := context.WithTimeout(connectors.Own(ctx), c.cfg.ConnectTimeout)
	defer cancel()
	if ended := c.drop(d.ID); ended != nil { // a sync must not go on behind the disconnect, nor keep where it stood
		select {
		case <-ended:
		case <-timed.Done():
		}
	}
	if err == nil && (len(l.Secrets) > 0 || conn.Kind().SecretsOptional) {
		err = conn.Disconnect(timed, l)
		if d.Fields["config"] = l.Config; len(l.Config) == 0 {
			delete(d.Fields, "config")
		}
	}
	if err != nil {
		d.Fields["error"] = "it is disconnected here, but not all was removed at the provider: " + scrub(l, err.Error())
	}
}

// sync starts a sync, for a caller or by itself. The event Synced is recorded
// when it has ended.
func (c *Connections) sync(_ context.Context, d *graph.Draft) error {
	n := c.find(d.ID)
	if n == nil || !slices.Contains(linkedStatuses(), any(d.Current.Text("status"))) {
		return &graph.Error{Code: graph.CodeConflict, Type: integration, ID: d.ID, Field: "status", Message: "the integration is not connected; connect it first"}
	}
	if _, ok := n.conn.(connectors.Syncer); !ok {
		return &graph.Error{Code: graph.CodeValidation, Type: integration, ID: d.ID, Field: "provider", Message: n.kind.Name + " has nothing to sync: it only sends"}
	}
	d.Event = "Syncing"
	before := d.Current.Fields()
	if at, ok := before["lastSyncAt"]; ok {
		d.Fields["lastSyncAt"] = at
	} else {
		delete(d.Fields, "lastSyncAt")
	}
	d.Fields["status"] = statusSyncing
	return nil
}

// systemFields of an integration are set by lifecycle only.
func systemFields() []string {
	return []string{"status", "lastSyncAt", "lastSyncCount", "lastSyncDuration", "error", "errorCount", "webhookSupport", "config", "provider", "destinations", "apiBaseUrl"}
}

// guard keeps callers from setting what only a provider's answer can, with
// create and update.
func (c *Connections) guard(ctx context.Context, d *graph.Draft) error {
	if connectors.IsOwn(ctx) {
		return nil
	}
	if len(d.Secrets) > 0 {
		return invalid(slices.Sorted(maps.Keys(d.Secrets))[0], "a credential is given to connect, which tries it first; nothing is changed")
	}
	if d.Current == nil {
		if status, _ := d.Fields["status"].(string); slices.Contains(linkedStatuses(), any(status)) {
			return invalid("status", "an integration becomes %s by connect", status)
		}
		return nil
	}
	if c.cfg.Registry.Find(d.Current.Text("provider")) == nil {
		return nil // not ours
	}
	before := d.Current.Fields()
	for _, f := range systemFields() {
		if !same(before[f], d.Fields[f]) {
			return invalid(f, "is set by connect, disconnect and sync; leave it out")
		}
	}
	return nil
}

// same compares two values of fields.
func same(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}
