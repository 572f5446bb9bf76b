package lakehouse

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/headlessly/headlessly"
)

// ReaderName is the writer's cursor in the log.
const ReaderName = "lakehouse"

const (
	// shutdownFlush is how long a writer that is told to stop tries to commit
	// what it holds; the log keeps the rest.
	shutdownFlush = 5 * time.Second
	// Waits between attempts after a failed commit or a broken read.
	firstRetry = 200 * time.Millisecond
	lastRetry  = 15 * time.Second
)

// Writer follows the log and commits its records to the tables. Make one with
// [NewWriter], run it once. Its methods are safe for concurrent use.
type Writer struct {
	lake   *Lake
	log    headlessly.LogReader
	source string       // name of the log, "" for the log of events
	step   func(string) // told each step of a commit; for tests that kill it there

	mu      sync.Mutex
	changed chan struct{} // closed and replaced whenever the state below changes
	sinks   []*sink
	taken   uint64    // newest frame in an open batch, or behind
	done    uint64    // newest frame of which every row is in the tables
	opened  time.Time // when the open batches got their first frame
	asked   bool      // a commit is wanted now
	stats   Stats
	err     error // newest failed attempt, nil after a success
}

// sink is one table's part of the writer.
type sink struct {
	*layout
	through uint64  // frames up to here are in the table
	recent  *recent // newest ids, nil for a table without
	open    *batch
	sealed  *batch // being committed, or nil
	job     *job   // the sealed batch with its files; the committer's alone
}

// WriterOption changes a writer.
type WriterOption func(*Writer)

// WithSteps calls f with the name of each step of a commit as it is reached:
// "seal", then for each table "write", "commit", "catalog" (before the catalog
// is asked), "recorded" (it has answered) and "committed", then "cursor" and
// "done". Tests stop the process there.
func WithSteps(f func(step string)) WriterOption {
	return func(w *Writer) { w.step, w.lake.cat.step = f, f }
}

// WithSource names the log that the writer follows, where it is not the log of
// events: the tables note its frames apart ("headlessly.log.<name>.<shard>").
// Use letters and digits.
func WithSource(name string) WriterOption { return func(w *Writer) { w.source = name } }

// NewWriter makes a writer of a lake: one for each log. Queries of this lake
// see, once it runs, what the writer has taken and not yet committed. Records
// of any kind may come from any log.
func NewWriter(lake *Lake, log headlessly.LogReader, opts ...WriterOption) (*Writer, error) {
	if lake.cfg.ReadOnly {
		return nil, errors.New("lakehouse is open for reading only")
	}
	return newWriter(lake, log, opts), nil
}

func newWriter(lake *Lake, log headlessly.LogReader, opts []WriterOption) *Writer {
	w := &Writer{lake: lake, log: log, step: func(string) {}, changed: make(chan struct{})}
	for _, one := range lake.layouts {
		s := &sink{layout: one, open: newBatch(0)}
		if one.id != "" {
			s.recent = newRecent(lake.cfg.DedupeWindow)
		}
		w.sinks = append(w.sinks, s)
	}
	for _, o := range opts {
		o(w)
	}
	return w
}

// key is under what the tables note this log's frames.
func (w *Writer) key() string { return logKey(w.source, w.lake.cfg.Shard) }

// warm reads the newest ids of every table that has ids.
func (w *Writer) warm(ctx context.Context) (n int, err error) {
	for _, s := range w.sinks {
		if s.recent == nil {
			continue
		}
		read, fault := w.lake.warm(ctx, s.layout, s.recent)
		n, err = n+read, errors.Join(err, fault)
	}
	return n, err
}

// Run follows the log until ctx is done, then commits what it holds (for at
// most 5 s) and returns nil. A fault of the log or the warehouse is retried,
// counted and logged; Run returns an error only when it can't begin. It may be
// called once.
func (w *Writer) Run(ctx context.Context) error {
	from, err := w.resume(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	w.lake.useTail(w.source, w)
	var reading sync.WaitGroup
	reading.Go(func() { w.follow(ctx, from) })
	w.commitLoop(ctx)
	reading.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownFlush)
	defer cancel()
	for range 2 { // what was being committed, then what is open
		if err := w.commitOpen(last); err != nil {
			w.lake.cfg.Logger.Warn("lakehouse_last_commit_failed", "error", err)
			break
		}
	}
	return nil
}

