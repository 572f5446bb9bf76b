package graph

import (
	"context"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Missing says what becomes of a mutation when a remote before hook does not
// answer in time, or nobody runs it.
type Missing string

// What to do about a missing hook.
const (
	MissingSkip Missing = "skip" // go on without it
	MissingVeto Missing = "veto" // refuse the mutation
)

// Remote is a hook that runs in a client's process. HOOKS.md describes how one
// gets here.
type Remote struct {
	Tenant string `json:"tenant"`
	Type   string `json:"type"` // or "*"
	Hook   string `json:"hook"` // canonical: connecting, connected
	Phase  Phase  `json:"phase"`
	// Name tells hooks of the same kind apart. One that starts with _ lasts as
	// long as its client is connected.
	Name string `json:"name"`
	// Missing and Deadline are a before hook's; Deadline is how long an answer
	// may take.
	Missing  Missing       `json:"missing,omitempty"`
	Deadline time.Duration `json:"deadline,omitempty"`

	verb  string // of a before hook
	event string // of an after hook
	rev   uint64 // the registration's sequence in the state stream
}

// Path is the hook as clients write it: Integration.connecting.
func (r *Remote) Path() string { return r.Type + "." + r.Hook }

// Verb is the verb of a before hook.
func (r *Remote) Verb() string { return r.verb }

// EventPattern is the events of an after hook, as [Match] takes them.
func (r *Remote) EventPattern() string { return r.Type + "." + r.event }

// FindHook resolves a hook as clients write it: Integration.connecting,
// *.created, in either spelling.
func (s *Store) FindHook(tenant, path string) (Remote, error) {
	r := Remote{Tenant: tenant}
	var hook string
	var ok bool
	if r.Type, hook, ok = strings.Cut(path, "."); !ok {
		return r, invalid("", "hook", "hook: %q, want a type and a hook, such as Integration.connecting or *.created", path)
	}
	types := s.types.list
	if r.Type != anyType {
		t, err := s.types.Lookup(r.Type)
		if err != nil {
			return r, inField(err, "hook")
		}
		types = []*Type{t}
	}
	var first error
	for _, t := range types {
		phase, name, err := t.HookName(hook)
		if err != nil {
			if first == nil {
				first = inField(err, "hook")
			}
			continue
		}
		r.Phase = phase
		if phase == Before {
			r.verb, r.Hook = name, t.Verb(name).Gerund
		} else {
			r.event, r.Hook = name, lowerFirst(name)
		}
		return r, nil
	}
	return r, first
}

// inField names the field of an error that has none.
func inField(err error, field string) error {
	if e, ok := err.(*Error); ok && e.Field == "" { //nolint:errorlint // made a line ago, never wrapped
		e.Field = field
	}
	return err
}

var hookName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Bounds of a before hook's deadline.
const (
	minHookDeadline = 50 * time.Millisecond
	maxHookDeadline = 10 * time.Second
)

// check completes a registration and reports what is wrong with it.
func (s *Store) check(r *Remote) error {
	if !hookName.MatchString(r.Name) {
		return invalid("", "name", "name: %q, want 1 to 64 letters, digits, hyphens and underscores", r.Name)
	}
	if r.Phase == After {
		return nil
	}
	if r.Missing == "" {
		r.Missing = MissingSkip
	}
	if r.Deadline == 0 {
		r.Deadline = s.cfg.HookDeadline
	}
	switch {
	case r.Missing != MissingSkip && r.Missing != MissingVeto:
		return invalid("", "missing", "missing: %q, want skip or veto", r.Missing)
	case r.Missing == MissingVeto && r.passing():
		return invalid("", "name", "name: needed with missing: veto, so that the hook can be found and forgotten")
	case r.Deadline < minHookDeadline || r.Deadline > maxHookDeadline:
		return invalid("", "deadlineMs", "deadlineMs: want %d to %d", minHookDeadline.Milliseconds(), maxHookDeadline.Milliseconds())
	}
	return nil
}

// passing says whether the hook ends with its client's connection.
func (r *Remote) passing() bool { return strings.HasPrefix(r.Name, "_") }

// key is the hook in subjects: tenant, type, hook, name.
func (r *Remote) key() string {
	typ := r.Type
	if typ == anyType {
		typ = "any" // no type: those start with a capital
	}
	return r.Tenant + "." + typ + "." + r.Hook + "." + r.Name
}

// Cursor is the name under which an after hook's cursor is kept. A tenant's
// name holds no underscore and a type's and a hook's no hyphen, so no two hooks
// share one.
func (r *Remote) Cursor() string {
	tenant, rest, _ := strings.Cut(r.key(), ".")
	parts := strings.SplitN(rest, ".", 3)
	return "remote_" + tenant + "_" + parts[0] + "-" + parts[1] + "-" + parts[2]
}

// ServeBefore registers a before hook and runs f for each of its calls, until
// stop is called. When it returns, no mutation of this process passes the hook
// unasked; other gateways of a cluster follow within moments. f may be called
// several times at once; its ctx ends at the deadline. With several clients of
// one name, one of them is asked.
//
// The registration of a hook that vetoes when it is missing outlives stop, and
// the process; see [Store.ForgetRemote].
func (s *Store) ServeBefore(ctx context.Context, r Remote, f func(ctx context.Context, c *BeforeCall) BeforeAnswer) (stop func(), err error) {
	if r.Phase != Before {
		return nil, invalid(r.Type, "hook", "hook: %s is no before hook", r.Hook)
	}
	if err := s.check(&r); err != nil {
		return nil, err
	}
	sub, err := s.cfg.JetStream.Conn().QueueSubscribe(s.names.hooks+r.key(), "hook", func(m *nats.Msg) { go s.answer(m, r.Deadline, f) }) //nolint:contextcheck // calls have a deadline of their own
	if err != nil {
		return nil, unavailable(err, "the hook could not be registered; try again")
	}
	if err := s.remotes.put(ctx, r); err != nil {
		_ = sub.Unsubscribe()
		return nil, err
	}
	return func() { //nolint:contextcheck // the client's context has ended by now
		_ = sub.Unsubscribe()
		if r.passing() {
			s.remotes.drop(r)
		}
	}, nil
}

// AfterOptions say how a remote after hook gets its events.
type AfterOptions struct {
	// Parked is told of events that are parked.
	Parked func(Parked)
}

// ServeAfter runs f with the events of a remote after hook, from behind the last
// one it took, until stop is called. See [Store.Subscribe].
func (s *Store) ServeAfter(ctx context.Context, r Remote, o AfterOptions, f AfterFunc) (stop func(), err error) {
	if r.Phase != After {
		return nil, invalid(r.Type, "hook", "hook: %s is no after hook", r.Hook)
	}
	if err := s.check(&r); err != nil {
		return nil, err
	}
	if err := s.remotes.put(ctx, r); err != nil {
		return nil, err
	}
	return s.Subscribe(ctx, Subscription{Name: r.Cursor(), Events: []string{r.EventPattern()}, Tenant: r.Tenant, Parked: o.Parked}, f)
}

// Remotes lists a tenant's remote hooks: those with a name of their own, and
// those of connected clients.
func (s *Store) Remotes(tenant string) []Remote { return s.remotes.list(tenant) }

// ForgetRemote removes what is kept of a remote hook: that it vetoes while it
// is missing, an after hook's cursor and its parked events. A hook that a
// client runs now is a conflict.
func (s *Store) ForgetRemote(ctx context.Context, tenant, path, name string) error {
	r, err := s.FindHook(tenant, path)
	if err != nil {
		return err
	}
	r.Name = name
	if !hookName.MatchString(name) || !s.remotes.has(&r) {
		return notFound("", "", "there is no hook %s of the name %q", r.Path(), name)
	}
	if r.Phase == Before {
		if s.present(ctx, &r) {
			return &Error{Code: CodeConflict, Message: "a client runs " + r.Path() + " under this name; stop it first"}
		}
		return s.remotes.gone(ctx, r)
	}
	if err := s.Forget(ctx, r.Cursor()); err != nil {
		return unavailable(err, "the hook could not be forgotten; try again")
	}
	return s.remotes.gone(ctx, r)
}
