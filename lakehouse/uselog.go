package lakehouse

import (
	"context"
	"errors"

	"github.com/headlessly/headlessly"
)

// UseLog lets queries see what is in the log and not yet in the tables, where
// no [Writer] runs: a reader of a stopped server's data folder. The log is read
// again for each query, and only as much of it as fits in Config.MaxBatchBytes.
func (l *Lake) UseLog(log headlessly.LogReader) {
	l.useTail(&logTail{lake: l, log: log})
}

type logTail struct {
	lake *Lake
	log  headlessly.LogReader
}

// tail implements tailSource.
func (t *logTail) tail(ctx context.Context) (map[string][]tailBatch, error) {
	last, err := t.log.Last(ctx)
	if err != nil {
		return nil, err
	}
	from := last + 1
	w := &Writer{lake: t.lake, recent: newRecent(t.lake.cfg.DedupeWindow), changed: make(chan struct{})}
	for _, one := range t.lake.layouts {
		table, err := t.lake.load(ctx, one.name)
		if err != nil {
			return nil, err
		}
		s := &sink{layout: one, open: newBatch()}
		if s.through, err = committedThrough(table, t.lake.cfg.Shard); err != nil {
			return nil, err
		}
		from = min(from, s.through+1)
		w.sinks = append(w.sinks, s)
	}
	done, err := t.log.Committed(ctx, ReaderName)
	if err != nil {
		return nil, err
	}
	from = max(from, done+1)
	if from > last {
		return nil, nil
	}
	if _, err := t.lake.warm(ctx, w.recent); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for f, err := range t.log.Read(ctx, from) {
		var gap *headlessly.GapError
		var bad *headlessly.CorruptError
		switch {
		case errors.As(err, &gap):
			f.Seq = gap.To
		case errors.As(err, &bad):
			f.Seq = bad.Seq
		case err != nil:
			return nil, err
		default:
			if err := w.take(ctx, f); err != nil {
				return nil, err
			}
		}
		w.mu.Lock()
		full := w.openBytes() >= t.lake.cfg.MaxBatchBytes
		w.mu.Unlock()
		if f.Seq >= last || full {
			break
		}
	}
	views := map[string][]tailBatch{}
	for _, s := range w.sinks {
		views[s.name] = []tailBatch{{s.open.frames, s.open.rows}}
	}
	return views, nil
}
