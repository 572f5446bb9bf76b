package hooks

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/headlessly/headlessly/connectors/graph"
)

// hook is one registration of a session.
type hook struct {
	c        *session
	id       string
	remote   graph.Remote
	deadline time.Duration
	live     bool // an after hook without a name
	stop     func()
	ready    chan struct{} // closed once the client knows that the registration stands

	mu      sync.Mutex
	waiting map[uint64]chan error // after hooks: events that are out, by sequence
	tries   map[uint64]int
}

// Bounds of an after hook's deadline.
const (
	ackWithin    = 30 * time.Second
	minAckWithin = time.Second
	maxAckWithin = 10 * time.Minute
)

// Attempts at a live hook's event, and the waits between them.
const (
	liveAttempts = 8
	livePause    = 250 * time.Millisecond
	maxLivePause = time.Minute
)

func invalid(field, format string, args ...any) error {
	return &graph.Error{Code: graph.CodeValidation, Field: field, Message: field + ": " + fmt.Sprintf(format, args...)}
}

// register starts a hook and confirms it.
func (c *session) register(ctx context.Context, m incoming) error {
	h, err := c.newHook(m)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.hooks[h.id] = h // an ack may come at once
	c.mu.Unlock()
	begin, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	switch {
	case h.remote.Phase == graph.Before:
		err = h.serveBefore(ctx, begin)
	case h.live:
		h.serveLive(ctx)
	default:
		err = h.serveAfter(ctx, begin)
	}
	if err != nil {
		c.mu.Lock()
		delete(c.hooks, h.id)
		c.mu.Unlock()
		return err
	}
	defer close(h.ready)
	return c.send(ctx, registered{Type: "registered", ID: h.id, Hook: h.remote.Path(), Phase: h.remote.Phase, Name: m.Name, DeadlineMs: h.deadline.Milliseconds()})
}

// newHook checks a registration.
func (c *session) newHook(m incoming) (*hook, error) {
	if m.ID == "" || len(m.ID) > 64 {
		return nil, invalid("id", "want 1 to 64 characters")
	}
	c.mu.Lock()
	n, taken := len(c.hooks), c.hooks[m.ID] != nil
	c.mu.Unlock()
	switch {
	case taken:
		return nil, &graph.Error{Code: graph.CodeConflict, Field: "id", Message: "id: this connection has a registration of this id; unregister it first"}
	case n >= maxRegistrations:
		return nil, &graph.Error{Code: graph.CodeRateLimited, Message: fmt.Sprintf("a connection has at most %d hooks; use another one", maxRegistrations)}
	}
	r, err := c.s.cfg.Store.FindHook(c.tenant, m.Hook)
	if err != nil {
		return nil, err
	}
	if before := r.Phase == graph.Before; !c.caller.May(before, r.Type) {
		need := "read"
		if before { // it may change what others write
			need = "write"
		}
		return nil, &graph.Error{Code: graph.CodeForbidden, Field: "key", Message: "the key's scopes do not allow this hook; it needs " + need}
	}
	r.Name = m.Name
	h := &hook{c: c, id: m.ID, remote: r, deadline: time.Duration(m.DeadlineMs) * time.Millisecond, ready: make(chan struct{}), waiting: map[uint64]chan error{}, tries: map[uint64]int{}}
	if r.Phase == graph.Before {
		return h, h.checkBefore(m)
	}
	return h, h.checkAfter(m)
}

func (h *hook) checkBefore(m incoming) error {
	if m.DeadlineMs == 0 {
		h.deadline = 2 * time.Second
	}
	h.remote.Missing, h.remote.Deadline = graph.Missing(m.Missing), h.deadline
	if m.Name != "" {
		if m.Name[0] == '_' {
			return invalid("name", "names that start with _ are the server's")
		}
		return nil
	}
	if graph.Missing(m.Missing) == graph.MissingVeto {
		return invalid("name", `needed with "missing":"veto"`)
	}
	h.remote.Name = "_" + uuid.NewString()
	return nil
}

func (h *hook) checkAfter(m incoming) error {
	if m.DeadlineMs == 0 {
		h.deadline = ackWithin
	}
	switch {
	case m.Missing != "":
		return invalid("missing", "is for before hooks; %s is an after hook, whose events wait until it is back", h.remote.Path())
	case h.deadline < minAckWithin || h.deadline > maxAckWithin:
		return invalid("deadlineMs", "want %d to %d", minAckWithin.Milliseconds(), maxAckWithin.Milliseconds())
	case m.Name != "" && m.Name[0] == '_':
		return invalid("name", "names that start with _ are the server's")
	}
	h.live = m.Name == ""
	return nil
}

// serveBefore answers for the client until the hook stops.
func (h *hook) serveBefore(ctx, begin context.Context) (err error) {
	h.stop, err = h.c.s.cfg.Store.ServeBefore(begin, h.remote, func(call context.Context, b *graph.BeforeCall) graph.BeforeAnswer {
		call, cancel := context.WithCancel(call)
		defer cancel()
		defer context.AfterFunc(ctx, cancel)() // the connection's end ends its calls
		if !h.stands(call) {
			return graph.BeforeAnswer{Absent: true}
		}
		return h.c.call(call, h.id, b)
	})
	return err
}

