package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
)

// Shared is a place where several gateways keep their keys together: small
// values by name, changed by compare-and-set. Safe for concurrent use.
type Shared interface {
	// Put stores a value if its revision is rev (0: there is none) and gives
	// the new one. When somebody was faster the error is what Stale knows.
	Put(ctx context.Context, name string, value []byte, rev uint64) (uint64, error)
	// Get reads a value; rev is 0 where there is none.
	Get(ctx context.Context, name string) (value []byte, rev uint64, err error)
	// Watch calls f with each value and then with each change. It returns once
	// f has seen what was there.
	Watch(ctx context.Context, f func(name string, value []byte, rev uint64)) (stop func(), err error)
}

// errStale means that a key was changed by another gateway.
var errStale = errors.New("the key was changed at the same time; try again")

// ShareKeys joins this store's keys with those of every other gateway at the
// shared place, now and from now on. stale tells its compare-and-set's refusal.
func (s *Store) ShareKeys(ctx context.Context, shared Shared, stale error) (stop func(), err error) {
	s.mu.Lock()
	s.shared, s.stale = shared, stale
	s.mu.Unlock()
	if stop, err = shared.Watch(ctx, func(_ string, value []byte, rev uint64) { s.takeKey(context.WithoutCancel(ctx), value, rev) }); err != nil {
		return nil, fmt.Errorf("share keys: %w", err)
	}
	s.mu.RLock()
	var own []keyRecord // not there yet
	for _, h := range s.keys {
		if h.rev == 0 {
			own = append(own, h.rec)
		}
	}
	s.mu.RUnlock()
	for _, rec := range own {
		rev, err := s.publish(ctx, rec, 0)
		if errors.Is(err, errStale) {
			err = s.refreshKey(ctx, rec.ID)
		}
		if err != nil {
			stop()
			return nil, fmt.Errorf("share keys: %w", err)
		}
		s.mu.Lock()
		s.keys[rec.ID].rev = max(s.keys[rec.ID].rev, rev)
		s.mu.Unlock()
	}
	return stop, nil
}

// publish stores a record at the shared place; without one it does nothing.
func (s *Store) publish(ctx context.Context, rec keyRecord, rev uint64) (uint64, error) {
	s.mu.RLock()
	shared, stale := s.shared, s.stale
	s.mu.RUnlock()
	if shared == nil {
		return 0, nil
	}
	raw, err := json.Marshal(rec)
	if err != nil {
		return 0, err
	}
	rev, err = shared.Put(ctx, rec.ID, raw, rev)
	if errors.Is(err, stale) {
		return 0, errStale
	}
	return rev, err
}

// refreshKey reads a key anew from the shared place.
func (s *Store) refreshKey(ctx context.Context, id string) error {
	s.mu.RLock()
	shared := s.shared
	s.mu.RUnlock()
	value, rev, err := shared.Get(ctx, id)
	if err == nil && rev > 0 {
		s.takeKey(ctx, value, rev)
	}
	return err
}

// takeKey takes over a key as another gateway left it.
func (s *Store) takeKey(ctx context.Context, value []byte, rev uint64) {
	var rec keyRecord
	if err := json.Unmarshal(value, &rec); err != nil || rec.ID == "" {
		s.cfg.Logger.Error("store.shared_key", slog.Uint64("rev", rev), slog.Any("error", err))
		return
	}
	s.mu.Lock()
	h := s.keys[rec.ID]
	if h != nil && h.rev >= rev {
		s.mu.Unlock()
		return
	}
	stopped := rec.RevokedAt != 0 && (h == nil || h.rec.RevokedAt == 0) || h != nil && (rec.Hash != h.rec.Hash || rec.OldHash != h.rec.OldHash)
	s.hold(rec, rev)
	s.mu.Unlock()
	if stopped {
		s.tellRevoked(rec.ID)
	}
	if err := s.writeKey(ctx, rec); err != nil { // it is at the shared place, and read again at the next start
		s.cfg.Logger.Error("store.shared_key", slog.String("key", rec.ID), slog.Any("error", err))
	}
}

// NoteUses stores when keys were last used.
func (s *Store) NoteUses(ctx context.Context) error {
	s.mu.RLock()
	uses := make(map[string]int64, len(s.keys))
	for id, h := range s.keys {
		if at := h.used.Load(); at > s.noted[id] {
			uses[id] = at
		}
	}
	s.mu.RUnlock()
	for id, at := range uses {
		if _, err := s.db.ExecContext(ctx, `update keys set last_used_at = ? where id = ?`, at, id); err != nil {
			return fmt.Errorf("note use of %s: %w", id, err)
		}
		s.mu.Lock()
		s.noted[id] = at
		s.mu.Unlock()
	}
	return nil
}
