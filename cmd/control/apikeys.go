package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/store"
)

// Keys are the entities of type ApiKey: what anybody may see of a key is in the
// graph, what opens the door is in the store.
type Keys struct {
	store *store.Store
	graph *graph.Store
	log   *slog.Logger
	clock headlessly.Clock
	stop  func()
}

// keysShelf is where gateways over one log share their keys.
const keysShelf = "apikey"

// OpenKeys makes the verbs of ApiKey work, shares the store's keys with the
// other gateways over the graph's log, and gives each an entity. Close it.
func OpenKeys(ctx context.Context, s *store.Store, g *graph.Store, logger *slog.Logger) (*Keys, error) {
	k := &Keys{store: s, graph: g, log: logger, clock: headlessly.SystemClock}
	for verb, f := range map[string]graph.BeforeFunc{ // each asks first whether the actor may
		graph.VerbCreate: k.create, graph.VerbUpdate: k.update, graph.VerbDelete: k.revoke, graph.VerbRollback: k.refuseRollback,
		"revoke": k.revoke, "rotate": k.rotate,
	} {
		handler := func(ctx context.Context, d *graph.Draft) error {
			if maker, ok := s.Key(d.Actor); ok && !allows(maker.Scopes, ScopeKeys, "") {
				return outOfScope(ScopeKeys, "")
			}
			return f(ctx, d)
		}
		if err := g.Handle(apiKeyType, verb, handler); err != nil {
			return nil, err
		}
	}
	shelf, err := g.Shelf(keysShelf)
	if err != nil {
		return nil, err
	}
	if k.stop, err = s.ShareKeys(ctx, shelf, graph.ErrStale); err != nil {
		return nil, err
	}
	for _, tenant := range s.Tenants() {
		if err := k.adopt(ctx, tenant); err != nil {
			k.stop()
			return nil, err
		}
	}
	return k, nil
}

// Close stops sharing.
func (k *Keys) Close() { k.stop() }

// reveal is how a handler hands a key's value to the caller, past everything
// that is stored or shown.
type reveal struct {
	value headlessly.Secret
	id    string
	adopt bool // the key is in the store already
}

type revealKey struct{}

func revealing(ctx context.Context, r *reveal) context.Context {
	return context.WithValue(ctx, revealKey{}, r)
}

func revealed(ctx context.Context) (*reveal, error) {
	r, _ := ctx.Value(revealKey{}).(*reveal)
	if r == nil {
		return nil, &graph.Error{Code: graph.CodeValidation, Type: apiKeyType, Message: "a key's value is shown once, to its maker: make and rotate keys with POST /~{tenant}/ApiKey or /~{tenant}/keys"}
	}
	return r, nil
}

// adopt gives the keys of the store an entity each.
func (k *Keys) adopt(ctx context.Context, tenant string) error {
	list, err := k.store.Keys(ctx, tenant)
	if err != nil {
		return err
	}
	scope, err := k.graph.Scope(tenant, graph.Anonymous)
	if err != nil {
		return err
	}
	for _, info := range list {
		if _, err := scope.Get(ctx, apiKeyType, info.ID, graph.AsOf{}); err == nil || info.RevokedAt != 0 || k.graph.Types().OfID(info.ID) == nil {
			continue
		}
		if info.Name == "" {
			info.Name = string(info.Kind) + " key"
		}
		fields := map[string]any{"name": info.Name, "kind": string(info.Kind), "prefix": info.Prefix}
		_, err := scope.Do(revealing(ctx, &reveal{adopt: true}), graph.Op{Type: apiKeyType, Verb: graph.VerbCreate, NewID: info.ID, Args: fields})
		if err != nil && graph.CodeOf(err) != graph.CodeConflict { // another gateway was faster, or it was deleted
			return fmt.Errorf("entity of key %s: %w", info.ID, err)
		}
	}
	return nil
}

func (k *Keys) create(ctx context.Context, d *graph.Draft) error {
	r, err := revealed(ctx)
	if err != nil || r.adopt {
		return err
	}
	scopes, err := k.scopes(d)
	if err != nil {
		return err
	}
	name, _ := d.Fields["name"].(string)
	kind, _ := d.Fields["kind"].(string)
	for _, f := range []string{"prefix", "lastUsedAt", "revokedAt"} {
		delete(d.Fields, f)
	}
	info, value, err := k.store.IssueKey(ctx, store.KeyInfo{Key: headlessly.Key{ID: d.ID, Kind: headlessly.KeyKind(kind), Tenant: d.Tenant, Scopes: scopes}, Name: name})
	if err != nil {
		return unavailableKey(err)
	}
	d.Fields["prefix"] = info.Prefix
	r.value, r.id = value, info.ID
	return nil
}

