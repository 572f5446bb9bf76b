package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/headlessly/headlessly"
)

// RecordTooLargeError says that a record fits in no frame.
type RecordTooLargeError struct{ Size, Max int }

func (e *RecordTooLargeError) Error() string {
	return fmt.Sprintf("log record has %d bytes, at most %d are possible", e.Size, e.Max)
}

// appender gathers records into frames. All fields are guarded by mu.
type appender struct {
	mu      sync.Mutex
	open    *frame   // nil until a record comes
	sealed  []*frame // full ones before it, oldest first
	waiting int      // bytes not yet acknowledged, the committer's included
	free    []buffers

	closed bool
	failed error // for good
	full   error // until there is room
	away   error // the cluster does not answer

	anyFrame, fullFrame sync.Cond

	frameBytes, maxWaiting, maxRecord int
}

// buffers of a finished frame, for the next one.
type buffers struct{ data, table []byte }

// init sets the limits; room is the largest payload the server takes.
func (a *appender) init(cfg Config, room int) {
	a.frameBytes = min(cfg.FrameBytes, room)
	a.maxWaiting = cfg.MaxWaiting
	a.maxRecord = room - headerSize - entrySize
	a.anyFrame.L, a.fullFrame.L = &a.mu, &a.mu
}

// Append implements [headlessly.Appender]. Records that fit in no open frame go
// into the next; it then waits for all of them.
func (l *Log) Append(ctx context.Context, records ...headlessly.Record) (first int64, err error) {
	return l.AppendCopied(ctx, nil, records...)
}

// AppendCopied is Append for a caller that needs the records' memory: copied, if
// not nil, is called once the log has its own copy of them, before they are
// durable. It is not called with an error that comes before that.
func (l *Log) AppendCopied(ctx context.Context, copied func(), records ...headlessly.Record) (first int64, err error) {
	p, err := l.put(records)
	if err != nil {
		l.stats.refused.Add(1)
		return 0, err
	}
	if copied != nil {
		copied()
	}
	for _, f := range p.before {
		if err := f.wait(ctx); err != nil {
			return 0, err
		}
	}
	if err := p.last.wait(ctx); err != nil {
		return 0, err
	}
	start := p.last
	if len(p.before) > 0 {
		start = p.before[0]
	}
	return headlessly.LogSeq(start.seq, p.index), nil
}

// wait blocks until the frame's outcome is known.
func (f *frame) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return fmt.Errorf("append: %w", ctx.Err())
	}
}

// place is where records went: index in the first frame, and the frames they
// are in, the last of them apart because there is mostly one.
type place struct {
	before []*frame
	last   *frame
	index  int
}

// put copies records into the open frame.
func (a *appender) put(records []headlessly.Record) (p place, err error) {
	if len(records) == 0 {
		return p, errors.New("append: no records")
	}
	size := 0
	for i := range records {
		n := len(records[i].Data)
		if n > a.maxRecord {
			return p, &RecordTooLargeError{Size: n, Max: a.maxRecord}
		}
		size += n + entrySize
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.refusal(); err != nil {
		return p, err
	}
	if a.waiting > 0 && a.waiting+size > a.maxWaiting {
		return p, headlessly.ErrLogBusy
	}
	a.waiting += size
	for i := range records {
		f := a.frameFor(len(records[i].Data))
		at := f.add(records[i])
		switch {
		case p.last == nil:
			p.index = at
		case p.last != f:
			p.before = append(p.before, p.last)
		}
		p.last = f
	}
	return p, nil
}

// refusal says why nothing can be accepted now, or nil.
func (a *appender) refusal() error {
	switch {
	case a.closed:
		return ErrClosed
	case a.failed != nil:
		return a.failed
	case a.full != nil:
		return a.full
	}
	return nil
}

// frameFor gives the open frame, a new one if a record of n bytes does not fit.
func (a *appender) frameFor(n int) *frame {
	if f := a.open; f != nil {
		if f.size()+n+entrySize <= a.frameBytes && f.count() < headlessly.MaxFrameRecords {
			return f
		}
		a.sealed = append(a.sealed, f)
		a.fullFrame.Signal()
	}
	var b buffers
	if last := len(a.free) - 1; last >= 0 {
		b, a.free = a.free[last], a.free[:last]
	}
	a.open = newFrame(b.data, b.table)
	a.anyFrame.Signal()
	return a.open
}

// ready blocks until there is a frame, with full until there is a full one. It
// is false once the log is closed and nothing is left.
func (a *appender) ready(full bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		switch {
		case len(a.sealed) > 0 || !full && a.open != nil:
			return true
		case a.closed:
			return false
		case full:
			a.fullFrame.Wait()
		default:
			a.anyFrame.Wait()
		}
	}
}

// take gives the oldest frame, with full only a full one, or nil.
func (a *appender) take(full bool) *frame {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.sealed) > 0 {
		f := a.sealed[0]
		a.sealed = a.sealed[1:]
		return f
	}
	if full {
		return nil
	}
	f := a.open
	a.open = nil
	return f
}

// maxFree bounds how many frames' buffers are kept for reuse.
const maxFree = 4

// finish tells the waiters of f how it went.
func (a *appender) finish(f *frame, seq uint64, err error) {
	f.seq, f.err = seq, err
	close(f.done)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting -= f.taken
	if len(a.free) < maxFree && cap(f.data) <= 2*a.frameBytes {
		a.free = append(a.free, buffers{f.data, f.table})
	}
	f.data, f.table = nil, nil
}

// end refuses everything from now on, with failed or as closed, and wakes the
// committers.
func (a *appender) end(failed error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if failed == nil {
		a.closed = true
	} else if a.failed == nil {
		a.failed = failed
	}
	a.anyFrame.Broadcast()
	a.fullFrame.Broadcast()
}

// setFull refuses appends while err is not nil.
func (a *appender) setFull(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.full = err
}

func (a *appender) isFull() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.full != nil
}

// setAway notes whether the cluster answers; appends go on and wait.
func (a *appender) setAway(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.away = err
}

// Ready is nil while the log accepts writes, else the reason.
func (l *Log) Ready() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.refusal(); err != nil {
		return err
	}
	if l.away != nil {
		return l.away
	}
	if l.waiting >= l.maxWaiting {
		return headlessly.ErrLogBusy
	}
	return nil
}
