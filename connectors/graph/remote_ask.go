package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// BeforeCall is a mutation before it happens, as a remote before hook sees it.
// Secrets are not in it.
type BeforeCall struct {
	Hook     string          `json:"hook"`
	Verb     string          `json:"verb"`
	Actor    string          `json:"actor"`
	EventID  string          `json:"eventId"`
	Cause    string          `json:"cause"` // for [Scope.Because]
	Deadline int64           `json:"deadlineMs"`
	Entity   json.RawMessage `json:"entity"`  // as it will be
	Current  json.RawMessage `json:"current"` // as it is, null for a new one
	Args     map[string]any  `json:"args"`
}

// BeforeAnswer is what a remote before hook makes of a mutation: nothing, a
// patch of its fields (nil removes one), or a veto with its reason.
type BeforeAnswer struct {
	Patch map[string]any `json:"patch,omitempty"`
	Veto  string         `json:"veto,omitempty"`
	// Absent says that the hook was not run: it counts as missing.
	Absent bool `json:"absent,omitempty"`
}

// present is the payload of a request that only asks whether somebody is there.
const present = "?"

// ask shows a draft to its remote hooks, one after the other.
func (r *remotes) ask(ctx context.Context, d *Draft) error {
	for _, hook := range r.of(d.Tenant, d.Type, d.Verb) {
		a, err := r.one(ctx, &hook, d)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := r.missing(&hook, d, err); err != nil { //nolint:contextcheck // a hook is dropped later than the mutation ends
				return err
			}
			continue
		}
		if a.Veto != "" {
			return errors.New(a.Veto)
		}
		if err := d.Patch(a.Patch); err != nil {
			return err
		}
	}
	return nil
}

var errAbsent = errors.New("its client went away")

// one asks one hook, wherever in the cluster its client is connected.
func (r *remotes) one(ctx context.Context, hook *Remote, d *Draft) (a BeforeAnswer, err error) {
	raw, err := d.call(hook)
	if err != nil {
		return a, err
	}
	ctx, cancel := context.WithTimeout(ctx, hook.Deadline)
	defer cancel()
	m, err := r.s.cfg.JetStream.Conn().RequestWithContext(ctx, r.s.names.hooks+hook.key(), raw)
	if err != nil {
		return a, err
	}
	if err = unmarshal(m.Data, &a); err == nil && a.Absent {
		err = errAbsent
	}
	return a, err
}

// MarshalJSON writes the entity as it will be, for hooks outside of this
// process. Its $version is that of the entity as it stands, 0 for a new one.
func (d *Draft) MarshalJSON() ([]byte, error) {
	entity := make(map[string]any, len(d.Fields)+3)
	for k, v := range d.Fields {
		entity[k] = v
	}
	entity["$id"], entity["$type"], entity["$version"] = d.ID, d.Type, int64(0)
	if d.Current != nil {
		entity["$version"] = d.Current.Version
	}
	return encode(entity)
}

// call writes the draft for a remote hook.
func (d *Draft) call(hook *Remote) ([]byte, error) {
	c := BeforeCall{Hook: d.Type + "." + hook.Hook, Verb: d.Verb, Actor: d.Actor, EventID: d.EventID, Cause: d.scope.Cause(), Deadline: hook.Deadline.Milliseconds(), Args: d.Args}
	var err error
	if d.Current != nil {
		if c.Current, err = d.Current.MarshalJSON(); err != nil {
			return nil, err
		}
	}
	if c.Entity, err = d.MarshalJSON(); err != nil {
		return nil, err
	}
	return json.Marshal(c)
}

// Patch applies the changes of a hook outside of this process: nil removes a
// field. The system's fields and secrets cannot be set.
func (d *Draft) Patch(patch map[string]any) error {
	t := d.scope.store.types.byName[d.Type]
	for k, v := range patch {
		f := t.fields[k]
		switch {
		case strings.HasPrefix(k, "$"):
			return invalid(d.Type, k, "a before hook cannot set %s: fields that start with $ are the system's", k)
		case f != nil && f.Kind == KindSecret:
			return invalid(d.Type, k, "a before hook cannot set %s: a secret comes from the caller only", k)
		case v == nil:
			delete(d.Fields, k)
		default:
			d.Fields[k] = v
		}
	}
	return nil
}

// missing decides what becomes of a mutation whose hook did not answer.
func (r *remotes) missing(hook *Remote, d *Draft, cause error) error {
	nobody := errors.Is(cause, nats.ErrNoResponders) || errors.Is(cause, errAbsent)
	r.s.cfg.Logger.Warn("graph.hook_missing", slog.String("tenant", hook.Tenant), slog.String("hook", hook.Path()), slog.String("name", hook.Name), slog.Any("error", cause))
	if hook.Missing == MissingVeto {
		what := fmt.Sprintf("did not answer within %s", hook.Deadline)
		if nobody {
			what = "has no client connected"
		}
		return &Error{Code: CodeVetoed, Type: d.Type, ID: idIfStands(d), Err: cause, Message: fmt.Sprintf(
			"the before hook %s named %q %s, and it must be asked; start its client, or forget the hook with DELETE hooks/%s/%s", hook.Path(), hook.Name, what, hook.Path(), hook.Name)}
	}
	if nobody && hook.passing() {
		go func() { // its client, or the whole gateway it was connected to, is gone
			select {
			case <-time.After(dropPause):
			case <-r.s.ctx.Done():
				return
			}
			if !r.s.present(r.s.ctx, hook) {
				r.drop(*hook)
			}
		}()
	}
	return nil
}

// present says whether a client runs the hook now.
func (s *Store) present(ctx context.Context, hook *Remote) bool {
	ctx, cancel := context.WithTimeout(ctx, maxHookDeadline)
	defer cancel()
	_, err := s.cfg.JetStream.Conn().RequestWithContext(ctx, s.names.hooks+hook.key(), []byte(present))
	return !errors.Is(err, nats.ErrNoResponders)
}

// answer runs a hook for a request and replies.
func (s *Store) answer(m *nats.Msg, deadline time.Duration, f func(context.Context, *BeforeCall) BeforeAnswer) {
	if string(m.Data) == present {
		_ = m.Respond(nil)
		return
	}
	var c BeforeCall
	var a BeforeAnswer
	if err := unmarshal(m.Data, &c); err != nil {
		s.cfg.Logger.Error("graph.hook_request", slog.Any("error", err))
		a.Absent = true
	} else {
		ctx, cancel := context.WithTimeout(s.ctx, deadline)
		defer cancel()
		a = f(ctx, &c)
	}
	raw, err := json.Marshal(a)
	if err == nil {
		err = m.Respond(raw)
	}
	if err != nil {
		s.cfg.Logger.Warn("graph.hook_answer", slog.Any("error", err))
	}
}
