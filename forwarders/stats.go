package forwarders

import (
	"sync"
	"time"
)

// Key names a lane.
type Key struct{ Tenant, Destination string }

// Stat counts one lane's events. At every moment Accepted + Carried =
// Delivered + Skipped + Pending + Parked + Dead + Unknown + Removed.
type Stat struct {
	// Accepted counts events of this run that had this destination to go to;
	// Carried those that lay parked when the run began.
	Accepted int64 `json:"accepted"`
	Carried  int64 `json:"carried"`

	Delivered int64 `json:"delivered"`
	Skipped   int64 `json:"skipped"`
	// Pending are in memory, Parked wait on disk for their next try, Dead are
	// refused for good, Unknown may have arrived; the last three are what lies
	// on disk now.
	Pending int64 `json:"pending"`
	Parked  int64 `json:"parked"`
	Dead    int64 `json:"dead"`
	Unknown int64 `json:"unknown"`
	// Removed were taken from the parked ones by hand or by policy.
	Removed int64 `json:"removed"`

	// SkippedBy splits Skipped by reason: consent, bot, rule, sample,
	// unmapped, integration.
	SkippedBy map[string]int64 `json:"skippedBy,omitempty"`
	// Attempts counts items sent, Retries those sent again.
	Attempts int64 `json:"attempts"`
	Retries  int64 `json:"retries"`
	// Breaker is "closed", "open" or "half-open"; Until is when it is tried.
	Breaker string    `json:"breaker"`
	Until   time.Time `json:"until,omitzero"`
	// LastError is the newest reason for which something was not delivered.
	LastError string `json:"lastError,omitempty"`
}

// place is where an event counts at a moment.
type place int

const (
	pending place = iota
	delivered
	skipped
	parked
	dead
	unknown
	removed
)

// counters holds one lane's Stat; every step moves an event from one place to
// another under the lock, so the sum is right whenever it is read.
type counters struct {
	mu sync.Mutex
	s  Stat
}

func (c *counters) at(p place) *int64 {
	switch p {
	case pending:
		return &c.s.Pending
	case delivered:
		return &c.s.Delivered
	case skipped:
		return &c.s.Skipped
	case parked:
		return &c.s.Parked
	case dead:
		return &c.s.Dead
	case unknown:
		return &c.s.Unknown
	default:
		return &c.s.Removed
	}
}

// accept counts an event in at a place.
func (c *counters) accept(p place, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.s.Accepted += n
	*c.at(p) += n
}

// withdraw takes back an event that was accepted and found no lane.
func (c *counters) withdraw() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.s.Accepted--
	c.s.Pending--
}

func (c *counters) skip(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.s.Accepted++
	c.s.Skipped++
	c.reason(reason)
}

func (c *counters) reason(reason string) {
	if c.s.SkippedBy == nil {
		c.s.SkippedBy = map[string]int64{}
	}
	c.s.SkippedBy[reason]++
}

func (c *counters) move(from, to place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*c.at(from)--
	*c.at(to)++
}

func (c *counters) attempted(n, again int64, lastError string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.s.Attempts += n
	c.s.Retries += again
	if lastError != "" {
		c.s.LastError = lastError
	}
}

func (c *counters) snapshot() Stat {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.s
	if s.SkippedBy != nil {
		s.SkippedBy = make(map[string]int64, len(c.s.SkippedBy))
		for k, v := range c.s.SkippedBy {
			s.SkippedBy[k] = v
		}
	}
	return s
}
