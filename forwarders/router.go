package forwarders

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headlessly/headlessly"
)

// Router hands the log's events to destinations. Make it with [NewRouter].
type Router struct {
	cfg      Config
	budget   budget
	slots    *slots
	parker   *parker
	recorder *Recorder
	frames   *frames
	work     context.Context // of requests; outlives Run's by the grace period
	calls    sync.WaitGroup

	mu    sync.RWMutex
	lanes map[Key]*lane
	count map[Key]*counters

	retry *schedule
	life

	lost    atomic.Int64 // frames missing or unreadable in the log
	bad     atomic.Int64 // records that are no events
	reading atomic.Uint64
	started atomic.Pointer[frames]
	stall   time.Duration // waited for lanes since the router was last up to date
}

// NewRouter checks the configuration and fills in the defaults.
func NewRouter(cfg Config) (*Router, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("router: %w", err)
	}
	cfg.fill()
	r := &Router{
		cfg:    cfg,
		budget: budget{maxItems: int64(cfg.QueueItems), maxBytes: cfg.QueueBytes},
		slots:  newSlots(cfg.Requests, cfg.SuspectRequests),
		lanes:  map[Key]*lane{},
		count:  map[Key]*counters{},
		work:   context.Background(),
	}
	r.over = make(chan struct{})
	r.parker = newParker(r)
	r.recorder = newRecorder(&r.cfg)
	r.retry = newSchedule(r)
	return r, nil
}

// Run reads and delivers until ctx is done. Then it waits for the requests
// under way (at most Config.Grace), parks what has not been sent, commits the
// cursor and returns nil. Call it once. It returns an error only if the log's
// cursor or the parked store cannot be read at the start.
func (r *Router) Run(ctx context.Context) error {
	done, err := r.cfg.Log.Committed(ctx, r.cfg.Reader)
	if err != nil {
		return fmt.Errorf("read cursor %s: %w", r.cfg.Reader, err)
	}
	if err := r.carry(ctx); err != nil {
		return err
	}
	r.frames = newFrames(done)
	r.started.Store(r.frames)
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	r.work = work
	// What requests leave behind that the stop cuts off must still reach the disk.
	keep, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	r.running.Store(true)
	defer close(r.over)
	defer r.running.Store(false)

	var parts, disk, commits sync.WaitGroup
	disk.Go(func() { r.parker.run(keep) })
	stop := make(chan struct{})
	commits.Go(func() { r.commit(keep, stop, done) })
	commits.Go(func() { r.recorder.Run(keep, stop) })
	parts.Go(func() { r.read(ctx, done+1) })
	parts.Go(func() { r.sweep(ctx) })
	parts.Go(func() { r.retry.run(ctx) })
	parts.Go(func() { r.retain(ctx) })
	<-ctx.Done()
	r.running.Store(false)
	parts.Wait()

	now := r.cfg.Clock()
	for _, l := range r.all() {
		l.stop(now)
		l.report(now, true) //nolint:contextcheck // a report outlives ctx: it has the router's own context
	}
	grace := time.AfterFunc(r.cfg.Grace, cancel)
	r.calls.Wait()
	grace.Stop()
	grace = time.AfterFunc(r.cfg.Grace, giveUp) // the disk gets as long again
	r.parker.close()
	disk.Wait()
	close(stop)
	commits.Wait()
	grace.Stop()
	return nil
}

// carry counts what an earlier run has parked.
func (r *Router) carry(ctx context.Context) error {
	counts, err := r.cfg.Parked.Count(ctx)
	if err != nil {
		return fmt.Errorf("count parked items: %w", err)
	}
	for k, n := range counts {
		key := Key{k.Tenant, k.Destination}
		c := r.counters(key)
		c.mu.Lock()
		c.s.Carried += n
		switch {
		case k.Dead:
			c.s.Dead += n
		case k.Unknown:
			c.s.Unknown += n
		default:
			c.s.Parked += n
		}
		c.mu.Unlock()
		if !k.Dead && !k.Unknown && n > 0 {
			r.retry.parked(key, r.retry.started)
		}
	}
	return nil
}

