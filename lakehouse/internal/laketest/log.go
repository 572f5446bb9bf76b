// Package laketest has what the lakehouse's tests share: a log in memory and
// events to put into it.
package laketest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/headlessly/headlessly"
)

// Log is a headlessly.LogReader in memory. Cursors may be kept in a file, so
// that they outlive the process. Safe for concurrent use.
type Log struct {
	CursorFile string // "" keeps cursors in memory

	mu      sync.Mutex
	grown   chan struct{}
	entries []entry
	cursors map[string]uint64
	readErr error // given once by the next Read
}

type entry struct {
	frame headlessly.Frame
	err   error // a *GapError or *CorruptError in the frame's place
}

var _ headlessly.LogReader = (*Log)(nil)

// NewLog makes an empty log.
func NewLog() *Log { return &Log{grown: make(chan struct{}), cursors: map[string]uint64{}} }

// Append adds a frame and returns its sequence.
func (l *Log) Append(records ...headlessly.Record) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	seq := l.last() + 1
	l.add(entry{frame: headlessly.Frame{Seq: seq, Time: time.Unix(1_760_000_000, 0).UTC(), Records: records}})
	return seq
}

// Damage puts a gap of n frames, or with n = 0 one corrupt frame, into the log.
func (l *Log) Damage(n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seq := l.last() + 1
	if n == 0 {
		l.add(entry{frame: headlessly.Frame{Seq: seq}, err: &headlessly.CorruptError{Seq: seq, Err: errors.New("checksum")}})
		return
	}
	l.add(entry{frame: headlessly.Frame{Seq: seq + n - 1}, err: &headlessly.GapError{From: seq, To: seq + n - 1}})
}

// BreakRead makes the next step of a Read end with err.
func (l *Log) BreakRead(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.readErr = err
	close(l.grown)
	l.grown = make(chan struct{})
}

// Forget loses every reader's cursor.
func (l *Log) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.cursors)
}

func (l *Log) add(e entry) {
	l.entries = append(l.entries, e)
	close(l.grown)
	l.grown = make(chan struct{})
}

func (l *Log) last() uint64 {
	if len(l.entries) == 0 {
		return 0
	}
	return l.entries[len(l.entries)-1].frame.Seq
}

// Read implements headlessly.LogReader.
func (l *Log) Read(ctx context.Context, from uint64) iter.Seq2[headlessly.Frame, error] {
	return func(yield func(headlessly.Frame, error) bool) {
		at := 0
		for {
			l.mu.Lock()
			for at < len(l.entries) && l.entries[at].frame.Seq < from {
				at++
			}
			err, grown := l.readErr, l.grown
			l.readErr = nil
			var e entry
			have := at < len(l.entries)
			if have {
				e = l.entries[at]
			}
			l.mu.Unlock()
			switch {
			case err != nil:
				yield(headlessly.Frame{}, err)
				return
			case have:
				at++
				if e.err != nil {
					e.frame = headlessly.Frame{}
				}
				if !yield(e.frame, e.err) {
					return
				}
				continue
			}
			select {
			case <-ctx.Done():
				yield(headlessly.Frame{}, ctx.Err())
				return
			case <-grown:
			}
		}
	}
}

// Last implements headlessly.LogReader.
func (l *Log) Last(context.Context) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last(), nil
}

// Committed implements headlessly.LogReader.
func (l *Log) Committed(_ context.Context, reader string) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.CursorFile == "" {
		return l.cursors[reader], nil
	}
	b, err := os.ReadFile(l.CursorFile)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(string(b), 10, 64)
}

// Commit implements headlessly.LogReader.
func (l *Log) Commit(_ context.Context, reader string, seq uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cursors[reader] = max(l.cursors[reader], seq)
	if l.CursorFile == "" {
		return nil
	}
	tmp := fmt.Sprintf("%s.%d", l.CursorFile, os.Getpid())
	if err := os.WriteFile(tmp, strconv.AppendUint(nil, seq, 10), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, l.CursorFile)
}
