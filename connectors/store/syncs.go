package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/headlessly/headlessly"
)

// SyncState is how far an integration's sync has come.
type SyncState struct {
	Cursor    json.RawMessage
	Complete  bool   // the first sync has ended
	Count     int64  // objects of the sync that goes on
	Phase     string // what is being read, "" between syncs
	StartedAt int64  // µs
}

// SyncState gives where an integration's sync stands; the zero value for one
// that has never synced.
func (s *Store) SyncState(ctx context.Context, integration string) (st SyncState, err error) {
	err = s.query(ctx, func(r *sql.Rows) error {
		return r.Scan((*[]byte)(&st.Cursor), &st.Complete, &st.Count, &st.Phase, &st.StartedAt)
	}, `select cursor, complete, count, phase, started_at from syncs where integration = ?`, integration)
	if err != nil {
		return st, fmt.Errorf("sync state of %s: %w", integration, err)
	}
	return st, nil
}

// SaveSync stores where an integration's sync stands.
func (s *Store) SaveSync(ctx context.Context, tenant, integration string, st SyncState) error {
	_, err := s.db.ExecContext(ctx, `insert into syncs (integration, tenant, cursor, complete, count, phase, started_at) values (?, ?, ?, ?, ?, ?, ?)
		on conflict (integration) do update set cursor = excluded.cursor, complete = excluded.complete, count = excluded.count, phase = excluded.phase, started_at = excluded.started_at`,
		integration, tenant, []byte(st.Cursor), st.Complete, st.Count, st.Phase, st.StartedAt)
	if err != nil {
		return fmt.Errorf("store sync state of %s: %w", integration, err)
	}
	return nil
}

// Seen tells which of the ids an integration has noted.
func (s *Store) Seen(ctx context.Context, integration string, ids ...string) (map[string]bool, error) {
	out := map[string]bool{}
	list, err := json.Marshal(ids)
	if err == nil {
		err = s.query(ctx, func(r *sql.Rows) error {
			var id string
			if err := r.Scan(&id); err != nil {
				return err
			}
			out[id] = true
			return nil
		}, `select id from seen where integration = ? and id in (select value from json_each(?))`, integration, string(list))
	}
	if err != nil {
		return nil, fmt.Errorf("ids that %s has seen: %w", integration, err)
	}
	return out, nil
}

// NoteSeen notes ids of an integration.
func (s *Store) NoteSeen(ctx context.Context, integration string, ids ...string) error {
	if len(ids) == 0 {
		return nil
	}
	list, err := json.Marshal(ids)
	if err == nil {
		_, err = s.db.ExecContext(ctx, `insert into seen (integration, id, at) select ?, value, ? from json_each(?) where true on conflict do nothing`,
			integration, s.cfg.Clock().UnixMicro(), string(list))
	}
	if err != nil {
		return fmt.Errorf("note ids that %s has seen: %w", integration, err)
	}
	return nil
}

// ForgetSeen forgets ids older than age.
func (s *Store) ForgetSeen(ctx context.Context, age time.Duration) error {
	_, err := s.db.ExecContext(ctx, `delete from seen where at < ?`, s.cfg.Clock().Add(-age).UnixMicro())
	return err
}

// Waiting is a receipt that could not be mapped yet.
type Waiting struct {
	N        int64
	Receipt  headlessly.Receipt
	Attempts int
	Since    int64 // µs
	NotUntil int64 // µs
	Error    string
}

// KeepWaiting stores receipts to be mapped later.
func (s *Store) KeepWaiting(ctx context.Context, all ...Waiting) error {
	if len(all) == 0 {
		return nil
	}
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		for i := range all {
			w := &all[i]
			raw, err := w.Receipt.AppendBinary(nil)
			if err != nil {
				return err
			}
			if w.N != 0 {
				_, err = tx.ExecContext(ctx, `update waiting set attempts = ?, not_until = ?, error = ? where n = ?`, w.Attempts, w.NotUntil, w.Error, w.N)
			} else {
				_, err = tx.ExecContext(ctx, `insert into waiting (tenant, integration, receipt, attempts, not_until, since, error) values (?, ?, ?, ?, ?, ?, ?)`,
					w.Receipt.Tenant, w.Receipt.Integration, raw, w.Attempts, w.NotUntil, w.Since, w.Error)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep receipts: %w", err)
	}
	return nil
}

// DueWaiting gives up to limit receipts whose time has come, oldest first.
func (s *Store) DueWaiting(ctx context.Context, limit int) (out []Waiting, err error) {
	err = s.query(ctx, func(r *sql.Rows) error {
		var w Waiting
		var raw []byte
		if err := r.Scan(&w.N, &raw, &w.Attempts, &w.NotUntil, &w.Since, &w.Error); err != nil {
			return err
		}
		if err := w.Receipt.UnmarshalBinary(raw); err != nil {
			return err
		}
		out = append(out, w)
		return nil
	}, `select n, receipt, attempts, not_until, since, error from waiting where not_until <= ? order by n limit ?`, s.cfg.Clock().UnixMicro(), limit)
	return out, err
}

// CountWaiting counts the receipts that wait, by integration.
func (s *Store) CountWaiting(ctx context.Context, tenant string) (map[string]int64, error) {
	out := map[string]int64{}
	err := s.query(ctx, func(r *sql.Rows) error {
		var id string
		var n int64
		if err := r.Scan(&id, &n); err != nil {
			return err
		}
		out[id] = n
		return nil
	}, `select integration, count(*) from waiting where tenant = ? group by integration`, tenant)
	return out, err
}

// DropWaiting removes receipts that wait.
func (s *Store) DropWaiting(ctx context.Context, ns ...int64) error {
	list, err := json.Marshal(ns)
	if err == nil {
		_, err = s.db.ExecContext(ctx, `delete from waiting where n in (select value from json_each(?))`, string(list))
	}
	return err
}
