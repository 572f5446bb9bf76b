package housekeeping

import (
	"context"
	"time"

	"github.com/headlessly/headlessly"
)

const (
	// lookEvery is how often housekeeping looks at the door.
	lookEvery = time.Second
	// putOffAtMost is how long a crowd may put housekeeping off: small files make
	// queries slow, and a crowd that stays is no crowd but the load there is.
	putOffAtMost = 15 * time.Minute
)

// Run does work, which goes on until its context ends, while it is not crowded.
// It blocks until ctx ends and the work has.
func Run(ctx context.Context, crowded func() bool, work func(ctx context.Context)) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	keeper{crowded, work}.follow(ctx, tick.C, headlessly.SystemClock)
}

type keeper struct {
	crowded func() bool
	work    func(ctx context.Context)
}

// follow looks at each tick whether the work may go on.
func (h keeper) follow(ctx context.Context, tick <-chan time.Time, clock headlessly.Clock) {
	var since time.Time // crowded; zero while it is calm
	stop := h.begin(ctx)
	for {
		select {
		case <-ctx.Done():
			if stop != nil {
				stop()
			}
			return
		case <-tick:
		}
		if !h.crowded() {
			since = time.Time{}
		} else if since.IsZero() {
			since = clock()
		}
		wait := !since.IsZero() && clock().Sub(since) < putOffAtMost
		switch {
		case wait && stop != nil:
			stop()
			stop = nil
		case !wait && stop == nil:
			stop = h.begin(ctx)
		}
	}
}

// begin starts the work; stop ends it and waits for that.
func (h keeper) begin(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.work(ctx)
	}()
	return func() { cancel(); <-done }
}
