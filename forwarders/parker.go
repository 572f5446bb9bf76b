package forwarders

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/headlessly/headlessly"
)

// parkBatch is how many items one call to the parked store holds at most.
const parkBatch = 512

// maxParking is how many items may wait for the disk before the reader waits
// for it too: then the disk, not a destination, is what is slow.
const maxParking = 8192

// finish is a job's way out of memory.
type finish struct {
	lane     *lane
	job      *job
	to       place
	reason   string
	status   int
	notUntil time.Time
	refused  bool // a replayed event that its destination did not want
}

// parker writes to the parked store, many items at a time, so that no lane and
// no reader waits for its own fsync.
type parker struct {
	r    *Router
	mu   sync.Mutex
	cond *sync.Cond
	list []finish
	stop bool
}

func newParker(r *Router) *parker {
	p := &parker{r: r}
	p.cond = sync.NewCond(&p.mu)
	return p
}

func (p *parker) put(f finish) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, f)
	p.cond.Broadcast()
}

// wait blocks while the disk is far behind, until ctx is done: a disk that takes
// nothing more must not keep the router from its end.
func (p *parker) wait(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.list) <= maxParking {
		return
	}
	defer context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.cond.Broadcast()
	})()
	for len(p.list) > maxParking && !p.stop && ctx.Err() == nil {
		p.cond.Wait()
	}
}

// run writes until close is called and everything is written, or ctx is done.
func (p *parker) run(ctx context.Context) {
	for {
		p.mu.Lock()
		for len(p.list) == 0 && !p.stop {
			p.cond.Wait()
		}
		if len(p.list) == 0 {
			p.mu.Unlock()
			return
		}
		n := min(len(p.list), parkBatch)
		batch := p.list[:n:n]
		p.list = p.list[n:]
		p.cond.Broadcast()
		p.mu.Unlock()
		if !p.write(ctx, batch) {
			return
		}
	}
}

func (p *parker) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop = true
	p.cond.Broadcast()
}

// write makes a batch durable, trying until it is or ctx is done.
func (p *parker) write(ctx context.Context, batch []finish) bool {
	var items []headlessly.ParkedItem
	var gone []uint64
	now := p.r.cfg.Clock()
	for _, f := range batch {
		if f.to == parked || f.to == dead || f.to == unknown {
			items = append(items, item(f, now))
		}
		if f.job.parkedID != 0 {
			gone = append(gone, f.job.parkedID)
		}
	}
	if len(items) > 0 {
		p.r.point(PointBeforePark)
		if !p.try(ctx, "park", func() error { return p.r.cfg.Parked.Park(ctx, items...) }) {
			return false
		}
		p.r.point(PointAfterPark)
	}
	if len(gone) > 0 && !p.try(ctx, "remove parked", func() error { return p.r.cfg.Parked.Remove(ctx, gone...) }) {
		return false
	}
	for _, f := range batch {
		p.r.left(f)
	}
	return true
}

func (p *parker) try(ctx context.Context, what string, do func() error) bool {
	for n := 0; ; n++ {
		err := do()
		if err == nil {
			return true
		}
		p.r.cfg.Logger.LogAttrs(ctx, slog.LevelError, "parked.failed", slog.String("what", what), slog.Any("error", err))
		select {
		case <-ctx.Done():
			return false
		case <-time.After(backoff(100*time.Millisecond, 10*time.Second, n, p.r.cfg.Rand)):
		}
	}
}

func item(f finish, now time.Time) headlessly.ParkedItem {
	at := f.job.parkedAt
	if at.IsZero() {
		at = now
	}
	data, _ := f.job.event.MarshalBinary() // never fails
	return headlessly.ParkedItem{
		Tenant: f.lane.key.Tenant, Destination: f.lane.key.Destination,
		Dead: f.to == dead, Unknown: f.to == unknown, Reason: f.reason,
		Attempts: f.job.attempts, NotUntil: f.notUntil, ParkedAt: at,
		LogSeq: f.job.event.LogSeq, Event: data,
	}
}
