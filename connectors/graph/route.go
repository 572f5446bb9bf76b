package graph

import "context"

// RouteFunc may turn an operation into another of the same type before it
// begins: a connect without an id into one of the integration that is there.
type RouteFunc func(ctx context.Context, sc *Scope, op Op) (Op, error)

// Route sets what looks at operations of a verb first. There is one for a verb.
func (s *Store) Route(typ, verb string, f RouteFunc) error {
	t, err := s.types.Lookup(typ)
	if err != nil {
		return err
	}
	if _, err := t.FindVerb(verb); err != nil {
		return err
	}
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.route[typ+"."+verb] = f
	return nil
}

func (h *hooks) routeOf(typ, verb string) RouteFunc {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.route[typ+"."+verb]
}

// SettleFunc is told of an event of this process before its mutation returns.
type SettleFunc func(ctx context.Context, e *Event)

// Settle sets what a mutation of a type waits for once it is stored: that its
// effect shows in this process. There is one for a type; it must return soon.
func (s *Store) Settle(typ string, f SettleFunc) error {
	t, err := s.types.Lookup(typ)
	if err != nil {
		return err
	}
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.settle[t.Name] = f
	return nil
}

func (h *hooks) settleOf(typ string) SettleFunc {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.settle[typ]
}
