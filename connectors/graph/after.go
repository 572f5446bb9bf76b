package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Happened is an event as an after hook sees it.
type Happened struct {
	Event *Event
	// Entity is the entity after the event; as it was last, for a deletion.
	Entity *Entity
	scope  *Scope
}

// Graph is the graph as the hook acts on it, in the event's tenant and by its
// actor: the $ of a hook. What it does names the event as its cause, and hooks
// that go on causing each other are stopped.
func (h *Happened) Graph() *Scope { return h.scope }

// Cause is what a client hands to [Scope.Because] when it acts inside the hook.
func (h *Happened) Cause() string { return h.scope.Cause() }

// AfterFunc is an after hook. It gets each event at least once, and those of
// one entity in order. An error has it called again later; after
// Config.HookAttempts the event is parked and the next one comes.
type AfterFunc func(ctx context.Context, h *Happened) error

// Subscription is what an after hook wants.
type Subscription struct {
	// Name is under which its cursor is kept, for good: letters, digits,
	// hyphens and underscores. One process at a time runs a name. The first
	// time, it starts with events from then on.
	Name   string
	Events []string // patterns, as in [Match]
	Tenant string   // "" for every tenant
	// From is where a name that is run for the first time starts: behind this
	// sequence. 0 is now.
	From uint64
	// Parked, when set, is told of each event that is parked.
	Parked func(Parked)
}

// After registers an after hook by a type and its name, such as "connected".
func (s *Store) After(ctx context.Context, name, typ, hook string, f AfterFunc) (remove func(), err error) {
	t, err := s.types.Lookup(typ)
	if err != nil {
		return nil, err
	}
	phase, event, err := t.HookName(hook)
	if err == nil && phase != After {
		err = invalid(typ, "", "%s is a before hook; an after hook is a verb's past", hook)
	}
	if err != nil {
		return nil, err
	}
	return s.Subscribe(ctx, Subscription{Name: name, Events: []string{t.Name + "." + event}}, f)
}

// Subscribe runs f with events until remove is called or the graph is closed.
// When it returns, the cursor is stored: no event from now on is missed. remove
// waits until f is not running and must not be called from within it.
func (s *Store) Subscribe(ctx context.Context, sub Subscription, f AfterFunc) (remove func(), err error) { //nolint:contextcheck // it runs until the graph is closed, not until ctx ends
	if !readerName.MatchString(sub.Name) {
		return nil, invalid("", "name", "name: %q, want letters, digits, hyphens and underscores", sub.Name)
	}
	owner, err := s.ids.make("")
	if err != nil {
		return nil, err
	}
	now := sub.From
	if now == 0 {
		now = s.Position()
	}
	d := &durable{s: s, name: sub.Name, owner: owner}
	if err := d.begin(ctx, now); err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(s.ctx)
	done := make(chan struct{})
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		defer close(done)
		(&reader{durable: d, sub: sub, f: f}).run(run)
	}()
	return func() { stop(); <-done }, nil
}

// Forget removes a subscription's cursor and its parked events. Nobody may run
// it meanwhile.
func (s *Store) Forget(ctx context.Context, name string) error {
	if !readerName.MatchString(name) {
		return notFound("", "", "there is no hook %q", name)
	}
	return (&durable{s: s, name: name}).forget(ctx)
}

// reader runs one subscription.
type reader struct {
	*durable
	sub Subscription
	f   AfterFunc
}

// run works while the cursor is ours, and waits for it while it is not.
func (r *reader) run(ctx context.Context) {
	for ctx.Err() == nil {
		if r.acquire(ctx) != nil {
			return
		}
		err := r.lead(ctx)
		if !errors.Is(err, errNotOwner) {
			r.release(ctx)
		}
		if err != nil && ctx.Err() == nil {
			r.s.cfg.Logger.Warn("graph.hook", slog.String("hook", r.name), slog.Any("error", err))
			select {
			case <-ctx.Done():
			case <-time.After(r.s.cfg.LeaseFor / 8):
			}
		}
	}
}

// lead handles pages of events and moves the cursor behind each.
func (r *reader) lead(ctx context.Context) error {
	for ctx.Err() == nil {
		page, upTo, err := r.s.eventsAfter(ctx, r.sub.Tenant, r.at.Seq)
		if err != nil {
			return err
		}
		page = slices.DeleteFunc(page, func(e *Event) bool { return !Match(r.sub.Events, e.Name) })
		done := make([]atomic.Bool, len(page))
		if err := r.keeping(ctx, func(ctx context.Context) error { return r.handle(ctx, page, done) }); err != nil {
			return errors.Join(err, r.partly(ctx, page, done))
		}
		if len(page) > 0 || upTo >= r.at.Seq+followPage {
			if err := r.save(ctx, position{Seq: upTo, Owner: r.owner}); err != nil {
				return err
			}
		}
		if err := r.keeping(ctx, func(ctx context.Context) error { return r.s.news(ctx, upTo) }); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// partly moves the cursor behind what was handled of a page that was cut
// short, so that as little as possible comes again.
func (r *reader) partly(ctx context.Context, page []*Event, done []atomic.Bool) error {
	n := 0
	for n < len(page) && done[n].Load() {
		n++
	}
	if n == 0 {
		return nil
	}
	return r.save(ctx, position{Seq: page[n-1].Seq, Owner: r.owner})
}

// keeping runs f and keeps the lease alive meanwhile. When the lease is lost, f
// is cancelled.
func (r *reader) keeping(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	beat := time.NewTicker(max(r.s.cfg.LeaseFor/3, time.Millisecond))
	defer beat.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-beat.C:
			if err := r.save(ctx, r.at); err != nil {
				cancel()
				return errors.Join(err, <-done)
			}
		}
	}
}

