package replays

import (
	"time"

	"github.com/headlessly/headlessly/forwarders"
)

// States of a job.
const (
	Running = "running"
	Done    = "done"
	Stopped = "stopped" // by hand; can be resumed
	Failed  = "failed"  // can be resumed
)

// Request says what to send again.
type Request struct {
	Tenant      string `json:"tenant"`
	Destination string `json:"destination"`
	// From names the source.
	From string `json:"from"`
	// Since and Until bound the time of receipt; zero for open.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Filter is an expression of the rules language, "" for all.
	Filter string `json:"filter,omitempty"`
	// PerSecond bounds the rate, 0 for the destination's own.
	PerSecond float64 `json:"perSecond,omitempty"`
	// DryRun sends nothing and counts what would be sent.
	DryRun bool `json:"dryRun,omitempty"`
}

// Job is a replay and how far it is.
type Job struct {
	ID string `json:"id"`
	Request
	CreatedAt time.Time `json:"createdAt"`
	EndedAt   time.Time `json:"endedAt,omitzero"`
	State     string    `json:"state"`
	Error     string    `json:"error,omitempty"`
	// Total is how many events the source has for it, 0 where that is not
	// known; Share is how much of them is read, 0 to 1.
	Total int64   `json:"total,omitempty"`
	Share float64 `json:"share"`
	// Report counts what was done, over all interruptions.
	Report forwarders.ReplayReport `json:"report"`
}

// plus adds up the reports of a job's parts.
func plus(a, b forwarders.ReplayReport) forwarders.ReplayReport {
	return forwarders.ReplayReport{
		Read: a.Read + b.Read, Filtered: a.Filtered + b.Filtered, Skipped: a.Skipped + b.Skipped, Matched: a.Matched + b.Matched,
		Delivered: a.Delivered + b.Delivered, Refused: a.Refused + b.Refused, Parked: a.Parked + b.Parked, Unknown: a.Unknown + b.Unknown, Missing: a.Missing + b.Missing,
		Position: max(a.Position, b.Position),
	}
}
