package control

import (
	"context"
	"sync"
)

// maxSessions bounds the streams that one key has open.
const maxSessions = 100

// sessions are the requests that go on for as long as they are wanted. They end
// with the value of the key that opened them, and with the gateway.
type sessions struct {
	mu   sync.Mutex
	keys map[string]map[*session]bool
}

type session struct {
	end   context.CancelFunc
	works func() bool // whether the value that opened it still does
}

// begin opens a session of a key; false when it has too many.
func (s *sessions) begin(ctx context.Context, key string, works func() bool, ended <-chan struct{}) (context.Context, *session, bool) {
	ctx, cancel := context.WithCancel(ctx)
	one := &session{end: cancel, works: works}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.keys[key]) >= maxSessions {
		cancel()
		return nil, nil, false
	}
	if s.keys == nil {
		s.keys = map[string]map[*session]bool{}
	}
	if s.keys[key] == nil {
		s.keys[key] = map[*session]bool{}
	}
	s.keys[key][one] = true
	if ended != nil {
		go func() {
			select {
			case <-ended:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	return ctx, one, true
}

func (s *sessions) close(key string, one *session) {
	one.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.keys[key], one); len(s.keys[key]) == 0 {
		delete(s.keys, key)
	}
}

// revoke ends the sessions of a key whose value has stopped.
func (s *sessions) revoke(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for one := range s.keys[key] {
		if !one.works() {
			one.end()
		}
	}
}

// session opens a stream's session, or answers why it cannot be.
func (p *Plane) session(c call) (ctx context.Context, end func(), ok bool) {
	value := bearer(c.r)
	works := func() bool {
		_, ok := p.cfg.Store.Authenticate(value)
		return ok
	}
	ctx, one, ok := p.sessions.begin(c.r.Context(), c.key.ID, works, p.cfg.Ended)
	if !ok {
		c.w.Header().Set("Retry-After", "5")
		writeError(c.w, 429, "rate_limited", "", "this key has a hundred streams open; close some")
		return nil, nil, false
	}
	if !works() { // it stopped before the session could be told
		one.end()
	}
	return ctx, func() { p.sessions.close(c.key.ID, one) }, true
}
