package sentry

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
)

// reportEvery is how long discarded events are gathered before a report is sent
// that no envelope took along.
const reportEvery = time.Minute

// Reasons of Sentry's for events that it will never get.
const (
	reasonSample    = "sample_rate"
	reasonRule      = "event_processor"
	reasonSend      = "send_error"
	reasonNetwork   = "network_error"
	reasonOverflow  = "cache_overflow"
	categoryError   = "error"
	categorySession = "session"
)

// discarded counts what Sentry does not get, to be told in client reports: so
// losses on our side show in the customer's own statistics. What a visitor's
// consent keeps from Sentry is no loss and not counted.
type discarded struct {
	mu    sync.Mutex
	since time.Time // of the oldest that is not told
	n     map[loss]int
}

type loss struct{ reason, category string }

func (d *discarded) add(l loss, n int, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.n == nil {
		d.n = map[loss]int{}
	}
	if len(d.n) == 0 {
		d.since = now
	}
	d.n[l] += n
}

// take empties the counts.
func (d *discarded) take() map[loss]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := d.n
	d.n = nil
	return out
}

func (d *discarded) due(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.n) > 0 && now.Sub(d.since) >= reportEvery
}

// back puts counts back that could not be told.
func (d *discarded) back(counts map[loss]int, now time.Time) {
	for l, n := range counts {
		d.add(l, n, now)
	}
}

// clientReport is the item that tells counts.
func clientReport(counts map[loss]int, now time.Time) (item, error) {
	type line struct {
		Reason   string `json:"reason"`
		Category string `json:"category"`
		Quantity int    `json:"quantity"`
	}
	var lines []line
	for l, n := range counts {
		lines = append(lines, line{l.reason, l.category, n})
	}
	slices.SortFunc(lines, func(a, b line) int {
		return cmp.Or(cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Category, b.Category))
	})
	b, err := json.Marshal(map[string]any{"timestamp": now.UTC().Format(time.RFC3339), "discarded_events": lines})
	return item{kind: "client_report", payload: b}, err
}

func category(e *headlessly.Event) string {
	if e.Type == headlessly.TypeSession {
		return categorySession
	}
	return categoryError
}

// Dropped implements forwarders.Reporter.
func (d *Destination) Dropped(e *headlessly.Event, reason string) {
	why := ""
	switch reason {
	case forwarders.SkipSample:
		why = reasonSample
	case forwarders.SkipRule, forwarders.SkipBot, forwarders.SkipIntegration:
		why = reasonRule
	case forwarders.DropBudget:
		why = reasonNetwork
	case forwarders.DropExpired:
		why = reasonOverflow
	default:
		return
	}
	d.lost.add(loss{why, category(e)}, 1, d.deps.Clock())
}

// Due implements forwarders.Reporter.
func (d *Destination) Due() bool { return d.lost.due(d.deps.Clock()) }

// Report implements forwarders.Reporter: an envelope with nothing but the
// report, which Sentry never rate limits.
func (d *Destination) Report(ctx context.Context) {
	counts := d.lost.take()
	if len(counts) == 0 {
		return
	}
	now := d.deps.Clock()
	it, err := clientReport(counts, now)
	if err == nil {
		_, err = d.post(ctx, []item{it}, now)
	}
	if err != nil && !unknown(err) {
		d.lost.back(counts, now)
	}
}
