package forwarders

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/headlessly/headlessly"
)

// FromLog gives the events that the log holds now, from a place on. It ends at
// the newest one of the moment it is asked.
func FromLog(ctx context.Context, log headlessly.LogReader, after int64) iter.Seq2[Replayed, error] {
	return func(yield func(Replayed, error) bool) {
		last, err := log.Last(ctx)
		if err != nil {
			yield(Replayed{}, fmt.Errorf("read the log's end: %w", err))
			return
		}
		from, _ := headlessly.SplitLogSeq(max(0, after))
		if max(1, from) > last {
			return
		}
		for f, err := range log.Read(ctx, max(1, from)) {
			var gap *headlessly.GapError
			var corrupt *headlessly.CorruptError
			if errors.As(err, &gap) || errors.As(err, &corrupt) {
				continue
			}
			if err != nil {
				yield(Replayed{}, fmt.Errorf("read the log: %w", err))
				return
			}
			for i := range f.Records {
				e := new(headlessly.Event)
				if f.Records[i].Kind != headlessly.RecordEvent || e.UnmarshalBinary(f.Records[i].Data) != nil {
					continue
				}
				e.LogSeq = headlessly.LogSeq(f.Seq, i)
				if !yield(Replayed{Event: e}, nil) {
					return
				}
			}
			if f.Seq >= last {
				return
			}
		}
	}
}

// FromParked gives a destination's dead and unknown items, oldest first: what
// is not retried by itself.
func FromParked(ctx context.Context, store headlessly.Parked, tenant, destination string) iter.Seq2[Replayed, error] {
	return func(yield func(Replayed, error) bool) {
		for it, err := range store.List(ctx, tenant, destination) {
			if err != nil {
				if !yield(Replayed{}, err) {
					return
				}
				continue
			}
			e := new(headlessly.Event)
			if !it.Dead && !it.Unknown || e.UnmarshalBinary(it.Event) != nil {
				continue
			}
			e.LogSeq = it.LogSeq
			if !yield(Replayed{Event: e, Parked: &it}, nil) {
				return
			}
		}
	}
}

// SeekLog gives the sequence of the first frame that the log stored at t or
// later, one behind the newest where there is none.
func SeekLog(ctx context.Context, log headlessly.LogReader, t time.Time) (uint64, error) {
	last, err := log.Last(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the log's end: %w", err)
	}
	low, high := uint64(1), last+1
	for low < high {
		middle := low + (high-low)/2
		f, err := firstFrom(ctx, log, middle)
		if err != nil {
			return 0, err
		}
		if f.Seq == 0 || f.Seq > last || !f.Time.Before(t) {
			high = middle
		} else {
			low = f.Seq + 1
		}
	}
	return low, nil
}

// firstFrom gives the first frame from a sequence on that can be read, the
// zero frame where there is none.
func firstFrom(ctx context.Context, log headlessly.LogReader, from uint64) (headlessly.Frame, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for f, err := range log.Read(ctx, from) {
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
