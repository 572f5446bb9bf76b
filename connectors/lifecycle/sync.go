package lifecycle

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/store"
)

// firstSync is when an integration syncs for the first time in this process: at
// once when a sync was under way or never was, else after its interval.
func (c *Connections) firstSync(e *graph.Entity) time.Time {
	now := c.cfg.Clock()
	last, err := time.Parse(time.RFC3339Nano, e.Text("lastSyncAt"))
	switch status := e.Text("status"); {
	case err != nil || status == statusSyncing || status == statusConnected:
		return now
	default:
		conn := c.cfg.Registry.Find(e.Text("provider"))
		return last.Add(conn.Kind().SyncEvery)
	}
}

// ask has an integration synced soon.
func (c *Connections) ask(n *linked) {
	c.mu.Lock()
	n.due, n.refused = c.cfg.Clock(), false
	n.asked, n.again = true, n.syncing
	c.mu.Unlock()
	c.poke()
}

// schedule starts the syncs whose time has come.
func (c *Connections) schedule(ctx context.Context) {
	for ctx.Err() == nil {
		now := c.cfg.Clock()
		c.mu.Lock()
		for _, n := range c.links {
			if _, ok := n.conn.(connectors.Syncer); ok && !n.syncing && !n.refused && !n.due.After(now) {
				run, stop := context.WithCancel(connectors.Own(ctx))
				ended := make(chan struct{})
				n.syncing, n.stop, n.ended = true, stop, ended
				c.syncs.Go(func() {
					defer close(ended)
					defer stop()
					c.runSync(run, n)
				})
			}
		}
		c.mu.Unlock()
		wait, cancel := context.WithCancel(ctx)
		go func() {
			select {
			case <-c.wake:
			case <-wait.Done():
			}
			cancel()
		}()
		_ = c.cfg.Sleep(wait, c.cfg.Scan) // ends early when there is news
		cancel()
	}
}

// runSync syncs one integration, with retries, and records how it ended.
func (c *Connections) runSync(ctx context.Context, n *linked) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return
	}
	every, begun := n.kind.SyncEvery, c.cfg.Clock()
	err := c.syncOnce(ctx, n)
	held := isHeld(err)
	c.mu.Lock()
	n.syncing, n.phase, n.held = false, "", ""
	if held {
		n.held = err.Error()
	}
	switch {
	case n.again:
		n.again, n.due = false, c.cfg.Clock()
	case held && graph.CodeOf(err) == graph.CodeUnavailable:
		n.due = begun.Add(c.cfg.RetryMax)
	case every <= 0:
		n.due = begun.Add(24 * time.Hour)
	default:
		n.due = begun.Add(every)
	}
	c.mu.Unlock()
	switch {
	case err == nil || ctx.Err() != nil:
	case held:
		n.link.Logger.Warn("integration.sync_held", slog.String("error", err.Error()))
	default:
		n.link.Logger.Warn("integration.sync_failed", slog.String("error", scrub(n.link, err.Error())))
		c.failed(ctx, n.link.ID, err)
	}
	c.poke()
}

func (c *Connections) syncOnce(ctx context.Context, n *linked) error {
	l := n.link
	st, err := c.cfg.Store.SyncState(ctx, l.ID)
	if err != nil {
		return err
	}
	if st.Phase == "" {
		st.StartedAt, st.Count = c.cfg.Clock().UnixMicro(), 0
	}
	if err := c.begin(ctx, n); err != nil {
		return err
	}
	rejected, firstReject, err := c.pages(ctx, n, &st)
	if err != nil {
		return err
	}
	c.failed(ctx, l.ID, nil) // recovered, if it was errored
	st.Complete, st.Phase = true, ""
	count := st.Count
	took := float64(c.cfg.Clock().UnixMicro()-st.StartedAt) / float64(time.Second/time.Microsecond)
	args := map[string]any{
		"status": statusSynced, "lastSyncAt": graph.FormatTime(c.cfg.Clock().UnixMicro()), "lastSyncCount": count, "lastSyncDuration": took,
		"error": nil, "errorCount": 0,
	}
	if rejected > 0 {
		args["error"], args["errorCount"] = scrub(l, firstReject.Error()), rejected
	}
	if err := c.record(ctx, l, "Synced", args); err != nil {
		return err
	}
	c.setStatus(n, statusSynced)
	st.Count = 0
	return c.cfg.Store.SaveSync(ctx, l.Tenant, l.ID, st)
}

