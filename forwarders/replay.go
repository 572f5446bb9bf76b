package forwarders

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/rules"
)

// SkipReplay is the reason under which a replayed event counts that its
// destination refused. It is not parked: it still lies where it came from.
const SkipReplay = "replay refused"

// replayWindow is how many replayed events are in memory at once.
const replayWindow = 1000

// ErrReplaying means that a replay of the same tenant and destination is under
// way.
var ErrReplaying = errors.New("a replay to this destination is under way")

// ErrNotRunning means that the router does not run, so nothing can be sent.
var ErrNotRunning = errors.New("the router does not run")

// Replayed is an event to send again.
type Replayed struct {
	Event *headlessly.Event // with its LogSeq
	// Parked is the parked item it is, nil for an event of the log or lake. It
	// is taken off the disk once delivered.
	Parked *headlessly.ParkedItem
	// Missing counts frames of the log, or parked items, that the source should
	// have and cannot give: Event is nil then.
	Missing int64
}

// Replay says which events are sent again, and how.
type Replay struct {
	Tenant      string // required
	Destination string // required: each has cursors and rules of its own
	// Since and Until bound the time of receipt; zero for open.
	Since, Until time.Time
	// When is an expression of the rules language, "" for all.
	When string
	// After leaves out everything up to this place in the log: where an
	// earlier, interrupted replay stopped ([ReplayReport.Position]).
	After int64
	// PerSecond bounds the rate, 0 for the destination's own.
	PerSecond float64
	// DryRun sends nothing and counts what would be sent.
	DryRun bool
	// Progress is told now and then, and in any case before Replay returns, of
	// what is done: events under way are in none of its counts. It must not
	// block; nil for nobody.
	Progress func(ReplayReport)
	// Settled is told the place in the log of each event that is done: sent,
	// refused, parked or left out, and the counts with it. It must not block;
	// nil for nobody.
	Settled func(logSeq int64, r ReplayReport)
}

// ReplayReport counts a replay. Read = Filtered + Skipped + Matched, and
// Matched = Delivered + Refused + Parked + Unknown once it is over and no dry
// run.
type ReplayReport struct {
	Read      int64 `json:"read"`
	Filtered  int64 `json:"filtered"` // outside of the selection
	Skipped   int64 `json:"skipped"`  // by consent, bots or rules
	Matched   int64 `json:"matched"`
	Delivered int64 `json:"delivered"`
	Refused   int64 `json:"refused"` // by the destination, for good
	Parked    int64 `json:"parked"`  // not taken for now; retried on schedule
	Unknown   int64 `json:"unknown"` // may have arrived
	// Missing are frames of the log that were damaged, or trimmed before they
	// were read: their events may still be in the lake. Of dead letters they are
	// the items that cannot be read.
	Missing int64 `json:"missing,omitempty"`
	// Position is the place in the log up to which every event is done: where
	// a replay that was interrupted can go on.
	Position int64 `json:"position"`
}

// Replay sends past events again, in order, through the destination's own
// lane: limits, breaker and counters are the same. Ids and timestamps are those
// of the first time, so providers that deduplicate drop what they have. It
// blocks until every event is done or ctx is; the report holds what was reached
// in both cases.
func (r *Router) Replay(ctx context.Context, from iter.Seq2[Replayed, error], p Replay) (ReplayReport, error) {
	kind := r.cfg.Registry.Find(p.Destination)
	if kind == nil {
		return ReplayReport{}, fmt.Errorf("destination %q is not known", p.Destination)
	}
	set, err := rules.Compile(&headlessly.Rules{When: p.When})
	if err != nil {
		return ReplayReport{}, fmt.Errorf("filter: %w", err)
	}
	if !p.DryRun {
		if !r.running.Load() {
			return ReplayReport{}, ErrNotRunning
		}
		if _, busy := r.replays.LoadOrStore(Key{p.Tenant, p.Destination}, true); busy {
			return ReplayReport{}, ErrReplaying
		}
		defer r.replays.Delete(Key{p.Tenant, p.Destination})
	}
	run := &replaying{r: r, p: p, kind: kind, set: set, window: make(chan struct{}, replayWindow), open: map[int64]int{}}
	run.report.Position, run.last = p.After, p.After
	if p.PerSecond > 0 {
		run.rate = rate.NewLimiter(rate.Limit(p.PerSecond), max(1, int(p.PerSecond)))
	}
	err = run.all(ctx, from)
	report := run.now()
	if p.Progress != nil {
		p.Progress(run.settled(report))
	}
	return report, err
}

// replaying is a replay under way.
type replaying struct {
	r      *Router
	p      Replay
	kind   *Kind
	set    *rules.Set // the replay's filter
	own    *rules.Set // the destination's rules, as of version
	window chan struct{}
	rate   *rate.Limiter

	version uint64

	mu     sync.Mutex
	report ReplayReport
	open   map[int64]int // places with events that are not done
	order  []int64       // those places, in order
	last   int64         // newest place read
}

func (x *replaying) all(ctx context.Context, from iter.Seq2[Replayed, error]) error {
	var fault error
	for it, err := range from {
		if err != nil {
			fault = err
			break
		}
		if fault = x.one(ctx, it); fault != nil {
			break
		}
	}
	for range cap(x.window) { // wait for what is under way
		select {
		case x.window <- struct{}{}:
		case <-x.r.ended():
			return errors.Join(fault, ErrNotRunning)
		}
	}
	return fault
}

