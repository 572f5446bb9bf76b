package forwarders

import (
	"context"
	"log/slog"
	"time"

	"github.com/headlessly/headlessly"
)

// retainEvery is how often the parked store is held against its bounds.
const retainEvery = 10 * time.Second

// keepDeadEvery is how often dead items are looked through for old ones.
const keepDeadEvery = time.Hour

// retain keeps the parked store within its bounds: at most MaxParked items a
// lane, dead ones for at most KeepDead. What it removes is counted and logged.
func (r *Router) retain(ctx context.Context) {
	var looked time.Time
	for sleep(ctx, retainEvery) {
		now := r.cfg.Clock()
		old := now.Sub(looked) >= keepDeadEvery
		if old {
			looked = now
		}
		for key, s := range r.Stats() {
			if s.Parked > r.cfg.MaxParked {
				r.expire(ctx, key, parked, s.Parked-r.cfg.MaxParked*9/10, func(it headlessly.ParkedItem) bool {
					return !it.Dead && !it.Unknown && !r.retry.isOut(key, it.ID)
				})
			}
			if n := s.Dead + s.Unknown; old && n > 0 {
				for _, from := range []place{dead, unknown} {
					r.expire(ctx, key, from, n, func(it headlessly.ParkedItem) bool {
						return it.Dead == (from == dead) && it.Unknown == (from == unknown) && now.Sub(it.ParkedAt) > r.cfg.KeepDead
					})
				}
			}
		}
	}
}

// expire removes at most n items of a lane that fit, oldest first.
func (r *Router) expire(ctx context.Context, key Key, from place, n int64, fits func(headlessly.ParkedItem) bool) {
	var ids []uint64
	var gone int64
	flush := func() bool {
		if len(ids) == 0 {
			return true
		}
		if err := r.cfg.Parked.Remove(ctx, ids...); err != nil {
			r.cfg.Logger.LogAttrs(ctx, slog.LevelError, "parked.expire", slog.String("tenant", key.Tenant),
				slog.String("destination", key.Destination), slog.Any("error", err))
			return false
		}
		for range ids {
			r.counters(key).move(from, removed)
		}
		gone += int64(len(ids))
		ids = ids[:0]
		return true
	}
	for it, err := range r.cfg.Parked.List(ctx, key.Tenant, key.Destination) {
		if gone+int64(len(ids)) >= n {
			break
		}
		if err != nil || !fits(it) {
			continue
		}
		if from == parked {
			r.droppedItem(key, &it)
		}
		if ids = append(ids, it.ID); len(ids) == parkBatch && !flush() {
			return
		}
	}
	if flush() && gone > 0 {
		r.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "parked.expired", slog.String("tenant", key.Tenant),
			slog.String("destination", key.Destination), slog.Int64("items", gone))
	}
}
