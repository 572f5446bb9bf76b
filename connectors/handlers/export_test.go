package handlers

import (
	"context"
	"sync/atomic"
)

// FailReading lets reading which handlers there are fail with err, or work
// again with nil. What was read is forgotten. times tells how often it failed.
func (h *Handlers) FailReading(err error) (times func() int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.cache)
	var n atomic.Int64
	if h.read = h.load; err != nil {
		h.read = func(context.Context, string) ([]handler, error) { n.Add(1); return nil, err }
	}
	return n.Load
}
