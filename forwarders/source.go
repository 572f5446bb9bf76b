package forwarders

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/headlessly/headlessly"
)

// FromLog gives the events that the log holds now, from a place on, up to frame
// through, 0 for the newest one of the moment it is asked. It tells how many
// frames between the two it did not find: damaged ones, and those that were
// trimmed behind after or meanwhile. Without after it begins where the log does.
func FromLog(ctx context.Context, log headlessly.RangeReader, after int64, through uint64) iter.Seq2[Replayed, error] {
	return func(yield func(Replayed, error) bool) {
		last, err := log.Last(ctx)
		if err != nil {
			yield(Replayed{}, fmt.Errorf("read the log's end: %w", err))
			return
		}
		if through > 0 {
			last = min(last, through)
		}
		from, _ := headlessly.SplitLogSeq(max(0, after+1))
		known := from > 0 // that there was a frame from
		from = max(1, from)
		// upTo tells of what lies before a frame and did not come.
		upTo := func(seq uint64) bool {
			missing := seq - min(seq, from)
			from = seq
			return missing == 0 || !known || yield(Replayed{Missing: int64(missing)}, nil) //nolint:gosec // a count
		}
		for f, err := range log.ReadTo(ctx, from, last) {
			var gap *headlessly.GapError
			var corrupt *headlessly.CorruptError
			switch {
			case errors.As(err, &gap):
				if known = true; !upTo(min(gap.To, last) + 1) {
					return
				}
				continue
			case errors.As(err, &corrupt):
				if known = true; !upTo(corrupt.Seq + 1) {
					return
				}
				continue
			case err != nil:
				yield(Replayed{}, fmt.Errorf("read the log: %w", err))
				return
			}
			if !upTo(f.Seq) || !frameEvents(f, yield) {
				return
			}
			known, from = true, f.Seq+1
		}
		if ctx.Err() == nil && from <= last {
			upTo(last + 1)
		}
	}
}

// frameEvents gives a frame's events.
func frameEvents(f headlessly.Frame, yield func(Replayed, error) bool) bool {
	for i := range f.Records {
		e := new(headlessly.Event)
		if f.Records[i].Kind != headlessly.RecordEvent || e.UnmarshalBinary(f.Records[i].Data) != nil {
			continue
		}
		e.LogSeq = headlessly.LogSeq(f.Seq, i)
		if !yield(Replayed{Event: e}, nil) {
			return false
		}
	}
	return true
}

// FromParked gives a destination's dead and unknown items, oldest first: what
// is not retried by itself. It tells how many of them cannot be read.
func FromParked(ctx context.Context, store headlessly.Parked, tenant, destination string) iter.Seq2[Replayed, error] {
	return func(yield func(Replayed, error) bool) {
		for it, err := range store.List(ctx, tenant, destination) {
			var damaged *headlessly.DamagedError
			e := new(headlessly.Event)
			next := Replayed{Event: e, Parked: &it}
			switch {
			case errors.As(err, &damaged):
				if !damaged.Key.Dead && !damaged.Key.Unknown {
					continue
				}
				next, err = Replayed{Missing: damaged.Items}, nil
			case err != nil:
				next = Replayed{}
			case !it.Dead && !it.Unknown:
				continue
			case e.UnmarshalBinary(it.Event) != nil:
				next = Replayed{Missing: 1}
			default:
				e.LogSeq = it.LogSeq
			}
			if !yield(next, err) {
				return
			}
		}
	}
}

// SeekLog gives the sequence of the first frame that the log stored at t or
// later, one behind the newest where there is none.
func SeekLog(ctx context.Context, log headlessly.RangeReader, t time.Time) (uint64, error) {
	last, err := log.Last(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the log's end: %w", err)
	}
	low, high := uint64(1), last+1
	for low < high {
		middle := low + (high-low)/2
		f, err := firstFrom(ctx, log, middle, last)
		if err != nil {
			return 0, err
		}
		if f.Seq == 0 || !f.Time.Before(t) {
			high = middle
		} else {
			low = f.Seq + 1
		}
	}
	return low, nil
}

// firstFrom gives the first frame from from to last that can be read, the zero
// frame where there is none.
func firstFrom(ctx context.Context, log headlessly.RangeReader, from, last uint64) (headlessly.Frame, error) {
	for f, err := range log.ReadTo(ctx, from, last) {
		var gap *headlessly.GapError
		var corrupt *headlessly.CorruptError
		switch {
		case err == nil:
			return f, nil
		case !errors.As(err, &gap) && !errors.As(err, &corrupt):
			return headlessly.Frame{}, fmt.Errorf("read the log: %w", err)
		}
	}
	return headlessly.Frame{}, ctx.Err()
}
