package eventlog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/nats-io/nats.go/jetstream"
)

// keepEvery is how often retention and free space are looked at.
const keepEvery = time.Second

// keepLoop trims what is finished and notices when there is room again.
func (l *Log) keepLoop() {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.stopped.Done():
			return
		case <-tick.C:
		}
		if err := l.keep(l.stopped); err != nil && l.stopped.Err() == nil {
			l.cfg.Logger.Warn("log retention failed", slog.Any("error", err))
		}
	}
}

// keep applies retention once.
func (l *Log) keep(ctx context.Context) error {
	state, err := l.state(ctx)
	if err != nil {
		return err
	}
	l.used.Store(int64(state.Bytes)) //nolint:gosec // a size on disk
	if l.srv == nil {
		l.sawLast(state.LastSeq)
		if err := l.loadCursors(ctx); err != nil {
			return err // other processes have readers too
		}
	}
	to, err := l.retainFrom(ctx, state)
	if err != nil {
		return err
	}
	if to > state.FirstSeq {
		if err := l.Trim(ctx, to-1); err != nil {
			return err
		}
		if state, err = l.state(ctx); err != nil {
			return err
		}
		l.used.Store(int64(state.Bytes)) //nolint:gosec // a size on disk
	}
	l.setFull(l.lookForRoom(l.roomAgain()))
	return nil
}

// roomAgain is how much room ends a refusal: more than none, or a log that is
// full to the last bytes would call itself ready each time it looks.
func (l *Log) roomAgain() int {
	if !l.isFull() {
		return 0
	}
	return int(min(int64(l.frameBytes), l.cfg.MaxBytes/20))
}

// retainFrom gives the first frame to be kept: older ones are finished by every
// reader, and either too old or too much.
func (l *Log) retainFrom(ctx context.Context, state jetstream.StreamState) (uint64, error) {
	done := min(l.slowest(), state.LastSeq)
	if state.Msgs == 0 || done < state.FirstSeq {
		return 0, nil
	}
	from := uint64(0)
	if l.cfg.MaxAge > 0 {
		first, err := l.firstSince(ctx, l.cfg.Clock().Add(-l.cfg.MaxAge), state)
		if err != nil {
			return 0, err
		}
		from = first
	}
	// Trim at nine tenths, so that writers do not meet the limit, down to eight.
	if over := int64(state.Bytes) - l.cfg.MaxBytes/10*9; over > 0 { //nolint:gosec // a size on disk
		drop := over + l.cfg.MaxBytes/10
		each := max(int64(state.Bytes/state.Msgs), 1)      //nolint:gosec // a size on disk
		from = max(from, state.FirstSeq+uint64(drop/each)) //nolint:gosec // not negative
	}
	return l.wholeBlocks(min(from, done+1), state.FirstSeq), nil
}

// firstSince finds the first frame stored at or after t, by halving.
func (l *Log) firstSince(ctx context.Context, t time.Time, state jetstream.StreamState) (uint64, error) {
	if !state.FirstTime.Before(t) {
		return state.FirstSeq, nil
	}
	if state.LastTime.Before(t) {
		return state.LastSeq + 1, nil
	}
	b, err := newBatch(l.sub, l.names.events)
	if err != nil {
		return 0, err
	}
	defer b.close()
	low, high := state.FirstSeq, state.LastSeq // low is too old, high is not
	for high-low > 1 {
		mid := low + (high-low)/2
		at := stored{seq: high, time: state.LastTime}
		err := b.get(ctx, getRequest{Seq: mid, Batch: 1, MaxBytes: 1}, func(m stored) error { at = m; return nil })
		if err != nil {
			return 0, err
		}
		if at.seq < high && at.time.Before(t) {
			low = at.seq
		} else {
			high = mid
		}
	}
	return high, nil
}

// Trim removes the frames up to seq, which every reader must have finished.
func (l *Log) Trim(ctx context.Context, seq uint64) error {
	if low := l.slowest(); seq > low {
		return fmt.Errorf("trim log to %d: a reader has finished only %d", seq, low)
	}
	if seq <= l.trimmed.Load() {
		return nil
	}
	// First the note, then the deed: a reader that starts between them must not
	// take the trimmed frames for lost ones.
	if err := l.storeCursor(ctx, cursorTrim, seq); err != nil {
		return fmt.Errorf("trim log to %d: %w", seq, err)
	}
	l.trimmed.Store(seq)
	if err := l.purge(ctx, l.names.events, jetstream.WithPurgeSequence(seq+1)); err != nil {
		return fmt.Errorf("trim log to %d: %w", seq, err)
	}
	return nil
}

// roomFor says whether a frame of n bytes may be written. When there is no
// room, further appends are refused at once until keep finds some.
func (l *Log) roomFor(n int) error {
	err := l.lookForRoom(n)
	if err != nil {
		l.setFull(err)
	}
	return err
}

func (l *Log) lookForRoom(n int) error {
	if l.cfg.MaxBytes > 0 && l.used.Load()+int64(n) > l.cfg.MaxBytes {
		return fmt.Errorf("%w: it holds %d bytes of at most %d and its slowest reader has finished %d",
			headlessly.ErrLogFull, l.used.Load(), l.cfg.MaxBytes, l.slowest())
	}
	if free := l.disk.free(); free >= 0 && free-int64(n) < l.cfg.Reserve {
		return fmt.Errorf("%w: its disk has %d bytes free, %d are held back for cursors and parked items",
			headlessly.ErrLogFull, free, l.cfg.Reserve)
	}
	return nil
}

// hint tells other processes on the cluster that there is a new frame. It may
// be lost: they also look by themselves.
func (l *Log) hint(seq uint64) {
	if err := l.pub.Publish(l.names.hint, binary.LittleEndian.AppendUint64(nil, seq)); err != nil && !errors.Is(err, errNoAnswer) {
		l.cfg.Logger.Debug("log hint not sent", slog.Any("error", err))
	}
}

// heard takes a hint.
func (l *Log) heard(b []byte) {
	if len(b) == 8 {
		l.sawLast(binary.LittleEndian.Uint64(b))
	}
}
