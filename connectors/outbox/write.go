package outbox

import (
	"context"
	"errors"
	"fmt"
)

// writeGroup bounds how many writes share a transaction.
const writeGroup = 512

// write is one caller's part of a transaction.
type write struct {
	f    func(ctx context.Context, tx *tx) error
	done chan error
}

// errClosed means that the box is closed.
var errClosed = errors.New("the outbox is closed")

// tx is an open transaction with the box's prepared statements.
type tx struct{ b *Box }

// exec runs a statement that is prepared once.
func (t *tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	s := t.b.statements[query]
	if s == nil {
		var err error
		if s, err = t.b.conn.PrepareContext(ctx, query); err != nil {
			return 0, err
		}
		t.b.statements[query] = s //nolint:sqlclosecheck // closed with the database
	}
	res, err := s.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// write has f done in a transaction that it may share with others, and returns
// once that is on disk. f may be called twice.
func (b *Box) write(ctx context.Context, f func(ctx context.Context, tx *tx) error) error {
	w := write{f: f, done: make(chan error, 1)}
	select {
	case b.writes <- w:
	case <-ctx.Done():
		return ctx.Err()
	case <-b.closed:
		return errClosed
	}
	select {
	case err := <-w.done:
		return err
	case <-b.written:
		select {
		case err := <-w.done:
			return err
		default:
			return errClosed
		}
	}
}

// writer is the one goroutine that writes: what waits while the disk is busy
// shares the next transaction.
func (b *Box) writer() {
	defer close(b.written)
	ctx := context.Background()
	for {
		select {
		case w := <-b.writes:
			group := []write{w}
			for len(group) < writeGroup {
				select {
				case w := <-b.writes:
					group = append(group, w)
					continue
				default:
				}
				break
			}
			b.commit(ctx, group)
		case <-b.closed:
			return
		}
	}
}

// commit writes a group; when one of it fails, each by itself.
func (b *Box) commit(ctx context.Context, group []write) {
	err := b.transaction(ctx, group)
	if err == nil || len(group) == 1 {
		for _, w := range group {
			w.done <- err
		}
		return
	}
	for _, w := range group {
		w.done <- b.transaction(ctx, []write{w})
	}
}

func (b *Box) transaction(ctx context.Context, group []write) (err error) {
	if _, err := b.conn.ExecContext(ctx, "begin immediate"); err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	for _, w := range group {
		if err = w.f(ctx, &tx{b}); err != nil {
			break
		}
	}
	if err == nil {
		b.cfg.Point("before commit")
		_, err = b.conn.ExecContext(ctx, "commit")
	}
	if err != nil {
		_, rerr := b.conn.ExecContext(ctx, "rollback")
		return fmt.Errorf("outbox: %w", errors.Join(err, rerr))
	}
	return nil
}
