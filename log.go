package headlessly

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// Frame is one durable append: the records of all requests that shared an
// fsync, in the order they were accepted.
type Frame struct {
	Seq     uint64    // grows along the log; not always by one ([GapError])
	Time    time.Time // when the log stored it
	Records []Record
}

// Appender writes to the log.
type Appender interface {
	// Append makes records durable, in order, and returns the place of the
	// first ([LogSeq]). They share one frame, and so follow it by one each,
	// unless they are too large for one: then it returns after the last of
	// their frames. It blocks until the fsync (or the quorum) and returns
	// ErrLogFull, ErrLogBusy, ErrLogFailed or the context's error otherwise.
	// When it returns an error the outcome is unknown: the caller must not
	// acknowledge, and may retry (readers deduplicate by message id). Safe for
	// concurrent use; data is copied before Append returns and not kept.
	Append(ctx context.Context, records ...Record) (first int64, err error)
}

// LogReader reads the log. Every reader keeps a cursor of its own under a
// name; a slow reader never touches writers or other readers. Safe for
// concurrent use.
type LogReader interface {
	// Read yields frames in order from sequence from (inclusive), then waits
	// for new ones until ctx is done. A *GapError or *CorruptError is yielded
	// with an empty frame and reading goes on behind the damage; any other
	// error ends the iteration, and the caller may start again. Records are
	// owned by the receiver.
	Read(ctx context.Context, from uint64) iter.Seq2[Frame, error]
	// Last is the newest durable sequence, 0 for an empty log.
	Last(ctx context.Context) (uint64, error)
	// Committed is the last sequence that reader has finished, 0 for a new
	// one.
	Committed(ctx context.Context, reader string) (uint64, error)
	// Commit durably notes that reader has finished everything up to seq. It
	// is idempotent; a lower seq than the one noted is ignored.
	Commit(ctx context.Context, reader string, seq uint64) error
}

// RangeReader is a log that can be read up to a place, too.
type RangeReader interface {
	LogReader
	// ReadTo is Read that ends behind frame to instead of waiting for more, also
	// where it or all that is left before it was trimmed, even meanwhile.
	ReadTo(ctx context.Context, from, to uint64) iter.Seq2[Frame, error]
}

// Parked stores what a destination refused or could not take, durably and
// apart from the log. Safe for concurrent use.
type Parked interface {
	// Park makes items durable before it returns. IDs are assigned.
	Park(ctx context.Context, items ...ParkedItem) error
	// List yields items of one tenant and destination ("" for any), oldest
	// first, as they stand when reached. A *DamagedError is yielded in place of
	// items that cannot be read; those behind them follow.
	List(ctx context.Context, tenant, destination string) iter.Seq2[ParkedItem, error]
	// Remove forgets the items with these ids; an id that is gone is no error.
	Remove(ctx context.Context, ids ...uint64) error
	// Count tells how many items are parked, by tenant, destination and
	// whether they are dead or their outcome is unknown.
	Count(ctx context.Context) (map[ParkedKey]int64, error)
}

// ParkedKey groups parked items for counting.
type ParkedKey struct {
	Tenant, Destination string
	Dead, Unknown       bool
}

// ParkedItem is one event that one destination has not taken.
type ParkedItem struct {
	ID          uint64 // assigned by Park
	Tenant      string
	Destination string // "ga4", "sentry", "posthog"
	// Dead items are refused for good; they are kept for reading and for a
	// replay by hand and never retried on schedule.
	Dead     bool
	Unknown  bool   // the outcome of an attempt is not known; not retried on schedule
	Reason   string // the provider's answer or the network's error, without secrets
	Attempts int
	NotUntil time.Time // earliest next attempt; zero for at once
	ParkedAt time.Time
	LogSeq   int64  // the event's place in the log
	Event    []byte // binary form of the [Event]
}

// DamagedError says that Items parked items of Key, at most, cannot be read.
type DamagedError struct {
	Key   ParkedKey
	Items int64
	Err   error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("%d parked items of tenant %s for %s: %v", e.Items, e.Key.Tenant, e.Key.Destination, e.Err)
}

// Unwrap gives the cause.
func (e *DamagedError) Unwrap() error { return e.Err }

// GapError says that frames From to To (inclusive) are missing from the log
// although they were never trimmed.
type GapError struct{ From, To uint64 }

func (e *GapError) Error() string {
	return fmt.Sprintf("log frames %d to %d are missing", e.From, e.To)
}

// CorruptError says that frame Seq failed its checksum or could not be
// decoded; its bytes were set aside.
type CorruptError struct {
	Seq uint64
	Err error
}

func (e *CorruptError) Error() string { return fmt.Sprintf("log frame %d: %v", e.Seq, e.Err) }

// Unwrap gives the cause.
func (e *CorruptError) Unwrap() error { return e.Err }

// Log faults that the collector answers with 503.
var (
	// ErrLogFull means that the disk or the log's budget is used up.
	ErrLogFull = errors.New("log is full")
	// ErrLogFailed means that a write or fsync failed: nothing is accepted
	// until a restart.
	ErrLogFailed = errors.New("log has failed; restart after checking the disk")
	// ErrLogBusy means that too much is waiting for the disk already.
	ErrLogBusy = errors.New("log is busy")
)
