package e2e_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
)

// hooks is a receiver of webhooks that answers as it is told.
type hooks struct {
	mu     sync.Mutex
	status int
	bodies [][]byte
	heads  []http.Header
}

func (h *hooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bodies, h.heads = append(h.bodies, body), append(h.heads, r.Header.Clone())
	w.WriteHeader(h.status)
}

func (h *hooks) set(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = status
}

// count is how often an event came.
func (h *hooks) count(event string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, head := range h.heads {
		if head.Get("Webhook-Id") == event {
			n++
		}
	}
	return n
}

func (h *hooks) last() (body []byte, header http.Header) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := len(h.bodies) - 1; i >= 0; i-- {
		if strings.Contains(string(h.bodies[i]), `"Deal.`) {
			return h.bodies[i], h.heads[i]
		}
	}
	return nil, http.Header{}
}
