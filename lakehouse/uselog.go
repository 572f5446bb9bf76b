package lakehouse

import (
	"context"
	"errors"

	"github.com/headlessly/headlessly"
)

// UseLog lets queries see what is in the log and not yet in the tables, where
// no [Writer] runs: a reader of a stopped server's data folder. The log is read
// again for each query, all that the tables lack of it, and Config.MaxBatchBytes
// of it are in memory at once. Of the options only [WithSource] has a meaning
// here.
func (l *Lake) UseLog(log headlessly.LogReader, opts ...WriterOption) {
	t := &logTail{lake: l, log: log, opts: opts}
	l.useTail(newWriter(l, log, opts).source, t)
}

type logTail struct {
	lake *Lake
	log  headlessly.LogReader
	opts []WriterOption
}

// tail implements tailSource. The frames and the known ids are settled here,
// before the caller loads the tables: what he finds committed beyond them he
// leaves out by himself.
func (t *logTail) tail(ctx context.Context) (tailReader, error) {
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
		return func(context.Context, func(string, tailBatch) error) error { return nil }, nil
	}
	if _, err := w.warm(ctx); err != nil {
		return nil, err
	}
	return func(ctx context.Context, use func(string, tailBatch) error) error {
		return t.read(ctx, w, from, last, use)
	}, nil
}

// read gives the frames of a range to use, a full batch at a time. Nobody else
// knows w.
func (t *logTail) read(ctx context.Context, w *Writer, from, last uint64, use func(table string, b tailBatch) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for f, err := range t.log.Read(ctx, from) {
		var gap *headlessly.GapError
		var bad *headlessly.CorruptError
		switch {
		case errors.As(err, &gap): // the answer lacks what it held
			t.lake.cfg.Logger.Error("lakehouse_log_gap", "from", gap.From, "to", gap.To)
			f.Seq = gap.To
		case errors.As(err, &bad):
			t.lake.cfg.Logger.Error("lakehouse_log_frame_corrupt", "frame", bad.Seq, "error", bad.Err)
			f.Seq = bad.Seq
		case err != nil:
			return err
		default:
			if err := w.take(ctx, f); err != nil {
				return err
			}
		}
		if full := w.openBytes() >= t.lake.cfg.MaxBatchBytes; f.Seq < last && !full {
			continue
		}
		for _, s := range w.sinks {
			if err := use(s.name, tailBatch{w.key(), s.open.frames, s.open.rows}); err != nil {
				return err
			}
			s.open = newBatch(0)
		}
		if f.Seq >= last {
			return nil
		}
	}
	return ctx.Err()
}
