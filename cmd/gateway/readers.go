package gateway

import (
	"fmt"
	"maps"
	"slices"

	"github.com/headlessly/headlessly/forwarders"
)

// deliveryMetrics sums the lanes by destination.
func (g *Gateway) deliveryMetrics(p func(string, any)) {
	t := g.router.Totals()
	p("router_lost_frames_total", t.LostFrames)
	p("router_bad_records_total", t.BadRecords)
	p("router_unrecorded_attempts_total", t.Unrecorded)
	p("router_held_items", t.Items)
	p("router_held_bytes", t.Bytes)
	sums := map[string]forwarders.Stat{}
	for key, s := range g.router.Stats() {
		t := sums[key.Destination]
		t.Accepted += s.Accepted
		t.Delivered += s.Delivered
		t.Skipped += s.Skipped
		t.Pending += s.Pending
		t.Parked += s.Parked
		t.Dead += s.Dead
		t.Unknown += s.Unknown
		t.Carried += s.Carried
		t.Removed += s.Removed
		t.Attempts += s.Attempts
		t.Retries += s.Retries
		sums[key.Destination] = t
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		s := sums[name]
		for _, m := range []struct {
			name string
			n    int64
		}{
			{"accepted_total", s.Accepted},
			{"delivered_total", s.Delivered},
			{"skipped_total", s.Skipped},
			{"pending", s.Pending},
			{"parked", s.Parked},
			{"dead", s.Dead},
			{"unknown", s.Unknown},
			{"carried_total", s.Carried},
			{"removed_total", s.Removed},
			{"attempts_total", s.Attempts},
			{"retries_total", s.Retries},
		} {
			p(fmt.Sprintf("delivery_%s{destination=%q}", m.name, name), m.n)
		}
	}
}

// deliveryStatus gives the lanes of one tenant by destination.
func (g *Gateway) deliveryStatus(tenant string) map[string]forwarders.Stat {
	out := map[string]forwarders.Stat{}
	for key, s := range g.router.Stats() {
		if key.Tenant == tenant {
			out[key.Destination] = s
		}
	}
	return out
}

func (g *Gateway) lakeMetrics(p func(string, any)) {
	s := g.writer.Stats()
	p("lake_rows_total", s.Rows)
	p("lake_rejected_rows_total", s.Rejected)
	p("lake_other_rows_total", s.Others)
	p("lake_commits_total", s.Commits)
	p("lake_commit_failures_total", s.Failed)
	p("lake_commit_seconds_total", s.CommitSeconds)
	p("lake_duplicates_total", s.Duplicates)
	p("lake_corrupt_total", s.Corrupt)
	p("lake_missing_frames_total", s.Missing)
	p("lake_lag_frames", s.Lag())
	p("lake_open_rows", s.OpenRows)
	p("lake_open_bytes", s.OpenBytes)
	conflicts := g.lake.Conflicts()
	for _, column := range slices.Sorted(maps.Keys(conflicts)) {
		p(fmt.Sprintf("lake_type_conflicts_total{column=%q}", column), conflicts[column])
	}
}

func (g *Gateway) lakeStatus() map[string]any {
	s := g.writer.Stats()
	out := map[string]any{
		"rows": s.Rows, "commits": s.Commits, "lagFrames": s.Lag(), "openRows": s.OpenRows, "duplicates": s.Duplicates,
	}
	if !s.LastCommit.IsZero() {
		out["lastCommit"] = s.LastCommit.UTC()
	}
	if s.LastError != "" {
		out["lastError"] = s.LastError
	}
	return out
}
