package dedupe_test

import (
	"context"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
)

// memoryLog is a log in memory. It stands in for the real one, which this
// package may not import; the end-to-end tests use both together.
type memoryLog struct {
	mu        sync.Mutex
	frames    []headlessly.Frame
	trimmed   uint64
	committed uint64
	err       error
	slow      func(seq uint64) // called before a frame is read, nil for nothing
	now       func() time.Time
	more      chan struct{}
}

func newLog(now func() time.Time) *memoryLog {
	return &memoryLog{now: now, more: make(chan struct{})}
}

// write appends one frame of events and gives the place of its first record.
func (l *memoryLog) write(t testing.TB, tenant string, ids ...string) int64 {
	t.Helper()
	var f headlessly.Frame
	for _, id := range ids {
		data, err := (&headlessly.Event{Tenant: tenant, MessageID: id, Type: "track"}).MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		f.Records = append(f.Records, headlessly.Record{Kind: headlessly.RecordEvent, Data: data})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f.Seq, f.Time = uint64(len(l.frames)+1), l.now()
	l.frames = append(l.frames, f)
	close(l.more)
	l.more = make(chan struct{})
	return headlessly.LogSeq(f.Seq, 0)
}

func (l *memoryLog) Read(ctx context.Context, from uint64) iter.Seq2[headlessly.Frame, error] {
	return func(yield func(headlessly.Frame, error) bool) {
		for seq := max(from, 1); ; {
			l.mu.Lock()
			seq = max(seq, l.trimmed+1)
			more, have := l.more, seq <= uint64(len(l.frames))
			var f headlessly.Frame
			if have {
				f = l.frames[seq-1]
			}
			l.mu.Unlock()
			if have {
				if l.slow != nil {
					l.slow(f.Seq)
				}
				if ctx.Err() != nil {
					yield(headlessly.Frame{}, ctx.Err())
					return
				}
				if !yield(f, nil) {
					return
				}
				seq++
				continue
			}
			select {
			case <-more:
			case <-ctx.Done():
				yield(headlessly.Frame{}, ctx.Err())
				return
			}
		}
	}
}

func (l *memoryLog) ReadTo(ctx context.Context, from, to uint64) iter.Seq2[headlessly.Frame, error] {
	return func(yield func(headlessly.Frame, error) bool) {
		l.mu.Lock()
		trimmed := l.trimmed
		l.mu.Unlock()
		if max(from, trimmed+1) > to {
			return
		}
		for f, err := range l.Read(ctx, from) {
			if !yield(f, err) || f.Seq >= to {
				return
			}
		}
	}
}

func (l *memoryLog) Last(context.Context) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.frames)), l.err
}

func (l *memoryLog) Committed(context.Context, string) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.committed, nil
}

func (l *memoryLog) Commit(_ context.Context, _ string, seq uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.committed = max(l.committed, seq)
	return nil
}