func (x *replaying) one(ctx context.Context, it Replayed) error {
	if it.Missing > 0 {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.report.Missing += it.Missing
		return nil
	}
	e := it.Event
	if x.p.After > 0 && e.LogSeq <= x.p.After {
		return nil
	}
	count := func(n *int64) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.report.Read++
		*n++
		x.last = max(x.last, e.LogSeq)
		x.settle()
		x.tell(e.LogSeq, x.report.Read)
	}
	at := headlessly.Time(e.ReceivedAt)
	if e.Tenant != x.p.Tenant || !x.p.Since.IsZero() && at.Before(x.p.Since) || !x.p.Until.IsZero() && !at.Before(x.p.Until) ||
		x.set.Drops(e) != "" {
		count(&x.report.Filtered)
		return nil
	}
	d, version := x.r.cfg.Destinations.Destinations(x.p.Tenant)
	if version == 0 || !x.kind.Connected(d) {
		return fmt.Errorf("destination %s of tenant %s is not connected", x.p.Destination, x.p.Tenant)
	}
	if version != x.version {
		var err error
		if x.own, err = rules.Compile(x.kind.Rules(d)); err != nil {
			return fmt.Errorf("rules of %s: %w", x.p.Destination, err)
		}
		x.version = version
	}
	if gate(x.kind, x.own, e) != "" {
		count(&x.report.Skipped)
		return nil
	}
	if x.p.DryRun {
		count(&x.report.Matched)
		return nil
	}
	return x.send(ctx, it, d, version)
}

// send hands one event to its lane, waiting for room.
func (x *replaying) send(ctx context.Context, it Replayed, d headlessly.Destinations, version uint64) error {
	if x.rate != nil {
		if err := x.rate.Wait(ctx); err != nil {
			return err
		}
	}
	select {
	case x.window <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-x.r.ended():
		return ErrNotRunning
	}
	x.begin(it.Event.LogSeq)
	j := &job{event: it.Event, replay: true, size: int64(len(it.Event.Properties) + len(it.Event.Context) + 512)}
	j.ended = func(to place) {
		x.finish(it.Event.LogSeq, to)
		<-x.window
	}
	for {
		l := x.r.lane(Key{x.p.Tenant, x.p.Destination}, x.kind, d, version)
		if j.from == nil && !x.admit(l, j, it) {
			j.ended(removed) // somebody else has it, or has removed it
			return nil
		}
		taken, no := l.offer([]*job{j}) //nolint:contextcheck // a call outlives the replay: it has the router's own context
		if taken == 1 {
			return nil
		}
		wait := 20 * time.Millisecond
		if !no.full {
			wait = min(time.Second, max(wait, no.until.Sub(x.r.cfg.Clock())))
		}
		if sleep(ctx, wait) && x.r.running.Load() {
			continue
		}
		x.withdraw(l, j, it)
		return errors.Join(ctx.Err(), errors.New("replay stopped before its end"))
	}
}

// admit counts a job in, once.
func (x *replaying) admit(l *lane, j *job, it Replayed) bool {
	j.from = l.count
	if it.Parked == nil {
		l.count.accept(pending, 1)
		return true
	}
	if !x.r.retry.take(l.key, it.Parked.ID) {
		return false
	}
	j.parkedID, j.parkedAt, j.attempts = it.Parked.ID, x.r.cfg.Clock(), it.Parked.Attempts
	j.done = func() { x.r.retry.giveBack(l.key, it.Parked.ID) }
	l.count.move(origin(it.Parked), pending)
	return true
}

// withdraw undoes admit for a job that no lane took.
func (x *replaying) withdraw(l *lane, j *job, it Replayed) {
	if it.Parked == nil {
		l.count.withdraw()
	} else {
		l.count.move(pending, origin(it.Parked))
		j.done()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.report.Read--
	x.report.Matched--
	<-x.window // and Position stays before it
}

// origin is where a parked item counts.
func origin(it *headlessly.ParkedItem) place {
	switch {
	case it.Dead:
		return dead
	case it.Unknown:
		return unknown
	}
	return parked
}

func (x *replaying) begin(seq int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.report.Read++
	x.report.Matched++
	if x.open[seq] == 0 {
		x.order = append(x.order, seq)
	}
	x.open[seq]++
	x.last = max(x.last, seq)
}

func (x *replaying) finish(seq int64, to place) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch to {
	case delivered:
		x.report.Delivered++
	case parked:
		x.report.Parked++
	case unknown:
		x.report.Unknown++
	default:
		x.report.Refused++
	}
	if x.open[seq]--; x.open[seq] == 0 {
		delete(x.open, seq)
	}
	x.settle()
	x.tell(seq, x.report.Delivered+x.report.Refused+x.report.Parked+x.report.Unknown)
}

// tellEvery is after how many events Progress is told.
const tellEvery = 100

// tell passes on that an event is done. The lock is held.
func (x *replaying) tell(seq, count int64) {
	if x.p.Settled != nil {
		x.p.Settled(seq, x.settled(x.report))
	}
	if x.p.Progress != nil && count%tellEvery == 0 {
		x.p.Progress(x.settled(x.report))
	}
}

// settled is a report without the events that are under way.
func (x *replaying) settled(r ReplayReport) ReplayReport {
	if !x.p.DryRun {
		r.Matched = r.Delivered + r.Refused + r.Parked + r.Unknown
	}
	r.Read = r.Filtered + r.Skipped + r.Matched
	return r
}

// settle moves the position over what is done. The lock is held.
func (x *replaying) settle() {
	for len(x.order) > 0 && x.open[x.order[0]] == 0 {
		x.report.Position = max(x.report.Position, x.order[0])
		x.order = x.order[1:]
	}
	if len(x.order) == 0 {
		x.report.Position = max(x.report.Position, x.last)
	}
}

func (x *replaying) now() ReplayReport {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.report
}

// life tells whether the router runs, and lets others wait for its end.
type life struct {
	running atomic.Bool
	over    chan struct{}
	replays sync.Map // lanes that are being replayed to
}

func (l *life) ended() <-chan struct{} { return l.over }
