package lakehouse

import (
	"context"
	"errors"

	"github.com/headlessly/headlessly"
)

// UseLog lets queries see what is in the log and not yet in the tables, where
// no [Writer] runs: a reader of a stopped server's data folder. The log is read
// again for each query, and only as much of it as fits in Config.MaxBatchBytes.
// Of the options only [WithSource] has a meaning here.
func (l *Lake) UseLog(log headlessly.LogReader, opts ...WriterOption) {
	t := &logTail{lake: l, log: log, opts: opts}
	l.useTail(newWriter(l, log, opts).source, t)
}

type logTail struct {
	lake *Lake
	log  headlessly.LogReader
	opts []WriterOption
}

// tail implements tailSource.
func (t *logTail) tail(ctx context.Context) (map[string][]tailBatch, error) {
	last, err := t.log.Last(ctx)
	if err != nil {
		return nil, err
	}
	from := last + 1
	w := newWriter(t.lake, t.log, t.opts)
	for _, s := range w.sinks {
		table, err := t.lake.load(ctx, s.name)
		if err != nil {
			return nil, err
		}
		if s.through, err = committedThrough(table, w.key()); err != nil {
			return nil, err
		}
		from = min(from, s.through+1)
	}
	done, err := t.log.Committed(ctx, ReaderName)
	if err != nil {
		return nil, err
	}
	from = max(from, done+1)
	if from > last {
		return nil, nil
	}
	if _, err := w.warm(ctx); err != nil {
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
		views[s.name] = []tailBatch{{w.key(), s.open.frames, s.open.rows}}
	}
	return views, nil
}
