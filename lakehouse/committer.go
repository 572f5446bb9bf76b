package lakehouse

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
)

// commitLoop commits by interval, by size and when asked, until ctx is done.
func (w *Writer) commitLoop(ctx context.Context) {
	wait := firstRetry
	for {
		if err := w.waitForWork(ctx); err != nil {
			return
		}
		err := w.commitOpen(ctx)
		if err == nil {
			wait = firstRetry
			continue
		}
		if ctx.Err() != nil {
			return
		}
		w.lake.cfg.Logger.Error("lakehouse_commit_failed", "error", err, "retry_in", wait)
		if pause(ctx, wait) != nil {
			return
		}
		wait = min(2*wait, lastRetry)
	}
}

// waitForWork returns when a commit is due.
func (w *Writer) waitForWork(ctx context.Context) error {
	for {
		w.mu.Lock()
		due, in := w.due()
		changed := w.changed
		w.mu.Unlock()
		if due {
			return context.Cause(ctx)
		}
		timer := time.NewTimer(in)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// due says whether to commit now, or else when to look again. Hold mu.
func (w *Writer) due() (now bool, in time.Duration) {
	for _, s := range w.sinks {
		if s.sealed != nil {
			return true, 0 // an earlier attempt failed
		}
	}
	if w.asked || w.openBytes() >= w.lake.cfg.MaxBatchBytes {
		return true, 0
	}
	if w.sinks[0].open.frames.first == 0 {
		return false, w.lake.cfg.CommitInterval
	}
	if in = w.lake.cfg.CommitInterval - w.lake.cfg.Clock().Sub(w.opened); in <= 0 {
		return true, 0
	}
	return false, in
}

// commitOpen commits everything taken so far. After an error the sealed
// batches stay, and the next call begins with them.
func (w *Writer) commitOpen(ctx context.Context) error {
	w.seal()
	w.step("seal")
	began := w.lake.cfg.Clock()
	var last uint64
	for _, s := range w.sinks {
		b := s.sealed
		last = max(last, b.frames.last)
		if err := w.commitSink(ctx, s, b, began); err != nil {
			w.mu.Lock()
			w.stats.Failed++
			w.err = err
			w.mu.Unlock()
			return err
		}
	}
	if last > 0 {
		w.step("cursor")
		if err := w.log.Commit(ctx, ReaderName, last); err != nil {
			err = fmt.Errorf("move log cursor to %d: %w", last, err)
			w.mu.Lock()
			w.err = err
			w.mu.Unlock()
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sinks {
		s.sealed = nil
	}
	w.done = max(w.done, last)
	w.err = nil
	w.announce()
	w.step("done")
	return nil
}

// seal closes the open batches, unless sealed ones wait.
func (w *Writer) seal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sinks[0].sealed != nil {
		return
	}
	w.asked = false
	for _, s := range w.sinks {
		s.sealed, s.open = s.open, newBatch(len(s.open.rows))
	}
	w.announce() // there is room again
}

func (w *Writer) commitSink(ctx context.Context, s *sink, b *batch, began time.Time) error {
	if len(b.rows) == 0 || b.frames.last <= s.through {
		return nil
	}
	if s.job == nil {
		s.job = &job{frames: b.frames, rows: b.rows}
	}
	traced, end := w.lake.span(ctx, "lakehouse commit", attribute.String("headlessly.table", s.name), attribute.Int("headlessly.records", len(s.job.rows)),
		attribute.String("headlessly.log_frames", s.job.frames.String()))
	through, err := w.lake.commit(traced, s.layout, s.job, w.key(), w.step)
	end(err)
	if err != nil {
		return err
	}
	rows := int64(len(s.job.rows))
	s.job = nil
	w.mu.Lock()
	defer w.mu.Unlock()
	s.through = max(s.through, through)
	w.stats.Commits++
	w.stats.LastCommit = w.lake.cfg.Clock()
	w.stats.CommitSeconds += w.stats.LastCommit.Sub(began).Seconds()
	switch s.name {
	case TableEvents:
		w.stats.Rows += rows
	case TableRejected:
		w.stats.Rejected += rows
	default:
		w.stats.Others += rows
	}
	return nil
}

// Flush waits until everything that is in the log now has been committed. It
// fails when ctx is done, with the reason of the newest failed attempt.
func (w *Writer) Flush(ctx context.Context) error {
	last, err := w.log.Last(ctx)
	if err != nil {
		return fmt.Errorf("read end of log: %w", err)
	}
	err = w.waitUntil(ctx, func() bool {
		if w.done >= last {
			return true
		}
		if w.taken >= last && !w.asked {
			w.asked = true
			w.announce()
		}
		return false
	})
	if err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		return fmt.Errorf("flush log frame %d: %w", last, errors.Join(err, w.err))
	}
	return nil
}
