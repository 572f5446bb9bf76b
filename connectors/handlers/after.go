package handlers

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/headlessly/headlessly/connectors/graph"
)

// subscribed is an after handler that is run.
type subscribed struct {
	handler
	tenant string
	stop   func()
}

// cursor is the name of a handler's cursor.
func (s *subscribed) cursor() string { return "handler_" + s.tenant + "_" + s.id }

// Run runs the after handlers until ctx ends: those that are stored now, and
// those that come.
func (h *Handlers) Run(ctx context.Context) error {
	running := map[string]*subscribed{} // by handler id
	defer func() {
		for _, s := range running {
			s.stop()
		}
	}()
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	seen, first := uint64(0), true
	for {
		if at := h.cfg.Store.LastOf(typ); first || at != seen {
			if h.reconcile(ctx, running) {
				seen, first = at, false
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// reconcile starts the handlers that are not run and stops those that should
// not be. It is false when something is left to be tried again.
func (h *Handlers) reconcile(ctx context.Context, running map[string]*subscribed) (done bool) {
	done = true
	want := map[string]*subscribed{}
	unknown := map[string]bool{} // tenants whose handlers cannot be read: theirs go on as they are
	for _, tenant := range h.cfg.Tenants() {
		list, err := h.of(tenant) //nolint:contextcheck // the list is shared with other callers: reading it has a deadline of its own
		if err != nil {
			unknown[tenant], done = true, false
		}
		for _, s := range list {
			if s.Phase == graph.After {
				want[s.id] = &subscribed{handler: s, tenant: tenant}
			}
		}
	}
	for id, s := range running {
		w := want[id]
		if w != nil && w.Path() == s.Path() || unknown[s.tenant] {
			continue
		}
		s.stop()
		delete(running, id)
		if w == nil { // it begins anew when it comes back
			if err := h.cfg.Store.Forget(ctx, s.cursor()); err != nil {
				h.cfg.Logger.Warn("handlers.forget", slog.String("handler", id), slog.Any("error", err))
			}
		}
	}
	for id, s := range want {
		if running[id] != nil {
			continue
		}
		if err := h.subscribe(ctx, s); err != nil {
			h.cfg.Logger.Error("handlers.subscribe", slog.String("tenant", s.tenant), slog.String("handler", id), slog.Any("error", err))
			done = false
			continue
		}
		running[id] = s
	}
	return done
}

// subscribe runs a handler with the events from its last change on, or from
// its cursor. Its source is looked up for each event: a new version takes over
// without a pause.
func (h *Handlers) subscribe(ctx context.Context, s *subscribed) (err error) {
	s.stop, err = h.cfg.Store.Subscribe(ctx, graph.Subscription{
		Name: s.cursor(), Events: []string{s.EventPattern()}, Tenant: s.tenant, From: s.seq,
	}, func(ctx context.Context, e *graph.Happened) error {
		if e.Event.EntityType() == typ {
			return nil
		}
		now, err := h.find(s.tenant, s.id) //nolint:contextcheck // as above
		if err != nil || now == nil {
			return err // or it was deleted or disabled a moment ago
		}
		entity, err := e.Entity.MarshalJSON()
		if err != nil {
			return err
		}
		event, err := json.Marshal(e.Event)
		if err != nil {
			return err
		}
		_, err = h.run(ctx, now, e.Graph(), entity, event)
		return err
	})
	return err
}

func (h *Handlers) find(tenant, id string) (*handler, error) {
	list, err := h.of(tenant)
	for _, s := range list {
		if s.id == id {
			return &s, err
		}
	}
	return nil, err
}