// serveAfter hands events to the client from its cursor on.
func (h *hook) serveAfter(ctx, begin context.Context) error {
	parked := func(p graph.Parked) { h.gaveUp(ctx, p.Seq, p.Event, p.Error) }
	stop, err := h.c.s.cfg.Store.ServeAfter(begin, h.remote, graph.AfterOptions{Parked: parked}, h.deliver)
	h.stop = stop
	return err
}

// serveLive hands events from now on to the client.
func (h *hook) serveLive(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	h.stop = func() { cancel(); <-done }
	from := h.c.s.cfg.Store.Position()
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			from = h.follow(ctx, from)
		}
	}()
}

// follow hands events behind a sequence to the client until the log has a
// fault, and tells how far it came.
func (h *hook) follow(ctx context.Context, from uint64) uint64 {
	store := h.c.s.cfg.Store
	for e, err := range store.Follow(ctx, h.c.tenant, from) {
		if err != nil {
			pause(ctx, livePause)
			return from
		}
		if graph.Match([]string{h.remote.EventPattern()}, e.Name) {
			h.liveEvent(ctx, store, e)
		}
		from = e.Seq
	}
	pause(ctx, livePause)
	return from
}

// liveEvent tries to hand over one event, a few times.
func (h *hook) liveEvent(ctx context.Context, store *graph.Store, e *graph.Event) {
	wait := livePause
	for attempt := 1; ctx.Err() == nil; attempt++ {
		happened, err := store.Happened(ctx, e)
		if err == nil {
			err = h.deliver(ctx, happened)
		}
		if err == nil {
			return
		}
		if attempt == liveAttempts {
			h.gaveUp(ctx, e.Seq, e.ID, err.Error())
			return
		}
		pause(ctx, wait)
		wait = min(2*wait, maxLivePause)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// gaveUp tells the client about an event that it did not take.
func (h *hook) gaveUp(ctx context.Context, seq uint64, event, reason string) {
	h.mu.Lock()
	delete(h.tries, seq)
	h.mu.Unlock()
	_ = h.c.send(ctx, fault{Type: "error", ID: h.id, Error: &graph.Error{Code: "parked", Message: "event " + event + " was given up: " + reason}})
}

// stands waits until the client knows of its registration.
func (h *hook) stands(ctx context.Context) bool {
	select {
	case <-h.ready:
		return true
	case <-ctx.Done():
		return false
	}
}

var errNoAck = errors.New("no ack came in time")

// deliver hands one event to the client and waits until it has taken it.
func (h *hook) deliver(ctx context.Context, e *graph.Happened) error {
	if !h.stands(ctx) {
		return ctx.Err()
	}
	if !h.c.allowed() { //nolint:contextcheck // a farewell is sent even when ctx has ended
		<-ctx.Done() // the connection is about to end; it is no fault of the event
		return ctx.Err()
	}
	settled := make(chan error, 1)
	h.mu.Lock()
	h.waiting[e.Event.Seq] = settled
	h.tries[e.Event.Seq]++
	attempt := h.tries[e.Event.Seq]
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.waiting, e.Event.Seq)
	}()
	if err := h.c.send(ctx, after{Type: "after", ID: h.id, Seq: e.Event.Seq, Attempt: attempt, Cause: e.Cause(), Event: e.Event, Entity: e.Entity}); err != nil {
		<-ctx.Done() // the connection is gone; it is no fault of the event
		return ctx.Err()
	}
	late := time.NewTimer(h.deadline)
	defer late.Stop()
	select {
	case err := <-settled:
		if err == nil {
			h.mu.Lock()
			delete(h.tries, e.Event.Seq)
			h.mu.Unlock()
		}
		return err
	case <-late.C:
		return errNoAck
	case <-ctx.Done():
		return ctx.Err()
	}
}

// settled takes a client's ack or nack.
func (c *session) settled(m incoming) {
	c.mu.Lock()
	h := c.hooks[m.ID]
	c.mu.Unlock()
	if h == nil {
		return // unregistered meanwhile
	}
	h.mu.Lock()
	waiting := h.waiting[m.Seq]
	delete(h.waiting, m.Seq)
	h.mu.Unlock()
	if waiting == nil {
		return // too late: it comes again
	}
	var err error
	if m.Type == "nack" {
		if m.Error == "" {
			m.Error = "the client did not say why"
		}
		err = errors.New(short(m.Error))
	}
	waiting <- err // it has room for one
}

// unregister ends a hook and confirms it.
func (c *session) unregister(ctx context.Context, m incoming) error {
	c.mu.Lock()
	h := c.hooks[m.ID]
	delete(c.hooks, m.ID)
	c.mu.Unlock()
	if h == nil {
		return &graph.Error{Code: graph.CodeNotFound, Field: "id", Message: "id: this connection has no registration of this id"}
	}
	h.stop()
	if m.Forget && !h.live && h.remote.Name[0] != '_' {
		if err := c.s.cfg.Store.ForgetRemote(ctx, c.tenant, h.remote.Path(), h.remote.Name); err != nil {
			return err
		}
	}
	return c.send(ctx, unregistered{Type: "unregistered", ID: m.ID})
}

// stopAll ends every hook of the session.
func (c *session) stopAll() {
	c.mu.Lock()
	hooks := c.hooks
	c.hooks = map[string]*hook{}
	c.mu.Unlock()
	for _, h := range hooks {
		h.stop()
	}
}
