package replays

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/rules"
)

// Bounds of what is kept and what runs.
const (
	maxJobs    = 200 // of a tenant; those that ended first are forgotten
	maxRunning = 8
)

// Faults that a caller can mend.
var (
	ErrNotFound = errors.New("no such replay")
	ErrBusy     = errors.New("too many replays are running")
	ErrStopping = errors.New("the gateway is stopping")
	ErrRunning  = errors.New("the replay is running")
	ErrDone     = errors.New("the replay is done")
)

// Stream is what a source gives for a request.
type Stream struct {
	Events iter.Seq2[forwarders.Replayed, error]
	// Total is how many events there are, 0 where that is not known.
	Total int64
	// Share says how much is read at a place in the log, for a source that
	// gives events in its order and knows no Total. nil where Total is known.
	Share func(position int64) float64
}

// Source opens a stream of past events. after is the place in the log up to
// which an earlier part of the job has read, 0 for none: a source that gives
// events in the log's order may begin there.
type Source func(ctx context.Context, r Request, after int64) (Stream, error)

// Config is what Jobs needs.
type Config struct {
	Dir     string // one job is two files
	Replay  func(context.Context, iter.Seq2[forwarders.Replayed, error], forwarders.Replay) (forwarders.ReplayReport, error)
	Sources map[string]Source
	// Known says whether there is a destination of this name.
	Known  func(destination string) bool
	Clock  headlessly.Clock
	Logger *slog.Logger
}

// Jobs are the replays of a gateway. Safe for concurrent use.
type Jobs struct {
	cfg Config
	wg  sync.WaitGroup

	mu      sync.Mutex
	jobs    map[string]*entry
	ctx     context.Context // of Run, nil before
	running int
}

// entry is a job in memory. Jobs.mu guards it.
type entry struct {
	job  Job
	stop context.CancelFunc // nil while it does not run
	hand bool               // stopped by hand
}

// Open reads the jobs of earlier runs.
func Open(cfg Config) (*Jobs, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of replays: %w", err)
	}
	j := &Jobs{cfg: cfg, jobs: map[string]*entry{}}
	return j, j.load()
}

// Run takes jobs until ctx is done, those first that an earlier run left
// behind. Call it once, beside the router's Run.
func (j *Jobs) Run(ctx context.Context) error {
	j.mu.Lock()
	j.ctx = ctx
	for _, e := range j.jobs {
		if e.job.State == Running {
			j.launch(e) //nolint:contextcheck // with j.ctx, which is ctx
		}
	}
	j.mu.Unlock()
	<-ctx.Done()
	j.wg.Wait()
	return nil
}

// Check reports every fault of a request as a joined *headlessly.FieldError.
func (j *Jobs) Check(r Request) error {
	var errs []error
	fault := func(field, format string, args ...any) {
		errs = append(errs, &headlessly.FieldError{Code: "validation_failed", Field: field, Message: fmt.Sprintf(format, args...)})
	}
	if !j.cfg.Known(r.Destination) {
		fault("destination", "must be the name of a destination such as ga4, sentry, posthog or http, got %q", r.Destination)
	}
	if _, ok := j.cfg.Sources[r.From]; !ok {
		fault("from", "must be one of %q, got %q", slices.Sorted(maps.Keys(j.cfg.Sources)), r.From)
	}
	if !r.Since.IsZero() && !r.Until.IsZero() && !r.Since.Before(r.Until) {
		fault("until", "must be later than since")
	}
	if r.PerSecond < 0 {
		fault("perSecond", "must not be negative")
	}
	var when *headlessly.FieldError
	if err := rules.Validate(&headlessly.Rules{When: r.Filter}); errors.As(err, &when) {
		fault("filter", "%s", when.Message)
	}
	return errors.Join(errs...)
}

// Start begins a job.
func (j *Jobs) Start(r Request) (Job, error) {
	if err := j.Check(r); err != nil {
		return Job{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Job{}, fmt.Errorf("make id of replay: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.room(r); err != nil {
		return Job{}, err
	}
	j.prune(r.Tenant)
	e := &entry{job: Job{ID: id.String(), Request: r, CreatedAt: j.cfg.Clock().UTC(), State: Running}}
	if err := j.saveJob(e.job); err != nil {
		return Job{}, err
	}
	j.jobs[e.job.ID] = e
	j.launch(e)
	return e.job, nil
}

// room says why a job cannot run now. The lock is held.
func (j *Jobs) room(r Request) error {
	switch {
	case j.ctx == nil || j.ctx.Err() != nil:
		return ErrStopping
	case j.running >= maxRunning:
		return ErrBusy
	}
	for _, e := range j.jobs {
		if e.stop != nil && !e.job.DryRun && !r.DryRun && e.job.Tenant == r.Tenant && e.job.Destination == r.Destination {
			return forwarders.ErrReplaying
		}
	}
	return nil
}

// prune forgets a tenant's oldest jobs when there are too many. The lock is
// held.
func (j *Jobs) prune(tenant string) {
	var ended []*entry
	n := 0
	for _, e := range j.jobs {
		if e.job.Tenant != tenant {
			continue
		}
		n++
		if e.stop == nil && e.job.State != Running {
			ended = append(ended, e)
		}
	}
	slices.SortFunc(ended, func(a, b *entry) int { return a.job.CreatedAt.Compare(b.job.CreatedAt) })
	for _, e := range ended[:max(0, min(len(ended), n+1-maxJobs))] {
		delete(j.jobs, e.job.ID)
		j.forget(e.job.ID)
	}
}

// Get gives one job of a tenant.
func (j *Jobs) Get(tenant, id string) (Job, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := j.jobs[id]
	if e == nil || e.job.Tenant != tenant {
		return Job{}, ErrNotFound
	}
	return e.job, nil
}

// List gives a tenant's jobs, newest first.
func (j *Jobs) List(tenant string) []Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	list := []Job{}
	for _, e := range j.jobs {
		if e.job.Tenant == tenant {
			list = append(list, e.job)
		}
	}
	slices.SortFunc(list, func(a, b Job) int { return cmp.Compare(b.ID, a.ID) })
	return list
}

// Stop ends a job; Resume lets it go on where it was. It returns at once: the
// job is "running" until what is under way is done.
func (j *Jobs) Stop(tenant, id string) (Job, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := j.jobs[id]
	switch {
	case e == nil || e.job.Tenant != tenant:
		return Job{}, ErrNotFound
	case e.stop != nil:
		e.hand = true
		e.stop()
	}
	return e.job, nil
}

// Resume goes on with a job that was stopped or failed.
func (j *Jobs) Resume(tenant, id string) (Job, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := j.jobs[id]
	switch {
	case e == nil || e.job.Tenant != tenant:
		return Job{}, ErrNotFound
	case e.stop != nil || e.job.State == Running:
		return e.job, ErrRunning
	case e.job.State == Done:
		return e.job, ErrDone
	}
	if err := j.room(e.job.Request); err != nil {
		return e.job, err
	}
	was := e.job
	e.job.State, e.job.Error, e.job.EndedAt = Running, "", time.Time{}
	if err := j.saveJob(e.job); err != nil {
		e.job = was
		return was, err
	}
	j.launch(e)
	return e.job, nil
}

// launch runs a job in the background. The lock is held.
func (j *Jobs) launch(e *entry) {
	ctx, cancel := context.WithCancel(j.ctx)
	e.stop, e.hand = cancel, false
	j.running++
	j.wg.Go(func() {
		defer cancel()
		j.work(ctx, e)
	})
}
