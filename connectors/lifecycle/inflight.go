package lifecycle

import (
	"context"

	"github.com/headlessly/headlessly/connectors/graph"
)

// A mutation that was carried to the provider is on its way until its event is
// stored. What the provider tells of the entity meanwhile waits: it is the echo
// of the mutation, or is easier to put in order behind it.

func (c *Connections) departs(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flying[id] = c.cfg.Clock().Add(c.cfg.Grace)
}

func (c *Connections) arrives(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.flying, id)
}

// inFlight says whether a mutation of the entity is on its way.
func (c *Connections) inFlight(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	until, ok := c.flying[id]
	if ok && c.cfg.Clock().After(until) {
		delete(c.flying, id)
		return false
	}
	return ok
}

// landed is told of every stored event of a type that is carried out.
func (c *Connections) landed(_ context.Context, e *graph.Event) { c.arrives(e.Target) }