func (c *Connections) setStatus(n *linked, status string) {
	c.mu.Lock()
	n.status = status
	c.mu.Unlock()
}

// pages applies page after page, and tries again from the last one after a
// fault that may pass.
func (c *Connections) pages(ctx context.Context, n *linked, st *store.SyncState) (rejected int, firstReject error, err error) {
	l := n.link
	pause := c.cfg.RetryBase
	for try := 1; ; {
		var fault error
		for page, err := range n.conn.(connectors.Syncer).Sync(ctx, l, st.Cursor) { //nolint:forcetypeassert // schedule looked
			if err != nil {
				fault = err
				break
			}
			errs, err := c.applyPage(ctx, l, page.Changes)
			if err == nil {
				err = passing(errs)
			}
			if err != nil {
				fault = err
				break
			}
			if bad, first := rejects(errs); bad > 0 {
				if rejected += bad; firstReject == nil {
					firstReject = first
				}
			}
			st.Cursor, st.Phase = page.Cursor, page.Phase
			if st.Phase == "" {
				st.Phase = "objects"
			}
			st.Count += int64(len(page.Changes))
			if fault = c.cfg.Store.SaveSync(ctx, l.Tenant, l.ID, *st); fault != nil {
				break
			}
			try, pause = 1, c.cfg.RetryBase
			c.mu.Lock()
			n.phase, n.count = st.Phase, st.Count
			c.mu.Unlock()
		}
		switch {
		case fault == nil && ctx.Err() == nil:
			return rejected, firstReject, nil
		case ctx.Err() != nil:
			return 0, nil, ctx.Err()
		case lasting(fault), try >= c.cfg.SyncTries:
			return 0, nil, fault
		}
		try++
		if err := c.cfg.Sleep(ctx, max(pause, pauseOf(fault))); err != nil {
			return 0, nil, err
		}
		pause = min(2*pause, c.cfg.RetryMax)
	}
}

// applyPage applies a page's changes, those of objects of our own making once
// their mutations are stored.
func (c *Connections) applyPage(ctx context.Context, l *connectors.Link, changes []connectors.Change) ([]error, error) {
	errs, err := c.apply(ctx, l, changes)
	for err == nil {
		var early []connectors.Change
		var at []int
		for i, e := range errs {
			if errors.Is(e, errEarly) {
				early, at = append(early, changes[i]), append(at, i)
			}
		}
		if len(early) == 0 {
			break
		}
		if err = c.cfg.Sleep(ctx, c.cfg.RetryBase); err != nil {
			break
		}
		var again []error
		again, err = c.apply(ctx, l, early)
		for k, i := range at {
			errs[i] = again[k]
		}
	}
	return errs, err
}

// Progress is how an integration does.
type Progress struct {
	ID         string     `json:"id"`
	Provider   string     `json:"provider"`
	Status     string     `json:"status"`
	LastSyncAt string     `json:"lastSyncAt,omitempty"`
	Error      string     `json:"error,omitempty"`
	Sync       *SyncPhase `json:"sync,omitempty"`    // while it syncs
	Waiting    int64      `json:"waiting,omitempty"` // receipts that could not be mapped yet
}

// SyncPhase is how far a sync has come.
type SyncPhase struct {
	Phase string `json:"phase"`
	Count int64  `json:"count"` // objects so far
}

// Status tells how a tenant's integrations do.
func (c *Connections) Status(ctx context.Context, tenant string) ([]Progress, error) {
	sc, err := c.cfg.Graph.Scope(tenant, graph.Anonymous)
	if err != nil {
		return nil, err
	}
	waiting, err := c.cfg.Store.CountWaiting(ctx, tenant)
	if err != nil {
		return nil, err
	}
	out := []Progress{}
	q := graph.Query{Type: integration, Sort: []string{"$createdAt"}, Limit: graph.MaxLimit, NoTotal: true}
	for more := true; more; {
		page, err := sc.Find(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, e := range page.Results {
			p := Progress{ID: e.ID, Provider: e.Text("provider"), Status: e.Text("status"), LastSyncAt: e.Text("lastSyncAt"), Error: e.Text("error"), Waiting: waiting[e.ID]}
			if n := c.find(e.ID); n != nil {
				c.mu.RLock()
				if n.syncing {
					p.Sync = &SyncPhase{n.phase, n.count}
				}
				if n.held != "" {
					p.Error = n.held
				}
				c.mu.RUnlock()
			}
			out = append(out, p)
		}
		more, q.Cursor = page.HasMore, page.Cursor
	}
	return out, nil
}
