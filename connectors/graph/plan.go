package graph

import (
	"context"
	"maps"
	"slices"
	"time"
)

// attempt is a mutation on its way to the log. The same attempt is planned
// again after a conflict.
type attempt struct {
	s     *Store
	scope *Scope
	op    Op
	typ   *Type
	verb  *Verb // nil for a further event
	event string
	in    input
	id    string
	chain chain

	fresh     bool   // the projection has caught up with the log since it began
	planned   uint64 // how far the projection was, at least, when the last plan looked
	eventID   string // the same in every try
	now       *state // what the plan was made on; nil for a new entity
	doc       []byte // after it
	sent      stored // the event as the log gets it
	msgs      []message
	release   func()        // of the entity's lock; nil when not held
	lostPause time.Duration // before the last try after a lost race
}

// begin checks what does not depend on the entity's state.
func (sc *Scope) begin(ctx context.Context, op Op) (*attempt, error) {
	s := sc.store
	t, err := s.types.Lookup(op.Type)
	if err != nil {
		return nil, err
	}
	if route := s.hooks.routeOf(t.Name, op.Verb); route != nil {
		if op, err = route(ctx, sc, op); err != nil {
			return nil, err
		}
	}
	a := &attempt{s: s, scope: sc, op: op, typ: t, event: op.Event}
	if err := a.chooseVerb(); err != nil {
		return nil, err
	}
	if sc.hops > maxHops {
		return nil, &Error{Code: CodeConflict, Type: t.Name, ID: op.ID, Message: "hooks have caused each other eight times over; break the circle"}
	}
	args := op.Args
	if a.op.ID == "" && a.verb != nil && op.Verb != VerbCreate {
		if id, ok := args["id"].(string); ok {
			args = maps.Clone(args)
			delete(args, "id")
			a.op.ID = id
		}
	}
	if a.creates() && (a.verb == nil || !a.verb.Creates) {
		return nil, invalid(t.Name, "id", "id: %s.%s needs the id of %s; %s.find lists them", t.Name, a.name(), withArticle(t.Name), t.Name)
	}
	if !a.creates() && s.types.OfID(a.op.ID) != t {
		return nil, s.NoSuch(t.Name, a.op.ID)
	}
	var faults []*Error
	if a.in, faults = t.read(args); len(faults) > 0 {
		return nil, joined(t.Name, a.op.ID, faults)
	}
	if a.op.NewID != "" && s.types.OfID(a.op.NewID) != t {
		return nil, invalid(t.Name, "$id", "$id: %q is no id of a %s", a.op.NewID, t.Name)
	}
	if a.eventID, err = s.ids.make("evt_"); err != nil {
		return nil, err
	}
	if a.verb != nil {
		a.chain = s.hooks.chain(sc.tenant, t.Name, a.verb.Name)
	}
	return a, nil
}

func (a *attempt) chooseVerb() (err error) {
	t := a.typ
	if a.op.Verb == "" && a.op.Event != "" {
		if !t.hasEvent(a.op.Event) {
			return notFound(t.Name, a.op.ID, "%s has no event %q", t.Name, a.op.Event)
		}
		return nil
	}
	if t.Immutable && slices.Contains(reservedVerbs(), a.op.Verb) && a.op.Verb != VerbCreate {
		return &Error{Code: CodeNotAllowed, Type: t.Name, ID: a.op.ID, Message: "a " + t.Name + " never changes; create another"}
	}
	if a.op.Verb == VerbCreate && a.op.ID != "" {
		return &Error{Code: CodeNotAllowed, Type: t.Name, ID: a.op.ID, Message: "create makes a new " + t.Name + "; leave the id out, or update this one"}
	}
	if a.verb, err = t.FindVerb(a.op.Verb); err == nil {
		a.event = a.verb.Event
	}
	return err
}

// creates says whether the mutation makes a new entity.
func (a *attempt) creates() bool { return a.op.ID == "" }

// name is what the caller asked for, in words.
func (a *attempt) name() string {
	if a.verb == nil {
		return a.op.Event
	}
	return a.verb.Name
}

