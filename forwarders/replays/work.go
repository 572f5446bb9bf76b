package replays

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/headlessly/headlessly/forwarders"
)

const (
	saveEvery = time.Second
	// routerPoll is how often a job looks whether the router runs yet.
	routerPoll = 100 * time.Millisecond
)

// part is one run of a job, from a start or resumption to the next end.
type part struct {
	base forwarders.ReplayReport // of the parts before
	mu   sync.Mutex
	done *roaring64.Bitmap
	// report counts what of done is of this part: both are saved as they were
	// at one moment, so that a kill costs neither.
	report forwarders.ReplayReport
}

// work runs a job to its end and says how it ended.
func (j *Jobs) work(ctx context.Context, e *entry) {
	err := j.replay(ctx, e)
	j.mu.Lock()
	defer j.mu.Unlock()
	e.stop = nil
	j.running--
	switch {
	case err == nil:
		e.job.State, e.job.Share = Done, 1
	case e.hand:
		e.job.State = Stopped
	case j.ctx.Err() != nil: // the gateway stops: it goes on at the next start
	default:
		e.job.State, e.job.Error = Failed, err.Error()
	}
	if e.job.State != Running {
		e.job.EndedAt = j.cfg.Clock().UTC()
	}
	if err := j.saveJob(e.job); err != nil {
		j.saveFailed(e.job.ID, err)
	}
}

func (j *Jobs) saveFailed(id string, err error) {
	j.cfg.Logger.Error("replay.save", slog.String("id", id), slog.Any("error", err))
}

// replay sends what is left of a job.
func (j *Jobs) replay(ctx context.Context, e *entry) error {
	j.mu.Lock()
	job := e.job
	j.mu.Unlock()
	done, _, err := j.readDone(job.ID)
	if err != nil {
		return err
	}
	p := &part{base: job.Report, done: done}
	stream, err := j.cfg.Sources[job.From](ctx, job.Request, job.Report.Position)
	if err != nil {
		return err
	}
	if stream.Total > 0 {
		j.mu.Lock()
		e.job.Total = stream.Total
		j.mu.Unlock()
	}
	saved := make(chan struct{})
	saving, stop := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(saved)
		j.saveNow(saving, job.ID, p)
	}()
	defer func() {
		stop()
		<-saved
	}()
	for {
		_, err = j.cfg.Replay(ctx, p.left(stream.Events), forwarders.Replay{
			Tenant: job.Tenant, Destination: job.Destination, Since: job.Since, Until: job.Until, When: job.Filter,
			PerSecond: job.PerSecond, DryRun: job.DryRun,
			Progress: func(r forwarders.ReplayReport) { j.progress(e, p, stream, r) },
			Settled:  p.settled,
		})
		if !errors.Is(err, forwarders.ErrNotRunning) || !wait(ctx, routerPoll) {
			return err
		}
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// saveNow saves how far a running job is until ctx is done, and a last time.
func (j *Jobs) saveNow(ctx context.Context, id string, p *part) {
	for more := true; more; {
		more = wait(ctx, saveEvery)
		p.mu.Lock()
		done, report := p.done.Clone(), plus(p.base, p.report)
		p.mu.Unlock()
		if err := j.saveDone(id, done, report); err != nil {
			j.saveFailed(id, err)
		}
	}
}

// progress takes over how far the job is.
func (j *Jobs) progress(e *entry, p *part, s Stream, r forwarders.ReplayReport) {
	sum := plus(p.base, r)
	j.mu.Lock()
	defer j.mu.Unlock()
	e.job.Report = sum
	switch {
	case s.Share != nil:
		e.job.Share = s.Share(sum.Position)
	case e.job.Total > 0:
		e.job.Share = min(1, float64(sum.Read)/float64(e.job.Total))
	}
}

func (p *part) settled(seq int64, r forwarders.ReplayReport) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done.Add(uint64(seq)) //nolint:gosec // a place in the log is never negative
	p.report = r
}

// left passes on what is not done yet.
func (p *part) left(events iter.Seq2[forwarders.Replayed, error]) iter.Seq2[forwarders.Replayed, error] {
	return func(yield func(forwarders.Replayed, error) bool) {
		for it, err := range events {
			if err == nil && it.Event != nil {
				p.mu.Lock()
				done := it.Event.LogSeq > 0 && p.done.Contains(uint64(it.Event.LogSeq)) //nolint:gosec // as above
				p.mu.Unlock()
				if done {
					continue
				}
			}
			if !yield(it, err) {
				return
			}
		}
	}
}
