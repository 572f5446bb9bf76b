package outbox

import (
	"context"
	"log/slog"
	"time"
)

const (
	purgeEvery = 10 * time.Minute
	// purgeMost bounds one transaction, so that deliveries never wait for long.
	purgeMost = 2000
)

// purge removes delivered rows that the log need not keep.
func (b *Box) purge(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-b.cfg.After(purgeEvery):
		}
		if err := b.Purge(ctx); err != nil && ctx.Err() == nil {
			b.cfg.Logger.Warn("outbox.purge", slog.Any("error", err))
		}
	}
}

// Purge removes delivered rows beyond the log's age and number. What has been
// removed is counted as expired.
func (b *Box) Purge(ctx context.Context) error {
	rows, err := b.db.QueryContext(ctx, `select n from endpoints`)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // the error of reading is rows.Err
	var all []int64
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return err
		}
		all = append(all, n)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, n := range all {
		for {
			removed, err := b.purgeSome(ctx, n)
			if err != nil {
				return err
			}
			if removed < purgeMost {
				break
			}
		}
	}
	return nil
}

// purgeSome removes a bounded number. A row behind the endpoint's stored place
// stays: its event would be taken again.
func (b *Box) purgeSome(ctx context.Context, n int64) (removed int64, err error) {
	before := b.cfg.Clock().Add(-b.cfg.KeepFor).UnixMicro()
	err = b.write(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		removed, err = tx.exec(ctx, `delete from deliveries where endpoint = ?1 and seq in (
			select seq from deliveries where endpoint = ?1 and state = 1 and seq <= (select seq from endpoints where n = ?1)
			and (at < ?2 or seq < coalesce((select seq from deliveries where endpoint = ?1 and state = 1 order by seq desc limit 1 offset ?3), 0))
			order by seq limit ?4)`, n, before, max(b.cfg.KeepMost-1, 0), purgeMost)
		if err != nil || removed == 0 {
			return err
		}
		if _, err = tx.exec(ctx, `delete from attempts where endpoint = ?1 and seq < (select min(seq) from deliveries where endpoint = ?1)`, n); err != nil {
			return err
		}
		_, err = tx.exec(ctx, `update endpoints set expired = expired + ? where n = ?`, removed, n)
		return err
	})
	return removed, err
}