// read feeds the lanes from the log.
func (r *Router) read(ctx context.Context, from uint64) {
	for n := 0; ctx.Err() == nil; n++ {
		for f, err := range r.cfg.Log.Read(ctx, from) {
			var gap *headlessly.GapError
			var corrupt *headlessly.CorruptError
			switch {
			case err == nil:
				n = 0
				r.frame(ctx, f)
				from = f.Seq + 1
			case errors.As(err, &gap):
				r.lost.Add(int64(gap.To - gap.From + 1)) //nolint:gosec // a count of frames
				r.cfg.Logger.LogAttrs(ctx, slog.LevelError, "router.gap", slog.Uint64("from", gap.From), slog.Uint64("to", gap.To))
			case errors.As(err, &corrupt):
				r.lost.Add(1)
				r.cfg.Logger.LogAttrs(ctx, slog.LevelError, "router.corrupt", slog.Uint64("seq", corrupt.Seq), slog.Any("error", corrupt.Err))
			case ctx.Err() == nil:
				r.cfg.Logger.LogAttrs(ctx, slog.LevelError, "router.read", slog.Uint64("from", from), slog.Any("error", err))
			}
			if ctx.Err() != nil {
				return
			}
		}
		sleep(ctx, backoff(10*time.Millisecond, 5*time.Second, n, r.cfg.Rand))
	}
}

// group is the part of a frame that one lane gets.
type group struct {
	lane *lane
	jobs []*job
}

// frame hands one frame's events over. Jobs carry the frame, which is finished
// with the last of them.
func (r *Router) frame(ctx context.Context, f headlessly.Frame) {
	fr := r.frames.begin(f.Seq)
	var groups []group
	for i := range f.Records {
		rec := &f.Records[i]
		if rec.Kind != headlessly.RecordEvent {
			continue
		}
		// Most events of a large installation go nowhere: look before decoding.
		if tenant := headlessly.EventTenant(rec.Data); tenant != "" {
			if _, version := r.cfg.Destinations.Destinations(tenant); version == 0 {
				continue
			}
		}
		e := new(headlessly.Event)
		if err := e.UnmarshalBinary(rec.Data); err != nil {
			r.bad.Add(1)
			continue
		}
		e.LogSeq = headlessly.LogSeq(f.Seq, i)
		groups = r.plan(groups, e, int64(len(rec.Data)), fr)
	}
	n := 0
	for _, g := range groups {
		n += len(g.jobs)
	}
	r.frames.add(fr, n)
	r.frames.end(fr)
	behind := r.cfg.Clock().Sub(f.Time) > r.cfg.Behind
	if !behind {
		r.stall = 0
	}
	for _, g := range groups {
		r.hand(ctx, g, behind)
	}
	r.reading.Store(f.Seq)
}

// plan adds an event to the groups of the lanes it goes to.
func (r *Router) plan(groups []group, e *headlessly.Event, size int64, fr *frame) []group {
	d, version := r.cfg.Destinations.Destinations(e.Tenant)
	if version == 0 {
		return groups
	}
	for i := range r.cfg.Registry {
		k := &r.cfg.Registry[i]
		if !k.Connected(d) {
			continue
		}
		key := Key{e.Tenant, k.Name}
		at := -1
		for i := range groups {
			if groups[i].lane.key == key {
				at = i
				break
			}
		}
		if at < 0 {
			at = len(groups)
			groups = append(groups, group{lane: r.lane(key, k, d, version)})
		}
		g := &groups[at]
		if reason := gate(k, g.lane.rules.Load(), e); reason != "" {
			g.lane.count.skip(reason)
			g.lane.dropped(e, reason)
			continue
		}
		g.jobs = append(g.jobs, &job{event: e, size: size, frame: fr})
	}
	return groups
}

