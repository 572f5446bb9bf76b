package collector

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/headlessly/headlessly"
)

// usageEvery is how often the day's counts are kept; what was counted since is
// forgotten by a kill, in the tenant's favour.
const usageEvery = 10 * time.Second

// usage is what each tenant has used of its events of a day, as it is kept over
// a restart. Only tenants with a limit are counted.
type usage struct {
	Day  int64            `json:"day"` // since 1970, UTC
	Used map[string]int64 `json:"used"`
}

// usage gives the counts of the day that now is in.
func (d *door) usage(now time.Time) usage {
	u := usage{Day: dayOf(now), Used: map[string]int64{}}
	for _, tenant := range d.tenants.Keys() {
		s, ok := d.tenants.Peek(tenant)
		if !ok {
			continue
		}
		s.mu.Lock()
		if s.day == u.Day && s.used > 0 {
			u.Used[tenant] = s.used
		}
		s.mu.Unlock()
	}
	return u
}

// resume takes over the counts of an earlier run.
func (d *door) resume(u usage) {
	for tenant, used := range u.Used {
		s := d.state(tenant)
		s.mu.Lock()
		s.day, s.used = u.Day, used
		s.mu.Unlock()
	}
}

// loadUsage reads the counts that an earlier run has kept. A file that cannot
// be read costs them, not the start.
func (c *Collector) loadUsage() {
	if c.cfg.UsageFile == "" {
		return
	}
	raw, err := os.ReadFile(filepath.Clean(c.cfg.UsageFile))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var u usage
	if err == nil {
		err = json.Unmarshal(raw, &u)
	}
	if err != nil {
		c.cfg.Logger.Warn("collector.usage_unreadable", slog.Any("error", err))
		return
	}
	if u.Day == dayOf(c.cfg.Clock()) {
		c.door.resume(u)
	}
}

// KeepUsage keeps the day's counts in Config.UsageFile until ctx is done, and
// then a last time: call it so that it ends after Shutdown.
func (c *Collector) KeepUsage(ctx context.Context) {
	tick := time.NewTicker(usageEvery)
	defer tick.Stop()
	var kept []byte
	for more := true; more; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			more = false
		}
		raw, err := json.Marshal(c.door.usage(c.cfg.Clock()))
		if err == nil && string(raw) != string(kept) && c.cfg.UsageFile != "" {
			err = headlessly.WriteFile(c.cfg.UsageFile, raw)
		}
		if err != nil {
			c.cfg.Logger.Warn("collector.usage_not_kept", slog.Any("error", err))
			continue
		}
		kept = raw
	}
}
