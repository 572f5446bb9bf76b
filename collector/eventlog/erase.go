package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/headlessly/headlessly"
)

// eraseWait is the pause between looks at how far the readers are.
const eraseWait = 100 * time.Millisecond

// Erased is what [Log.Erase] or [Log.EraseParked] removed.
type Erased struct {
	Records int `json:"records"` // that matched
	Frames  int `json:"frames"`  // or packs of parked items, that held them
	// Through is the newest frame that is gone: the log now begins behind it.
	Through uint64 `json:"through,omitempty"`
}

// Erase removes for good the frames that hold a matching record: their bytes
// are overwritten, and the log is trimmed up to the newest of them, so that
// readers find no gap. Records of others in the trimmed frames are lost to a
// replay from the log; what the readers made of them is not. It waits until
// every reader has finished those frames, at most until ctx ends, and changes
// nothing before. It may be run again.
func (l *Log) Erase(ctx context.Context, match func(headlessly.Record) bool) (Erased, error) {
	var out Erased
	var frames []uint64
	state, err := l.state(ctx)
	if err != nil {
		return out, fmt.Errorf("erase from log: %w", err)
	}
	if state.Msgs > 0 {
		err = l.Export(ctx, state.FirstSeq, 0, func(f headlessly.Frame) error {
			found := 0
			for _, r := range f.Records {
				if match(r) {
					found++
				}
			}
			if found > 0 {
				out.Records += found
				frames = append(frames, f.Seq)
			}
			return nil
		})
	}
	var gap *headlessly.GapError
	var corrupt *headlessly.CorruptError
	if err != nil && !errors.As(err, &gap) && !errors.As(err, &corrupt) {
		return out, fmt.Errorf("erase from log: %w", err)
	}
	if len(frames) == 0 {
		return out, nil
	}
	out.Frames, out.Through = len(frames), frames[len(frames)-1]
	for l.slowest() < out.Through {
		select {
		case <-ctx.Done():
			return out, fmt.Errorf("erase log frame %d: the readers have finished %v: %w", out.Through, l.cursors.all(), context.Cause(ctx))
		case <-time.After(eraseWait):
		}
	}
	// First the note, then the deed, as in Trim.
	if err := l.storeCursor(ctx, cursorTrim, max(out.Through, l.trimmed.Load())); err != nil {
		return out, fmt.Errorf("erase log frames: %w", err)
	}
	l.trimmed.Store(max(out.Through, l.trimmed.Load()))
	for _, seq := range frames {
		if err := l.overwrite(ctx, l.names.events, seq); err != nil {
			return out, fmt.Errorf("erase log frame %d: %w", seq, err)
		}
	}
	if err := l.purge(ctx, l.names.events, jetstream.WithPurgeSequence(out.Through+1)); err != nil {
		return out, fmt.Errorf("erase log frames: %w", err)
	}
	l.recent.forget(out.Through)
	return out, nil
}

// EraseParked removes a tenant's parked items that match, whatever their
// destination and state. A pack holds several: the others are parked anew
// first, under new ids, and the pack is overwritten. An item that is being
// delivered at that moment may so be delivered once more.
func (l *Log) EraseParked(ctx context.Context, tenant string, match func(headlessly.ParkedItem) bool) (Erased, error) {
	var out Erased
	packs := map[uint64][]headlessly.ParkedItem{} // what stays of each pack to remove
	sizes := map[uint64]int{}
	_, err := l.eachPack(ctx, tenant, "", func(m stored) error {
		items, err := decodePack(m.data)
		if err != nil {
			return nil //nolint:nilerr // List sets it aside
		}
		_, destination, state := l.splitPark(m.subject)
		found := 0
		var stay []headlessly.ParkedItem
		for i, it := range items {
			it.Tenant, it.Destination, it.Dead, it.Unknown = tenant, destination, state == parkDead, state == parkUnknown
			switch {
			case match(it):
				found++ // removed items too: their bytes are in the pack
			case !l.parked.isGone(m.seq, i):
				stay = append(stay, it)
			}
		}
		if found > 0 {
			out.Records += found
			packs[m.seq], sizes[m.seq] = stay, len(items)
		}
		return nil
	})
	if err != nil {
		return out, fmt.Errorf("erase parked items: %w", err)
	}
	for seq, stay := range packs {
		if err := l.Park(ctx, stay...); err != nil {
			return out, fmt.Errorf("erase parked items: %w", err)
		}
		if err := l.overwrite(ctx, l.names.parked, seq); err != nil {
			return out, fmt.Errorf("erase parked items: %w", err)
		}
		ids := make([]uint64, sizes[seq])
		for i := range ids {
			ids[i] = uint64(headlessly.LogSeq(seq, i)) //nolint:gosec // undone by SplitLogSeq
		}
		if err := l.Remove(ctx, ids...); err != nil { // and what was noted of it
			return out, fmt.Errorf("erase parked items: %w", err)
		}
		out.Frames++
	}
	return out, nil
}

// overwrite removes one message and its bytes; one that is gone is no error.
func (l *Log) overwrite(ctx context.Context, stream string, seq uint64) error {
	bounded, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	s, err := l.js.Stream(bounded, stream)
	if err != nil {
		return err
	}
	if err := s.SecureDeleteMsg(bounded, seq); err != nil {
		if m, getErr := l.getMsg(ctx, stream, seq); getErr == nil && m == nil {
			return nil
		}
		return err
	}
	return nil
}