// hand offers jobs to their lane and parks what it does not take.
func (r *Router) hand(ctx context.Context, g group, behind bool) {
	if len(g.jobs) == 0 {
		return
	}
	g.lane.count.accept(pending, int64(len(g.jobs)))
	taken, no := g.lane.offer(g.jobs) //nolint:contextcheck // a call outlives the reader: it has the router's own context
	rest := g.jobs[taken:]
	for len(rest) > 0 && behind && no.full && r.waitRoom(ctx, g.lane) {
		taken, no = g.lane.offer(rest) //nolint:contextcheck // as above
		rest = rest[taken:]
	}
	for _, j := range rest {
		r.budget.add(1, j.size)
		r.finish(finish{lane: g.lane, job: j, to: parked, reason: no.reason, notUntil: no.until})
	}
	if len(rest) > 0 {
		r.parker.wait(ctx)
	}
}

// waitRoom waits for a lane that makes progress, within the patience left.
func (r *Router) waitRoom(ctx context.Context, l *lane) bool {
	start := r.cfg.Clock()
	if r.stall >= r.cfg.PatienceTotal || !l.advancing(start) {
		return false
	}
	t := time.NewTimer(r.cfg.Patience)
	defer t.Stop()
	defer func() { r.stall += r.cfg.Clock().Sub(start) }()
	select {
	case <-l.room:
		return true
	case <-t.C:
		return false
	case <-ctx.Done():
		return false
	}
}

// finish takes a job to its end: at once when the disk is not involved.
func (r *Router) finish(f finish) {
	if f.job.replay && f.job.parkedID == 0 && f.to == dead {
		f.to, f.refused = skipped, true // it still lies in the log or the lake
	}
	if f.job.parkedID == 0 && (f.to == delivered || f.to == skipped) {
		r.left(f)
		return
	}
	r.parker.put(f)
}

// left counts a job that has left memory and is safe.
func (r *Router) left(f finish) {
	c := f.lane.count
	c.move(pending, f.to)
	if f.to == skipped {
		reason := SkipUnmapped
		if f.refused {
			reason = SkipReplay
		}
		c.mu.Lock()
		c.reason(reason)
		c.mu.Unlock()
	}
	r.budget.add(-1, -f.job.size)
	if f.to == parked {
		r.retry.parked(f.lane.key, f.notUntil)
	}
	if f.job.frame != nil {
		r.frames.finish(f.job.frame)
	}
	if f.job.done != nil {
		f.job.done()
	}
	if f.job.ended != nil {
		f.job.ended(f.to)
	}
}

// commit moves the cursor over finished frames.
func (r *Router) commit(ctx context.Context, stop <-chan struct{}, last uint64) {
	for n, stopping := 0, false; !stopping; {
		select {
		case <-r.frames.wake:
		case <-stop:
			stopping = true
		}
		seq := r.frames.finished()
		if seq <= last {
			continue
		}
		r.recorder.flush(ctx) // an attempt is noted before its event can be forgotten
		r.point(PointBeforeCommit)
		if err := r.cfg.Log.Commit(ctx, r.cfg.Reader, seq); err != nil {
			r.cfg.Logger.LogAttrs(ctx, slog.LevelError, "router.commit", slog.Uint64("seq", seq), slog.Any("error", err))
			n++
			select {
			case r.frames.wake <- struct{}{}: // try again
			default:
			}
		} else {
			last, n = seq, 0
		}
		if !stopping {
			sleep(ctx, max(r.cfg.CommitEvery, backoff(r.cfg.CommitEvery, 5*time.Second, n, r.cfg.Rand)))
		}
	}
}

// sweep parks what is held too long and drops idle lanes.
func (r *Router) sweep(ctx context.Context) {
	for sleep(ctx, time.Second) {
		now := r.cfg.Clock()
		for _, l := range r.all() {
			l.expire(now)
			l.report(now, false) //nolint:contextcheck // as above
		}
		r.mu.Lock()
		for key, l := range r.lanes {
			if l.retire(now, r.cfg.LaneIdle) {
				delete(r.lanes, key)
			}
		}
		r.mu.Unlock()
	}
}

// sleep waits for d and says whether ctx is still good.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
