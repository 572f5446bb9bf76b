package graph

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/headlessly/headlessly"
)

// Draft is a mutation before it happens, as before hooks and handlers see it.
// It is theirs until they return.
type Draft struct {
	Tenant, Actor string
	Type, Verb    string
	// Event is the event's name without its type. A handler may name another
	// event of the type, such as Syncing for a sync that goes on.
	Event string
	// ID is the entity's $id, also of one that is being made.
	ID string
	// EventID is the event's id. It stays the same when the mutation is tried
	// again after a conflict: a good idempotency key for a provider.
	EventID string
	// Current is the entity as it stands; nil when it is being made.
	Current *Entity
	// Args are the caller's arguments, secrets apart.
	Args map[string]any
	// Secrets are the credentials among the arguments, by field ("apiKey",
	// "destinations.sentry.dsn"). They are stored nowhere.
	Secrets map[string]headlessly.Secret
	// Fields is the entity as it will be. Changes are checked like a caller's.
	Fields map[string]any

	scope *Scope
}

// Graph is the graph as the mutation's actor sees it: the $ of a hook. A hook
// that changes the drafted entity itself makes its own mutation fail with a
// conflict.
func (d *Draft) Graph() *Scope { return d.scope }

// BeforeFunc is a before hook or a handler. An error vetoes the mutation; its
// text is the message that the caller gets, unless it is an [Error].
//
// A mutation that lost a race is tried again, hooks included, so a hook may see
// it more than once.
type BeforeFunc func(ctx context.Context, d *Draft) error

// hooks are the before hooks and handlers of this process.
type hooks struct {
	mu     sync.RWMutex
	before map[string][]*BeforeFunc
	handle map[string]BeforeFunc
	route  map[string]RouteFunc
	settle map[string]SettleFunc
	late   []interceptor
}

// interceptor is a source of before hooks that come and go while the graph is
// open.
type interceptor struct {
	cares func(tenant, typ, verb string) bool
	run   BeforeFunc
}

func (h *hooks) init() {
	h.before, h.handle = map[string][]*BeforeFunc{}, map[string]BeforeFunc{}
	h.route, h.settle = map[string]RouteFunc{}, map[string]SettleFunc{}
}

// Before registers a before hook by its name: a verb's gerund, such as
// "connecting". The type "*" stands for every type that has such a verb. Hooks
// run in the order of their registration, and before intercepting and remote
// ones.
func (s *Store) Before(typ, hook string, f BeforeFunc) (remove func(), err error) {
	verb, err := s.beforeVerb(typ, hook)
	if err != nil {
		return nil, err
	}
	key, entry := typ+"."+verb, &f
	s.hooks.mu.Lock()
	s.hooks.before[key] = append(slices.Clone(s.hooks.before[key]), entry)
	s.hooks.mu.Unlock()
	return func() {
		s.hooks.mu.Lock()
		defer s.hooks.mu.Unlock()
		s.hooks.before[key] = slices.DeleteFunc(slices.Clone(s.hooks.before[key]), func(e *BeforeFunc) bool { return e == entry })
	}, nil
}

// beforeVerb resolves a before hook's name.
func (s *Store) beforeVerb(typ, hook string) (string, error) {
	types := s.types.list
	if typ != anyType {
		t, err := s.types.Lookup(typ)
		if err != nil {
			return "", err
		}
		types = []*Type{t}
	}
	var first error
	for _, t := range types {
		phase, verb, err := t.HookName(hook)
		switch {
		case err == nil && phase == Before:
			return verb, nil
		case err == nil:
			err = invalid(typ, "", "%s is an after hook; a before hook is a verb's gerund, such as %q", hook, VerbCreate[:len(VerbCreate)-1]+"ing")
		}
		if first == nil {
			first = err
		}
	}
	return "", first
}

// Intercept adds a before hook that decides for each mutation anew whether it
// has anything to do: cares must be quick, as every mutation asks it. Such
// hooks run after those of [Store.Before], in the order of their registration,
// and before the verb's handler.
func (s *Store) Intercept(cares func(tenant, typ, verb string) bool, f BeforeFunc) {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.late = append(slices.Clone(s.hooks.late), interceptor{cares: cares, run: f})
}

// anyType stands for every type in a hook's registration.
const anyType = "*"

// Handle sets what a verb of a type does besides its declared effects, such as
// calling a provider. It runs after the before hooks and before the event is
// stored; its error stops the mutation. There is one handler for a verb.
func (s *Store) Handle(typ, verb string, f BeforeFunc) error {
	t, err := s.types.Lookup(typ)
	if err != nil {
		return err
	}
	if _, err := t.FindVerb(verb); err != nil {
		return err
	}
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.handle[typ+"."+verb] = f
	return nil
}

// run is what stands between a valid draft and the log.
type chain struct {
	local   []*BeforeFunc
	late    []BeforeFunc
	handler BeforeFunc
}

func (c chain) empty() bool { return len(c.local) == 0 && len(c.late) == 0 && c.handler == nil }

func (h *hooks) chain(tenant, typ, verb string) (c chain) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	c.local = h.before[typ+"."+verb]
	if all := h.before[anyType+"."+verb]; len(all) > 0 {
		c.local = append(slices.Clone(all), c.local...)
	}
	for _, i := range h.late {
		if i.cares(tenant, typ, verb) {
			c.late = append(c.late, i.run)
		}
	}
	c.handler = h.handle[typ+"."+verb]
	return c
}

// run calls the hooks and then the handler.
func (c chain) run(ctx context.Context, d *Draft) error {
	for _, f := range c.local {
		if err := (*f)(ctx, d); err != nil {
			return vetoed(d, err)
		}
	}
	for _, f := range c.late {
		if err := f(ctx, d); err != nil {
			return vetoed(d, err)
		}
	}
	if c.handler != nil {
		if err := c.handler(ctx, d); err != nil {
			var e *Error
			if errors.As(err, &e) {
				return err
			}
			return &Error{Code: CodeProvider, Type: d.Type, ID: idIfStands(d), Message: d.Type + "." + d.Verb + " failed: " + err.Error(), Err: err}
		}
	}
	return nil
}

func vetoed(d *Draft, err error) error {
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return &Error{Code: CodeVetoed, Type: d.Type, ID: idIfStands(d), Message: err.Error(), Err: err}
}

// idIfStands is the draft's id, "" for an entity that is not made yet.
func idIfStands(d *Draft) string {
	if d.Current == nil {
		return ""
	}
	return d.ID
}
