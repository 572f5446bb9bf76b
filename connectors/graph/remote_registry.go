package graph

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// remotes knows the remote hooks of all tenants: the state stream holds them,
// and every process follows it.
type remotes struct {
	s *Store

	mu      sync.RWMutex
	all     map[string]Remote   // by key
	before  map[string][]Remote // by tenant/type.verb, in the order of their names
	applied uint64
	changed chan struct{} // closed when applied moves
}

func (r *remotes) prefix() string { return r.s.names.statePrefix + "remote." }

// openRemotes reads the registrations and goes on following them.
func (s *Store) openRemotes(ctx context.Context) (*remotes, error) {
	r := &remotes{s: s, all: map[string]Remote{}, before: map[string][]Remote{}, changed: make(chan struct{})}
	consumer, err := s.state.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{r.prefix() + ">"}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
	})
	if err != nil {
		return nil, fmt.Errorf("remote hooks: %w", err)
	}
	pending := consumer.CachedInfo().NumPending
	loaded := make(chan struct{})
	if pending == 0 {
		close(loaded)
	}
	seen := uint64(0)
	reading, err := consumer.Consume(func(m jetstream.Msg) {
		md, err := m.Metadata()
		if err != nil {
			s.cfg.Logger.Error("graph.remote_hook", slog.Any("error", err))
			return
		}
		r.apply(md.Sequence.Stream, strings.TrimPrefix(m.Subject(), r.prefix()), m.Data())
		if seen++; seen == pending {
			close(loaded)
		}
	}, jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		s.cfg.Logger.Debug("graph.consumer", slog.Any("error", err))
	}))
	if err != nil {
		return nil, fmt.Errorf("remote hooks: %w", err)
	}
	context.AfterFunc(s.ctx, reading.Stop) //nolint:contextcheck // until the graph is closed
	select {
	case <-loaded:
	case <-ctx.Done():
		return nil, fmt.Errorf("remote hooks: %w", ctx.Err())
	}
	s.Intercept(r.cares, r.ask)
	return r, nil
}

// apply takes a registration or, with no data, its end.
func (r *remotes) apply(seq uint64, key string, data []byte) {
	var hook Remote
	var err error
	if len(data) > 0 {
		if err = json.Unmarshal(data, &hook); err == nil {
			var found Remote
			if found, err = r.s.FindHook(hook.Tenant, hook.Path()); err == nil {
				hook.Phase, hook.verb, hook.event, hook.rev = found.Phase, found.verb, found.event, seq
			}
		}
	}
	if err != nil { // of a types file that is gone, or of a newer program
		r.s.cfg.Logger.Warn("graph.remote_hook", slog.String("hook", key), slog.Any("error", err))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(key)
	if len(data) > 0 && err == nil {
		r.all[key] = hook
		if hook.Phase == Before {
			at := beforeKey(hook.Tenant, hook.Type, hook.verb)
			list := append(slices.Clone(r.before[at]), hook)
			slices.SortFunc(list, byName)
			r.before[at] = list
		}
	}
	r.applied = max(r.applied, seq)
	close(r.changed)
	r.changed = make(chan struct{})
}

// remove takes a hook out of the maps. The lock is held.
func (r *remotes) remove(key string) {
	old, ok := r.all[key]
	if !ok {
		return
	}
	delete(r.all, key)
	at := beforeKey(old.Tenant, old.Type, old.verb)
	list := slices.DeleteFunc(slices.Clone(r.before[at]), func(o Remote) bool { return o.key() == key })
	if len(list) == 0 {
		delete(r.before, at)
	} else {
		r.before[at] = list
	}
}

func byName(a, b Remote) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Type, b.Type))
}

func beforeKey(tenant, typ, verb string) string { return tenant + "/" + typ + "." + verb }

// cares says whether a mutation has remote before hooks.
func (r *remotes) cares(tenant, typ, verb string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.before) > 0 && (len(r.before[beforeKey(tenant, typ, verb)]) > 0 || len(r.before[beforeKey(tenant, anyType, verb)]) > 0)
}

// of gives a mutation's before hooks in the order of their names.
func (r *remotes) of(tenant, typ, verb string) []Remote {
	r.mu.RLock()
	defer r.mu.RUnlock()
	list := slices.Concat(r.before[beforeKey(tenant, typ, verb)], r.before[beforeKey(tenant, anyType, verb)])
	slices.SortFunc(list, byName)
	return list
}

func (r *remotes) list(tenant string) (out []Remote) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, hook := range r.all {
		if hook.Tenant == tenant {
			out = append(out, hook)
		}
	}
	slices.SortFunc(out, func(a, b Remote) int { return strings.Compare(a.key(), b.key()) })
	return out
}

func (r *remotes) has(hook *Remote) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ok := r.all[hook.key()]
	return ok
}

// put stores a registration, unless it stands already, and waits until this
// process knows it.
func (r *remotes) put(ctx context.Context, hook Remote) error {
	r.mu.RLock()
	old, ok := r.all[hook.key()]
	r.mu.RUnlock()
	if ok && old.Missing == hook.Missing && old.Deadline == hook.Deadline {
		return nil
	}
	raw, err := json.Marshal(hook)
	if err != nil {
		return err
	}
	return r.publish(ctx, hook, raw)
}

// gone ends a registration.
func (r *remotes) gone(ctx context.Context, hook Remote) error { return r.publish(ctx, hook, nil) }

func (r *remotes) publish(ctx context.Context, hook Remote, raw []byte) error {
	ack, err := r.s.cfg.JetStream.Publish(ctx, r.prefix()+hook.key(), raw)
	if err == nil {
		err = r.reach(ctx, ack.Sequence)
	}
	if err != nil {
		return unavailable(err, "the graph's log did not confirm the hook; try again")
	}
	return nil
}

// reach waits until this process knows what the state stream holds at seq.
func (r *remotes) reach(ctx context.Context, seq uint64) error {
	for {
		r.mu.RLock()
		at, changed := r.applied, r.changed
		r.mu.RUnlock()
		if at >= seq {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-r.s.ctx.Done():
			return errClosed
		}
	}
}

// drop ends the registration of a client that has gone, here at once and
// elsewhere in passing: one that is not told finds nobody there and drops it too.
func (r *remotes) drop(hook Remote) {
	r.mu.Lock()
	r.remove(hook.key())
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.s.ctx), answerWait)
	defer cancel()
	subject := r.prefix() + hook.key()
	_, err := r.s.cfg.JetStream.Publish(ctx, subject, nil)
	if err == nil {
		err = r.s.state.Purge(ctx, jetstream.WithPurgeSubject(subject)) // nothing is left to read
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		r.s.cfg.Logger.Warn("graph.remote_hook", slog.String("hook", hook.Path()), slog.Any("error", err))
	}
}

// dropPause is how long a passing hook that nobody runs is left alone: its
// client may be about to be listened to.
const dropPause = 2 * time.Second