// resume finds out from the tables and the log where to go on.
func (w *Writer) resume(ctx context.Context) (uint64, error) {
	last, err := w.log.Last(ctx)
	if err != nil {
		return 0, fmt.Errorf("read end of log: %w", err)
	}
	done, err := w.log.Committed(ctx, ReaderName)
	if err != nil {
		return 0, fmt.Errorf("read log cursor: %w", err)
	}
	for _, s := range w.sinks {
		t, err := w.lake.load(ctx, s.name)
		if err != nil {
			return 0, err
		}
		if s.through, err = committedThrough(t, w.key()); err != nil {
			return 0, err
		}
		if s.through > last {
			return 0, fmt.Errorf("table %s holds log frames up to %d, but the log ends at %d: the log is not the one these tables were written from; restore it, or start a new shard (now %q)",
				s.name, s.through, last, w.lake.cfg.Shard)
		}
	}
	n, err := w.warm(ctx)
	if err != nil {
		// Without it copies may be written again; that must not stop the writer.
		w.lake.cfg.Logger.Warn("lakehouse_dedupe_window_not_read", "error", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.taken, w.done = done, done
	w.announce()
	w.lake.cfg.Logger.Info("lakehouse_writer_resumes", "log", w.source, "from", done+1, "known_ids", n)
	return done + 1, nil
}

// follow reads the log until ctx is done.
func (w *Writer) follow(ctx context.Context, from uint64) {
	wait := firstRetry
	for ctx.Err() == nil {
		for f, err := range w.log.Read(ctx, from) {
			var gap *headlessly.GapError
			var bad *headlessly.CorruptError
			switch {
			case errors.As(err, &gap):
				w.lake.cfg.Logger.Error("lakehouse_log_gap", "from", gap.From, "to", gap.To)
				w.pass(gap.To, func(s *Stats) { s.Missing += gap.To - gap.From + 1 })
				from = gap.To + 1
				continue
			case errors.As(err, &bad):
				w.lake.cfg.Logger.Error("lakehouse_log_frame_corrupt", "frame", bad.Seq, "error", bad.Err)
				w.pass(bad.Seq, func(s *Stats) { s.Corrupt++ })
				from = bad.Seq + 1
				continue
			case err != nil:
				if ctx.Err() == nil {
					w.lake.cfg.Logger.Error("lakehouse_log_read_failed", "error", err)
				}
			default:
				if err = w.take(ctx, f); err == nil {
					from, wait = f.Seq+1, firstRetry
					continue
				}
			}
			break
		}
		if pause(ctx, wait) != nil {
			return
		}
		wait = min(2*wait, lastRetry)
	}
}

// pass notes that reading went beyond a frame without rows.
func (w *Writer) pass(seq uint64, count func(*Stats)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	count(&w.stats)
	w.advance(seq)
}

// advance notes that everything up to seq has been taken. Hold mu.
func (w *Writer) advance(seq uint64) {
	if seq <= w.taken {
		return
	}
	if w.sinks[0].open.frames.first == 0 {
		w.opened = w.lake.cfg.Clock()
	}
	for _, s := range w.sinks {
		s.open.through(seq)
	}
	w.taken = seq
	w.announce()
}

// announce wakes everybody who waits for a change. Hold mu.
func (w *Writer) announce() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// take adds a frame to the open batches, waiting while they are full.
func (w *Writer) take(ctx context.Context, f headlessly.Frame) error {
	rows, corrupt := w.decode(f)
	if err := w.waitForRoom(ctx); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stats.Corrupt += corrupt
	if f.Seq <= w.taken {
		return nil
	}
	for i, s := range w.sinks {
		if f.Seq <= s.through {
			continue // in the table already
		}
		for _, r := range rows[i] {
			if s.recent != nil && !s.recent.add(r.tenant, r.id) {
				w.stats.Duplicates++
				continue
			}
			s.open.add(r)
		}
	}
	w.advance(f.Seq)
	return nil
}

// decode makes rows of a frame's records, by sink.
func (w *Writer) decode(f headlessly.Frame) (rows [][]row, corrupt int64) {
	rows = make([][]row, len(w.sinks))
	for i, rec := range f.Records {
		n := w.sinkOf(rec.Kind)
		if n < 0 {
			continue
		}
		at := place{seq: headlessly.LogSeq(f.Seq, i), stored: f.Time}
		key, err := w.sinks[n].key(rec, at)
		if err != nil {
			corrupt++
			w.lake.cfg.Logger.Error("lakehouse_record_corrupt", "frame", f.Seq, "record", i, "error", err)
			continue
		}
		rows[n] = append(rows[n], row{rowKey: key, seq: at.seq, data: rec.Data})
	}
	return rows, corrupt
}

func (w *Writer) sinkOf(kind headlessly.RecordKind) int {
	for i, s := range w.sinks {
		if s.kind == kind {
			return i
		}
	}
	return -1
}

func frameOf(logSeq int64) uint64 {
	seq, _ := headlessly.SplitLogSeq(logSeq)
	return seq
}

// openBytes measures the open batches. Hold mu.
func (w *Writer) openBytes() (n int64) {
	for _, s := range w.sinks {
		n += s.open.bytes
	}
	return n
}

// roomBeside is the part of a full batch that may fill while another is being
// committed.
const roomBeside = 2

// waitForRoom waits while the open batches are full: the more so while others
// are being committed, because both are in memory then.
func (w *Writer) waitForRoom(ctx context.Context) error {
	return w.waitUntil(ctx, func() bool {
		limit := w.lake.cfg.MaxBatchBytes
		for _, s := range w.sinks {
			if s.sealed != nil && len(s.sealed.rows) > 0 {
				limit = w.lake.cfg.MaxBatchBytes / roomBeside
			}
		}
		return w.openBytes() < limit
	})
}

// waitUntil waits until ok holds; ok is called with mu held.
func (w *Writer) waitUntil(ctx context.Context, ok func() bool) error {
	for {
		w.mu.Lock()
		yes, changed := ok(), w.changed
		w.mu.Unlock()
		if yes {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}

// Stats are the writer's counters and state.
func (w *Writer) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.stats
	s.Taken, s.Committed = w.taken, w.done
	for _, k := range w.sinks {
		for _, b := range []*batch{k.open, k.sealed} {
			if b != nil {
				s.OpenRows += len(b.rows)
				s.OpenBytes += b.bytes
			}
		}
	}
	if w.err != nil {
		s.LastError = w.err.Error()
	}
	return s
}
