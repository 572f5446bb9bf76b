package forwarders

import "sync"

// Recent keeps the newest attempts in memory, for traces until they can be
// read from the deliveries table. Safe for concurrent use; its Add fits
// Config.Attempts.
type Recent struct {
	mu   sync.Mutex
	ring []Attempt
	next int
	full bool
}

// NewRecent makes room for n attempts; about 300 bytes each.
func NewRecent(n int) *Recent { return &Recent{ring: make([]Attempt, max(1, n))} }

// Add notes attempts, over the oldest ones when there is no room.
func (r *Recent) Add(list []Attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range list {
		r.ring[r.next] = a
		if r.next++; r.next == len(r.ring) {
			r.next, r.full = 0, true
		}
	}
}

// Of gives the attempts of one event, oldest first.
func (r *Recent) Of(tenant, messageID string) []Attempt {
	return r.find(func(a *Attempt) bool { return a.Tenant == tenant && a.MessageID == messageID }, len(r.ring))
}

// Newest gives at most n attempts of a tenant, and of one destination unless
// that is "", oldest first.
func (r *Recent) Newest(tenant, destination string, n int) []Attempt {
	return r.find(func(a *Attempt) bool {
		return a.Tenant == tenant && (destination == "" || a.Destination == destination)
	}, n)
}

func (r *Recent) find(fits func(*Attempt) bool, n int) []Attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	size := r.next
	if r.full {
		size = len(r.ring)
	}
	var out []Attempt
	for i := 1; i <= size && len(out) < n; i++ { // backwards from the newest
		if a := &r.ring[(r.next-i+len(r.ring))%len(r.ring)]; fits(a) {
			out = append(out, *a)
		}
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}
