package lifecycle

import (
	"context"
	"sync"
	"time"

	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
)

// reached is a position that others wait for.
type reached struct {
	mu     sync.Mutex
	seq    uint64
	follow bool
	moved  chan struct{}
}

func (r *reached) at() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seq
}

func (r *reached) move(seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq = seq
	r.wakeAll()
}

func (r *reached) running(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.follow = on
	r.wakeAll()
}

func (r *reached) wakeAll() {
	if r.moved != nil {
		close(r.moved)
		r.moved = nil
	}
}

// wait blocks until the position is reached, ctx ends, or nobody moves it.
func (r *reached) wait(ctx context.Context, seq uint64) {
	for {
		r.mu.Lock()
		if r.seq >= seq || !r.follow {
			r.mu.Unlock()
			return
		}
		if r.moved == nil {
			r.moved = make(chan struct{})
		}
		moved := r.moved
		r.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return
		}
	}
}

// settleFor bounds how long a mutation of an integration waits until it has
// taken effect in this process.
const settleFor = 10 * time.Second

// settled has a mutation of an integration return only once it is in effect
// here: whoever has connected can rely on it.
func (c *Connections) settled(ctx context.Context, e *graph.Event) {
	if connectors.IsOwn(ctx) {
		return
	}
	c.made(e.ID)
	ctx, cancel := context.WithTimeout(ctx, settleFor)
	defer cancel()
	c.seen.wait(ctx, e.Seq)
}
