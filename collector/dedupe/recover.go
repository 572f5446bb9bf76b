package dedupe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/headlessly/headlessly"
)

// catchUp takes the ids of the log behind the cursor into memory.
func (x *Index) catchUp(ctx context.Context) error {
	last, err := x.cfg.Log.Last(ctx)
	if err != nil {
		return err
	}
	if last < x.manifest.Cursor {
		x.cfg.Logger.Warn("dedupe.log_is_new", "cursor", x.manifest.Cursor, "last", last)
		x.manifest.Cursor = 0
	}
	x.advance(x.manifest.Cursor)
	return x.scan(ctx, x.manifest.Cursor+1, last, func() (*generation, error) {
		if x.fresh.Load() < int64(x.cfg.MaxKeys) {
			return x.current, nil
		}
		x.writing.Lock()
		defer x.writing.Unlock()
		return x.current, x.seal(ctx)
	})
}

// scan reads the frames from to last and puts the ids of each into the
// generation that into gives for it.
func (x *Index) scan(ctx context.Context, from, last uint64, into func() (*generation, error)) error {
	if from > last {
		return nil
	}
	oldest := x.cfg.Clock().Add(-x.cfg.Window)
	var b Batch
	var tenant string
	for frame, err := range x.cfg.Log.ReadTo(ctx, from, last) {
		var gap *headlessly.GapError
		var corrupt *headlessly.CorruptError
		seq := frame.Seq
		switch {
		case errors.As(err, &gap):
			seq = gap.To
		case errors.As(err, &corrupt):
			seq = corrupt.Seq
		case err != nil:
			return err
		case frame.Time.After(oldest):
			g, err := into()
			if err != nil {
				return err
			}
			for _, r := range frame.Records {
				if r.Kind != headlessly.RecordEvent {
					continue
				}
				name, id, err := headlessly.EventID(r.Data)
				if err != nil {
					return fmt.Errorf("frame %d: %w", frame.Seq, err)
				}
				if name != tenant {
					tenant = name
					b.tenant, b.scratch = x.keyer.tenant(tenant, b.scratch)
				}
				x.keyer.encrypt(&b.next, b.tenant, id)
				x.put(g, &b.next)
			}
		}
		x.advance(min(seq, last))
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	x.advance(last) // what is left before it was trimmed
	return nil
}

func (x *Index) put(g *generation, k *key) {
	n := k.low() % shardCount
	s := &x.shards[n]
	s.mu.Lock()
	defer s.mu.Unlock()
	g.keys[n].add(k)
	x.fresh.Add(1)
}

// doubtPoll is how often the log is looked at for ids in doubt.
const doubtPoll = time.Second

// doubt settles a flight whose append ended without an answer: its ids stay
// taken until the log shows them or can no longer come to hold them.
func (x *Index) doubt(f *flight, keys []key) {
	x.stats.doubts.Add(int64(len(keys)))
	x.running.Go(func() {
		defer func() { x.land(f, keys, errDoubt) }() // what was found is in the generation already
		end := time.NewTimer(x.cfg.DoubtFor)
		defer end.Stop()
		poll := time.NewTicker(min(doubtPoll, x.cfg.DoubtFor))
		defer poll.Stop()
		for final := false; !final; {
			select {
			case <-x.stop:
				final = true
			case <-end.C:
				final = true
			case <-poll.C:
			}
			last, err := x.cfg.Log.Last(x.life)
			if err == nil {
				err = x.scan(x.life, f.floor+1, last, func() (*generation, error) { return f.gen, nil })
			}
			if err != nil {
				x.stats.readErrors.Add(1)
				continue
			}
			if x.found(f.gen, keys) {
				return
			}
		}
	})
}

var errDoubt = errors.New("the append of this id had no answer")

func (x *Index) found(g *generation, keys []key) bool {
	return !slices.ContainsFunc(keys, func(k key) bool {
		n := k.low() % shardCount
		x.shards[n].mu.Lock()
		defer x.shards[n].mu.Unlock()
		return !g.keys[n].has(&k)
	})
}
