package collector

import (
	"context"
	"sync"
	"time"

	"github.com/headlessly/headlessly"
)

// deadlines gives contexts that end within a time. Requests that begin within
// an eighth of it share one: a timer and a context of its own cost a request as
// much as its deduplication.
type deadlines struct {
	after time.Duration

	mu    sync.Mutex
	ctx   context.Context //nolint:containedctx // lent to many requests
	end   context.CancelFunc
	until time.Time // when another is made
}

// get gives a context that ends after seven eighths of the time to all of it.
func (d *deadlines) get() context.Context {
	now := headlessly.SystemClock() // a context's end is real time
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx == nil || !now.Before(d.until) {
		d.ctx, d.end = context.WithDeadline(context.Background(), now.Add(d.after)) //nolint:gosec // whoever has the former one keeps it, and it ends by itself
		d.until = now.Add(d.after / 8)
	}
	return d.ctx
}