// scopes reads a draft's scopes, which may not go beyond the maker's own.
func (k *Keys) scopes(d *graph.Draft) ([]string, error) {
	list, _ := d.Fields["scopes"].([]any)
	var out []string
	for _, v := range list {
		s, _ := v.(string)
		if !validScope(k.graph.Types(), s) {
			return nil, &graph.Error{Code: graph.CodeValidation, Type: apiKeyType, Field: "scopes", Message: fmt.Sprintf("scopes: %q is none; known are read, write, sql, keys, and {Type}:read or {Type}:write", s)}
		}
		out = append(out, s)
	}
	maker, _ := k.store.Key(d.Actor)
	own := maker.Scopes
	if len(own) == 0 {
		return out, nil
	}
	beyond := len(out) == 0
	for _, s := range out {
		typ, narrow, ok := cutScope(s)
		beyond = beyond || !slices.Contains(own, s) && (!ok || !allows(own, narrow, typ))
	}
	if beyond {
		return nil, &graph.Error{Code: graph.CodeForbidden, Type: apiKeyType, Field: "scopes", Message: "scopes: a key hands on no more than it has; name some of your key's own scopes"}
	}
	return out, nil
}

func (k *Keys) update(ctx context.Context, d *graph.Draft) error {
	before := d.Current.Fields()
	for _, f := range []string{"kind", "prefix", "lastUsedAt", "revokedAt"} {
		if fmt.Sprint(before[f]) != fmt.Sprint(d.Fields[f]) {
			return &graph.Error{Code: graph.CodeValidation, Type: apiKeyType, ID: d.ID, Field: f, Message: f + ": is the system's; revoke or rotate the key instead"}
		}
	}
	scopes, err := k.scopes(d)
	if err != nil {
		return err
	}
	name, _ := d.Fields["name"].(string)
	_, err = k.store.SetKey(ctx, d.Tenant, d.ID, name, scopes)
	return keyError(d.ID, err)
}

func (k *Keys) revoke(ctx context.Context, d *graph.Draft) error {
	if _, err := k.store.RevokeKey(ctx, d.Tenant, d.ID); err != nil {
		return unavailableKey(err)
	}
	return nil
}

func (k *Keys) refuseRollback(_ context.Context, d *graph.Draft) error {
	return &graph.Error{Code: graph.CodeNotAllowed, Type: apiKeyType, ID: d.ID, Message: "a key does not go back to what it was; make another"}
}

// maxGrace bounds how long a rotated key's old value works.
const maxGrace = 30 * 24 * time.Hour

func (k *Keys) rotate(ctx context.Context, d *graph.Draft) error {
	r, err := revealed(ctx)
	if err != nil {
		return err
	}
	grace, err := graceOf(d.Args, d.ID)
	if err != nil {
		return err
	}
	d.Fields = d.Current.Fields() // a rotation takes no fields
	info, value, err := k.store.RotateKey(ctx, d.Tenant, d.ID, grace)
	if err != nil {
		return keyError(d.ID, err)
	}
	d.Fields["prefix"] = info.Prefix
	r.value, r.id = value, ""
	return nil
}

// graceOf reads for how long a rotated key's old value works.
func graceOf(args map[string]any, id string) (time.Duration, error) {
	v, ok := args["graceSeconds"]
	if !ok {
		return 0, nil
	}
	n, _ := v.(json.Number)
	seconds, err := n.Int64()
	if err != nil || seconds < 0 || time.Duration(seconds) > maxGrace/time.Second {
		return 0, &graph.Error{Code: graph.CodeValidation, Type: apiKeyType, ID: id, Field: "graceSeconds", Message: "graceSeconds: must be a number of seconds, at most 30 days"}
	}
	return time.Duration(seconds) * time.Second, nil
}

func keyError(id string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNoKey):
		return &graph.Error{Code: graph.CodeConflict, Type: apiKeyType, ID: id, Message: "the key is revoked; make another"}
	}
	return unavailableKey(err)
}

func unavailableKey(err error) error {
	return &graph.Error{Code: graph.CodeUnavailable, Type: apiKeyType, Message: "the keys cannot be changed now; try again", RetryAfter: time.Second, Err: err}
}

// Bounds of noting when keys were used.
const (
	usesStored   = 10 * time.Second
	usesRecorded = time.Hour
)

// Run notes when keys were last used, until ctx ends: in the store within
// seconds, in the graph about once an hour.
func (k *Keys) Run(ctx context.Context) {
	tick := time.NewTicker(usesStored)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := k.noteUses(ctx); err != nil && ctx.Err() == nil {
				k.log.Warn("control.key_uses", slog.Any("error", err))
			}
		}
	}
}

func (k *Keys) noteUses(ctx context.Context) error {
	errs := []error{k.store.NoteUses(ctx)}
	for _, tenant := range k.store.Tenants() {
		list, err := k.store.Keys(ctx, tenant)
		if err != nil {
			return err
		}
		scope, err := k.graph.Scope(tenant, graph.Anonymous)
		if err != nil {
			return err
		}
		for _, info := range list {
			if info.LastUsedAt == 0 || info.RevokedAt != 0 {
				continue
			}
			e, err := scope.Get(ctx, apiKeyType, info.ID, graph.AsOf{})
			if err != nil {
				continue // deleted
			}
			if last, err := time.Parse(time.RFC3339Nano, e.Text("lastUsedAt")); err == nil && info.LastUsedAt-last.UnixMicro() < usesRecorded.Microseconds() {
				continue
			}
			_, err = scope.Emit(ctx, apiKeyType, "Used", info.ID, map[string]any{"lastUsedAt": graph.FormatTime(info.LastUsedAt)})
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