// plan makes the messages, running hooks on the way. changed is false when
// there is nothing to store. With hooks, the lock is taken after them: they may
// take long, and may mutate.
func (a *attempt) plan(ctx context.Context, tryLock bool) (changed bool, err error) {
	for range conflictsMost {
		if a.chain.empty() {
			if err := a.lock(ctx, tryLock); err != nil {
				return false, err
			}
		}
		a.planned = a.s.Position()
		if err := a.look(ctx); err != nil {
			return false, err
		}
		seen := a.now
		after, err := a.after(ctx)
		if err != nil {
			return false, err
		}
		if !a.chain.empty() {
			if after, err = a.runHooks(ctx, after); err != nil {
				return false, err
			}
			if err := a.lock(ctx, tryLock); err != nil {
				return false, err
			}
			if err := a.look(ctx); err != nil {
				return false, err
			}
			if version(a.now) != version(seen) {
				a.unlock()
				continue
			}
		}
		return a.messages(ctx, after)
	}
	return false, a.tooMany()
}

func (a *attempt) lock(ctx context.Context, try bool) (err error) {
	id := a.op.ID
	if a.creates() {
		id = a.op.NewID
	}
	if a.release != nil || id == "" { // nobody else knows a new id
		return nil
	}
	key := a.scope.tenant + "/" + id
	if try {
		a.release = a.s.busy.try(key)
		if a.release == nil {
			return errBusy
		}
		return nil
	}
	a.release, err = a.s.busy.lock(ctx, key)
	return err
}

func (a *attempt) unlock() {
	if a.release != nil {
		a.release()
		a.release = nil
	}
}

func (a *attempt) newID() (err error) {
	if a.id = a.op.NewID; a.id == "" {
		a.id, err = a.s.ids.make(a.typ.IDPrefix())
	}
	return err
}

// look reads the entity as it stands and checks it against the mutation.
func (a *attempt) look(ctx context.Context) (err error) {
	if a.creates() && a.op.NewID == "" {
		if a.id == "" {
			err = a.newID()
		}
		return err // a new id; the log refuses it if it is taken
	}
	if a.id = a.op.ID; a.creates() {
		a.id = a.op.NewID
	}
	a.now, err = a.s.newest(ctx, a.scope.tenant, a.typ, a.id, !a.creates())
	t := a.typ.Name
	switch {
	case err != nil:
		return err
	case a.creates() && a.now != nil:
		return &Error{Code: CodeConflict, Type: t, ID: a.id, Field: "$id", Message: "this id is taken, also when its " + t + " is deleted"}
	case a.creates():
		return nil
	case a.now == nil:
		return a.s.NoSuch(t, a.id)
	case a.now.deleted && a.op.Verb != VerbRollback:
		return notFound(t, a.id, "the %s is deleted; bring it back with rollback", t)
	case a.op.IfVersion != 0 && a.op.IfVersion != a.now.Version:
		return &Error{Code: CodeVersionMismatch, Type: t, ID: a.id, Message: versionMessage(a.now.Version, a.op.IfVersion)}
	}
	return nil
}

// after computes the entity as it will be, before hooks.
func (a *attempt) after(ctx context.Context) (map[string]any, error) {
	after := map[string]any{}
	if a.now != nil {
		after = a.now.Fields()
	}
	switch a.op.Verb {
	case VerbDelete:
		return after, nil
	case VerbRollback:
		return a.earlier(ctx)
	}
	now := a.s.cfg.Clock().UTC().Format(timeFormat)
	args := a.in.fields
	if a.verb != nil {
		args = a.verb.apply(after, args, now)
	}
	for k, v := range args {
		if v == nil {
			delete(after, k)
		} else {
			after[k] = v
		}
	}
	if a.creates() {
		a.typ.defaults(after, now)
	}
	return after, a.check(ctx, after)
}

// apply gives a verb's effects to the entity and returns the arguments that
// are still to be set. What the caller gives goes before an effect.
func (v *Verb) apply(after, args map[string]any, now string) map[string]any {
	for _, e := range v.Sets {
		if e.Append != "" {
			if arg, ok := args[e.Append]; ok {
				list, _ := after[e.Field].([]any)
				if !slices.ContainsFunc(list, func(x any) bool { return equal(x, arg) }) {
					list = append(slices.Clone(list), arg)
				}
				after[e.Field] = list
				args = maps.Clone(args)
				delete(args, e.Append)
			}
			continue
		}
		if _, given := args[e.Field]; given {
			continue
		}
		switch {
		case e.Now:
			after[e.Field] = now
		case e.Value == nil:
			delete(after, e.Field)
		default:
			after[e.Field] = e.Value
		}
	}
	return args
}

