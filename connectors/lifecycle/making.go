package lifecycle

import (
	"time"

	"github.com/headlessly/headlessly/connectors/graph"
)

// making is a connect that makes an integration: until its event is stored,
// another of the same slug must not begin at the provider, for only one of them
// can be stored.
type making struct {
	event string // the id that its event will have
	until time.Time
}

// claim lets one connect at a time make an integration of this slug.
func (c *Connections) claim(d *graph.Draft, slug string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, key := c.cfg.Clock(), d.Tenant+"/"+slug
	if m, ok := c.making[key]; ok && m.event != d.EventID && now.Before(m.until) {
		message := "slug: another call is just connecting " + slug + "; nothing was changed by this one. Try again when that one has ended"
		return &graph.Error{Code: graph.CodeConflict, Type: integration, Field: "slug", RetryAfter: time.Second, Message: message}
	}
	c.making[key] = making{event: d.EventID, until: now.Add(2 * c.cfg.ConnectTimeout)}
	return nil
}

// made ends the claim of a connect, by its event's id.
func (c *Connections) made(event string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, m := range c.making {
		if m.event == event {
			delete(c.making, key)
		}
	}
}
