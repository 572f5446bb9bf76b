package graph

import (
	"context"
	"strconv"
	"strings"

	"github.com/headlessly/headlessly"
)

// Anonymous is the actor of who did not say who they are.
const Anonymous = "anonymous"

// maxActor bounds an actor's name.
const maxActor = 128

// maxHops is how many hooks may follow from one another.
const maxHops = 8

// Scope is the graph as one actor of one tenant sees it. Safe for concurrent
// use; nothing of another tenant can be reached through it.
type Scope struct {
	store  *Store
	tenant string
	actor  string
	cause  string // the event whose hook this is
	hops   int
}

// Scope gives the graph of one tenant to one actor: a key's id, a connector's
// integration id, or [Anonymous].
func (s *Store) Scope(tenant, actor string) (*Scope, error) {
	if !headlessly.ValidTenant(tenant) {
		return nil, notFound("", "", "%q is no tenant name", tenant)
	}
	if actor == "" {
		actor = Anonymous
	}
	if len(actor) > maxActor || strings.ContainsFunc(actor, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
		return nil, invalid("", "", "an actor is named by up to %d printable characters without spaces", maxActor)
	}
	return &Scope{store: s, tenant: tenant, actor: actor}, nil
}

// Tenant is the scope's tenant.
func (sc *Scope) Tenant() string { return sc.tenant }

// Actor is who acts.
func (sc *Scope) Actor() string { return sc.actor }

// Types are the entity types.
func (sc *Scope) Types() *Types { return sc.store.types }

// As is the scope for another actor of the same tenant, such as a handler that
// acts on its own account. What it does has the same cause.
func (sc *Scope) As(actor string) (*Scope, error) {
	out, err := sc.store.Scope(sc.tenant, actor)
	if err != nil {
		return nil, err
	}
	out.cause, out.hops = sc.cause, sc.hops
	return out, nil
}

// Cause is what [Scope.Because] takes: the event whose hook this scope is, "" for
// a caller who acts unprompted.
func (sc *Scope) Cause() string {
	if sc.cause == "" {
		return ""
	}
	return sc.cause + ":" + strconv.Itoa(sc.hops)
}

// Because is the scope for a client that acts inside a hook; cause is what it
// was given with the event. Hooks that go on causing each other are stopped.
func (sc *Scope) Because(cause string) (*Scope, error) {
	event, n, ok := strings.Cut(cause, ":")
	hops, err := strconv.Atoi(n)
	sqid, isEvent := strings.CutPrefix(event, "evt_")
	if !ok || err != nil || hops < 0 || hops > maxHops+1 || !isEvent || !validSqid(sqid) {
		return nil, invalid("", "", "the cause %q is not one that a hook was given; send it as it came", cause)
	}
	out := *sc
	out.cause, out.hops = event, hops
	return &out, nil
}

// because is the scope for what follows from an event.
func (sc *Scope) because(e *Event) *Scope {
	out := *sc
	out.cause, out.hops = e.ID, e.Hops+1
	return &out
}

// Create makes an entity.
func (sc *Scope) Create(ctx context.Context, typ string, fields map[string]any) (*Entity, error) {
	return entityOf(sc.Do(ctx, Op{Type: typ, Verb: VerbCreate, Args: fields}))
}

// Update changes some fields of an entity; nil removes one. Without a change
// there is no event.
func (sc *Scope) Update(ctx context.Context, typ, id string, fields map[string]any) (*Entity, error) {
	return entityOf(sc.Do(ctx, Op{Type: typ, Verb: VerbUpdate, ID: id, Args: fields}))
}

// Delete takes an entity out of sight. Its history stays, and a rollback brings
// it back.
func (sc *Scope) Delete(ctx context.Context, typ, id string) error {
	_, err := sc.Do(ctx, Op{Type: typ, Verb: VerbDelete, ID: id})
	return err
}

// Rollback gives an entity the fields of an earlier version, as a new event; 0
// is the version before the last.
func (sc *Scope) Rollback(ctx context.Context, typ, id string, version int64) (*Entity, error) {
	return entityOf(sc.Do(ctx, Op{Type: typ, Verb: VerbRollback, ID: id, Version: version}))
}

// Verb does one of the type's own verbs.
func (sc *Scope) Verb(ctx context.Context, typ, verb, id string, args map[string]any) (*Entity, error) {
	return entityOf(sc.Do(ctx, Op{Type: typ, Verb: verb, ID: id, Args: args}))
}

// Emit records an event of the type with the fields that it changes: a further
// one, such as Errored, or that of a verb which has taken its time, such as
// Synced. No before hook or handler runs.
func (sc *Scope) Emit(ctx context.Context, typ, event, id string, fields map[string]any) (*Entity, error) {
	return entityOf(sc.Do(ctx, Op{Type: typ, Event: event, ID: id, Args: fields}))
}

func entityOf(r Result, err error) (*Entity, error) { return r.Entity, err }

// Get reads an entity, as it stands or as it was.
func (sc *Scope) Get(ctx context.Context, typ, id string, asOf AsOf) (*Entity, error) {
	t, err := sc.store.types.Lookup(typ)
	if err != nil {
		return nil, err
	}
	var st *state
	if asOf.IsZero() {
		st, err = sc.store.newest(ctx, sc.tenant, t, id, true)
	} else {
		st, err = sc.past(ctx, t, id, asOf)
	}
	switch {
	case err != nil:
		return nil, err
	case st == nil && !asOf.IsZero():
		return nil, notFound(typ, id, "there was no such %s at that moment", typ)
	case st == nil || sc.store.types.OfID(id) != t:
		return nil, sc.store.NoSuch(typ, id)
	case st.deleted:
		return nil, notFound(typ, id, "the %s is deleted; read it with asOf, or bring it back with rollback", typ)
	}
	return &st.Entity, nil
}

// past reads an entity's state of an earlier moment.
func (sc *Scope) past(ctx context.Context, t *Type, id string, asOf AsOf) (*state, error) {
	p, release := sc.store.view()
	defer release()
	seq, err := p.seqAt(ctx, asOf)
	if err != nil {
		return nil, err
	}
	return sc.store.stateOf(ctx, p, sc.tenant, t, id, seq)
}

// Lookup reads an entity as [Scope.Get] does, with a query's AsOf, Include and
// Fields.
func (sc *Scope) Lookup(ctx context.Context, id string, q Query) (*Entity, error) {
	e, err := sc.Get(ctx, q.Type, id, q.AsOf)
	if err != nil {
		return nil, err
	}
	if e.only = q.Fields; len(q.Include) == 0 {
		return e, nil
	}
	p, release := sc.store.view()
	defer release()
	number, err := p.tenantID(ctx, sc.tenant)
	if err != nil {
		return nil, err
	}
	return e, sc.include(ctx, p, sc.store.types.byName[e.Type], number, []*Entity{e}, q)
}