// lanes is how many entities' events a hook gets at the same time.
const lanes = 4

// handle gives a page to the hook: events of one entity one after the other,
// of several entities at the same time, the oldest first: what is done of a page
// that is cut short is then as good as all at its beginning, where the cursor
// can follow. done says which it has taken. An error starts no more of them.
func (r *reader) handle(ctx context.Context, page []*Event, done []atomic.Bool) error {
	type outcome struct {
		at  int
		err error
	}
	waiting := make([]int, len(page))
	for i := range page {
		waiting[i] = i
	}
	busy := map[string]bool{} // entities
	entity := func(at int) string { return page[at].Tenant + "/" + page[at].Target }
	ended := make(chan outcome, lanes)
	var fault error
	for {
		for i := 0; i < len(waiting) && len(busy) < lanes && fault == nil; {
			at := waiting[i]
			if busy[entity(at)] {
				i++
				continue
			}
			busy[entity(at)] = true
			waiting = slices.Delete(waiting, i, i+1)
			go func() { ended <- outcome{at, r.deliver(ctx, page[at])} }()
		}
		if len(busy) == 0 {
			return fault
		}
		one := <-ended
		delete(busy, entity(one.at))
		done[one.at].Store(one.err == nil)
		fault = errors.Join(fault, one.err)
	}
}

// deliver calls the hook with one event until it takes it, or parks the event.
func (r *reader) deliver(ctx context.Context, e *Event) error {
	pause := r.s.cfg.HookPause
	for attempt := 1; ; attempt++ {
		err := r.call(ctx, e)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.s.cfg.Logger.Warn("graph.hook_failed", slog.String("hook", r.name), slog.String("event", e.ID), slog.Int("attempt", attempt), slog.Any("error", err))
		if attempt >= r.s.cfg.HookAttempts {
			return r.park(ctx, e, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, time.Minute)
		}
	}
}

// call runs the hook once. A panic counts as an error.
func (r *reader) call(ctx context.Context, e *Event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the hook panicked: %v", p)
		}
	}()
	h, err := r.s.Happened(ctx, e)
	if err != nil {
		return err
	}
	return r.f(ctx, h)
}

// Happened reads what an event left, for a follower that wants more than the
// event itself.
func (s *Store) Happened(ctx context.Context, e *Event) (*Happened, error) {
	sc, err := s.Scope(e.Tenant, e.Actor)
	if err != nil {
		return nil, err
	}
	p, release := s.view()
	defer release()
	t := s.types.byName[e.EntityType()]
	if t == nil { // of a types file that is gone
		t = &Type{Name: e.EntityType()}
	}
	st, err := s.stateAt(ctx, p, e.Tenant, t, e.Seq)
	if err != nil {
		return nil, err
	}
	return &Happened{Event: e, Entity: &st.Entity, scope: sc.because(e)}, nil
}

// Parked is an event that an after hook did not take.
type Parked struct {
	Hook     string `json:"hook"`
	Seq      uint64 `json:"seq"`
	Event    string `json:"event"` // its id
	Attempts int    `json:"attempts"`
	Error    string `json:"error"`
}

// park stores the event's place durably, so that the next one can come.
func (r *reader) park(ctx context.Context, e *Event, cause error) error {
	what := Parked{Hook: r.name, Seq: e.Seq, Event: e.ID, Attempts: r.s.cfg.HookAttempts, Error: cause.Error()}
	raw, err := json.Marshal(what)
	if err != nil {
		return err
	}
	if _, err := r.s.cfg.JetStream.Publish(ctx, r.parkedSubject(e.Seq), raw); err != nil {
		return fmt.Errorf("park event %s: %w", e.ID, err)
	}
	r.s.cfg.Logger.Error("graph.hook_parked", slog.String("hook", r.name), slog.String("event", e.ID))
	if r.sub.Parked != nil {
		r.sub.Parked(what)
	}
	return nil
}

// Parked lists the events that an after hook did not take, oldest first.
func (s *Store) Parked(ctx context.Context, hook string) ([]Parked, error) {
	if !readerName.MatchString(hook) {
		return nil, notFound("", "", "there is no hook %q", hook)
	}
	info, err := s.state.Info(ctx, jetstream.WithSubjectFilter(s.names.statePrefix+"parked."+hook+".*"))
	if err != nil {
		return nil, fmt.Errorf("parked events of %s: %w", hook, err)
	}
	var out []Parked
	for subject := range info.State.Subjects {
		m, err := s.state.GetLastMsgForSubject(ctx, subject)
		if err != nil {
			return nil, fmt.Errorf("parked events of %s: %w", hook, err)
		}
		var p Parked
		if err := json.Unmarshal(m.Data, &p); err != nil {
			return nil, fmt.Errorf("parked event %s: %w", strings.TrimPrefix(subject, s.names.statePrefix), err)
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b Parked) int { return int(a.Seq) - int(b.Seq) })
	return out, nil
}

// Through is the sequence behind which an after hook goes on: it has taken the
// events up to there, or they are parked. 0 when nobody knows the name.
func (s *Store) Through(ctx context.Context, hook string) (uint64, error) {
	if !readerName.MatchString(hook) {
		return 0, notFound("", "", "there is no hook %q", hook)
	}
	at, _, err := (&durable{s: s, name: hook}).load(ctx)
	return at.Seq, err
}
