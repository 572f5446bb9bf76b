package lakehouse

import (
	"time"
)

// Stats are a writer's counters since its start, and its state.
type Stats struct {
	Rows     int64 // committed to events
	Rejected int64 // committed to rejected
	Others   int64 // committed to the other tables
	Commits  int64 // of any table
	Failed   int64 // attempts at a commit that gave an error

	Duplicates int64  // rows dropped because their id was known
	Corrupt    int64  // records and frames that could not be decoded
	Missing    uint64 // frames that the log has lost

	CommitSeconds float64 // spent in successful commits
	LastCommit    time.Time
	LastError     string // of the newest failed attempt, "" after a success

	Taken     uint64 // newest frame in the open batch or a table
	Committed uint64 // newest frame that is in the tables
	OpenRows  int    // in the open and the sealed batches
	OpenBytes int64
}

// Lag is how many frames are taken and not yet committed.
func (s Stats) Lag() uint64 { return s.Taken - min(s.Taken, s.Committed) }