// defaults fills what a new entity's caller left out.
func (t *Type) defaults(after map[string]any, now string) {
	for i := range t.Fields {
		f := &t.Fields[i]
		if _, has := after[f.Name]; has || f.Default == nil {
			continue
		}
		switch d := f.Default; {
		case d.Now:
			after[f.Name] = now
		case d.Field != "":
			if v, ok := after[d.Field]; ok {
				after[f.Name] = v
			}
		default:
			after[f.Name] = d.Value
		}
	}
}

// earlier is the state that a rollback goes back to.
func (a *attempt) earlier(ctx context.Context) (map[string]any, error) {
	p, release := a.s.view()
	defer release()
	var st *state
	var err error
	if a.op.AsOf.IsZero() {
		want := a.op.Version
		if want == 0 {
			want = a.now.Version - 1
		}
		st, err = a.s.stateOfVersion(ctx, p, a.scope.tenant, a.typ, a.id, want)
	} else {
		var seq uint64
		if seq, err = p.seqAt(ctx, a.op.AsOf); err == nil {
			st, err = a.s.stateOf(ctx, p, a.scope.tenant, a.typ, a.id, seq)
		}
	}
	switch {
	case err != nil:
		return nil, err
	case st == nil:
		return nil, &Error{Code: CodeValidation, Type: a.typ.Name, ID: a.id, Field: "version", Message: "version: there was no such state to go back to"}
	case st.deleted:
		return nil, &Error{Code: CodeValidation, Type: a.typ.Name, ID: a.id, Field: "version", Message: "version: it was deleted then; delete it instead"}
	}
	after := st.Fields()
	return after, a.check(ctx, after)
}

// check validates a whole entity.
func (a *attempt) check(ctx context.Context, after map[string]any) error {
	faults := a.typ.complete(after)
	if a.s.cfg.StrictReferences {
		missing, err := a.s.missingReferences(ctx, a.scope.tenant, a.typ, after)
		if err != nil {
			return err
		}
		faults = append(faults, missing...)
	}
	return joined(a.typ.Name, a.op.ID, faults)
}

// runHooks shows the draft to hooks and handler, and checks what they made of
// it.
func (a *attempt) runHooks(ctx context.Context, after map[string]any) (map[string]any, error) {
	d := &Draft{
		Tenant: a.scope.tenant, Actor: a.scope.actor, Type: a.typ.Name, Verb: a.verb.Name, Event: a.verb.Event, ID: a.id, EventID: a.eventID,
		Args: maps.Clone(a.in.fields), Secrets: maps.Clone(a.in.secrets), Fields: after, scope: a.scope.because(&Event{ID: a.eventID, Hops: a.scope.hops}),
	}
	if a.now != nil {
		d.Current = &a.now.Entity
	}
	if err := a.chain.run(ctx, d); err != nil {
		return nil, err
	}
	if a.event = d.Event; !a.typ.hasEvent(d.Event) {
		return nil, notFound(a.typ.Name, a.op.ID, "a hook named the event %q, which %s does not have", d.Event, a.typ.Name)
	}
	in, faults := a.typ.read(d.Fields)
	if len(faults) > 0 {
		return nil, joined(a.typ.Name, a.op.ID, faults)
	}
	maps.DeleteFunc(in.fields, func(_ string, v any) bool { return v == nil })
	if a.op.Verb == VerbDelete {
		return in.fields, nil
	}
	return in.fields, a.check(ctx, in.fields)
}

func (t *Type) hasEvent(event string) bool {
	return slices.Contains(t.Events, event) || slices.ContainsFunc(t.Verbs, func(v Verb) bool { return v.Event == event })
}

// stamp is the mutation's time: the clock's, but never before what is already
// in the log.
func (a *attempt) stamp(p *projection) int64 {
	return max(a.s.cfg.Clock().UnixMicro(), p.latest())
}

func version(st *state) int64 {
	if st == nil {
		return 0
	}
	return st.Version
}

// conflictsMost is how often a mutation that lost a race is tried again.
const conflictsMost = 24

func (a *attempt) tooMany() error {
	return &Error{Code: CodeConflict, Type: a.typ.Name, ID: a.op.ID, Message: "others keep changing this entity; try again", RetryAfter: time.Second}
}
