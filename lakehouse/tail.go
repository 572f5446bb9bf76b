package lakehouse

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/apache/arrow-go/v18/parquet/compress"
)

// tailSource gives rows that are in the log and not yet in the tables.
type tailSource interface {
	// tail waits until it knows everything that is in the log now, and fixes
	// what of it the tables may lack.
	tail(ctx context.Context) (tailReader, error)
}

// tailReader gives each table's batches to use, which must not keep them, and
// ends at its first error. A batch may hold rows that the table has got since.
// It may be called once.
type tailReader func(ctx context.Context, use func(table string, b tailBatch) error) error

// tailBatch is a fixed view of a batch.
type tailBatch struct {
	key    string // under which a table notes the frames it has
	frames logRange
	rows   []row
}

// useTail lets queries see what a source has read of the log of this name.
func (l *Lake) useTail(name string, s tailSource) {
	l.tailsMu.Lock()
	defer l.tailsMu.Unlock()
	l.tails[name] = s
}

// uncommitted fixes what the tables may lack now, of every source. Take it
// before the tables are loaded: what is committed in between is in both, and
// the table's log range tells which rows those are.
func (l *Lake) uncommitted(ctx context.Context) (tailReader, error) {
	l.tailsMu.Lock()
	sources := slices.Collect(maps.Values(l.tails))
	l.tailsMu.Unlock()
	var all []tailReader
	for _, s := range sources {
		part, err := s.tail(ctx)
		if err != nil {
			return nil, fmt.Errorf("read what is not committed yet: %w", err)
		}
		all = append(all, part)
	}
	return func(ctx context.Context, use func(string, tailBatch) error) error {
		for _, part := range all {
			if err := part(ctx, use); err != nil {
				return fmt.Errorf("read what is not committed yet: %w", err)
			}
		}
		return nil
	}, nil
}

// tail implements tailSource.
func (w *Writer) tail(ctx context.Context) (tailReader, error) {
	last, err := w.log.Last(ctx)
	if err != nil {
		return nil, err
	}
	views := map[string][]tailBatch{}
	err = w.waitUntil(ctx, func() bool {
		if w.taken < last {
			return false
		}
		for _, s := range w.sinks {
			for _, b := range []*batch{s.sealed, s.open} {
				if b != nil && len(b.rows) > 0 {
					n := len(b.rows)
					views[s.name] = append(views[s.name], tailBatch{w.key(), b.frames, b.rows[:n:n]})
				}
			}
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	return func(_ context.Context, use func(string, tailBatch) error) error {
		for name, batches := range views {
			for _, b := range batches {
				if err := use(name, b); err != nil {
					return err
				}
			}
		}
		return nil
	}, nil
}

// writeTail writes a tenant's rows of a batch, and of them those that are in
// frames behind through, as a Parquet file. It says whether there were any.
func (l *layout) writeTail(ctx context.Context, path, tenant string, b tailBatch, through uint64) (bool, error) {
	if b.frames.last != 0 && b.frames.last <= through {
		return false, nil
	}
	var rows []*row
	for i := range b.rows {
		r := &b.rows[i]
		if (tenant == "" || r.tenant == tenant) && frameOf(r.seq) > through {
			rows = append(rows, r)
		}
	}
	if len(rows) == 0 {
		return false, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // a path that this package made
	if err != nil {
		return false, fmt.Errorf("write uncommitted rows: %w", err)
	}
	if _, err := l.encode(ctx, f, rows, compress.Codecs.Snappy); err != nil {
		return false, fmt.Errorf("write uncommitted rows: %w", err)
	}
	return true, nil
}
