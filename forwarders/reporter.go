package forwarders

import (
	"context"
	"time"

	"github.com/headlessly/headlessly"
)

// reportTimeout bounds one report.
const reportTimeout = 10 * time.Second

// reporter gives the lane's destination where it wants reports.
func (l *lane) reporter() Reporter {
	if !l.reports.Load() { // most do not: no lock for them
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	rep, _ := l.dest.(Reporter)
	return rep
}

// dropped tells the destination of an event that it will not get. The lane's
// lock is not held.
func (l *lane) dropped(e *headlessly.Event, reason string) {
	if rep := l.reporter(); rep != nil {
		rep.Dropped(e, reason)
	}
}

// droppedItem is dropped for a parked item, where its lane exists.
func (r *Router) droppedItem(key Key, it *headlessly.ParkedItem) {
	r.mu.RLock()
	l := r.lanes[key]
	r.mu.RUnlock()
	var e headlessly.Event
	if l != nil && e.UnmarshalBinary(it.Event) == nil {
		l.dropped(&e, DropExpired)
	}
}

// report sends the destination's report in the background when it is due, or
// in any case the last time.
func (l *lane) report(now time.Time, last bool) {
	rep := l.reporter()
	if rep == nil || !last && !rep.Due() {
		return
	}
	l.mu.Lock()
	l.used = now // it is not forgotten meanwhile
	l.mu.Unlock()
	l.r.calls.Go(func() {
		ctx, cancel := context.WithTimeout(l.r.work, reportTimeout)
		defer cancel()
		rep.Report(ctx)
	})
}
