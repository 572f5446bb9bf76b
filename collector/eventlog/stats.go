package eventlog

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Stats is what the log has done since it was opened and what it holds, for
// metrics.
type Stats struct {
	Frames, Records, Bytes uint64 // made durable by this process
	Refused                uint64 // calls of Append that were refused
	Waiting                int    // bytes waiting for the disk
	Last                   uint64 // newest durable sequence
	Trimmed                uint64 // frames up to here were trimmed
	StoredBytes            int64  // the events stream
	FreeBytes              int64  // on its disk; -1 where not known
	Committed              map[string]uint64

	Gaps    uint64 // frames missing, seen by readers or at the start
	Corrupt uint64 // frames unreadable, seen by readers

	// Sync is the time from sending a frame to its ack: an fsync, or a quorum.
	Sync Histogram

	// Salvage is what the search of a store that was not cleanly shut found.
	Salvage SalvageStats
}

// Histogram counts observations by upper bound, the last without one.
type Histogram struct {
	Bounds []float64 // seconds
	Counts []uint64  // one more than Bounds
	Sum    float64   // seconds
}

// syncBounds spans a fast disk's fsync to a disk about to fail.
var syncBounds = [...]float64{
	0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 2, 5, 10,
}

type counters struct {
	frames, records, bytes, refused atomic.Uint64
	gaps, corrupt                   atomic.Uint64

	syncNanos  atomic.Int64
	syncCounts [len(syncBounds) + 1]atomic.Uint64
}

// committed counts one durable frame.
func (c *counters) committed(records, bytes int, took time.Duration) {
	c.frames.Add(1)
	c.records.Add(uint64(records)) //nolint:gosec // a count
	c.bytes.Add(uint64(bytes))     //nolint:gosec // a count
	c.syncNanos.Add(int64(took))
	i := 0
	for i < len(syncBounds) && took.Seconds() > syncBounds[i] {
		i++
	}
	c.syncCounts[i].Add(1)
}

// Stats gives the counters as they are now. It does no I/O beyond asking the
// file system for its free space.
func (l *Log) Stats() Stats {
	c := &l.stats
	s := Stats{
		Frames: c.frames.Load(), Records: c.records.Load(), Bytes: c.bytes.Load(), Refused: c.refused.Load(),
		Last: l.last.Load(), Trimmed: l.trimmed.Load(), StoredBytes: l.used.Load(), FreeBytes: l.disk.free(),
		Gaps: c.gaps.Load(), Corrupt: c.corrupt.Load(), Committed: l.cursors.all(),
		Sync:    Histogram{Bounds: syncBounds[:], Sum: time.Duration(c.syncNanos.Load()).Seconds()},
		Salvage: l.salvage.SalvageStats,
	}
	for i := range c.syncCounts {
		s.Sync.Counts = append(s.Sync.Counts, c.syncCounts[i].Load())
	}
	l.mu.Lock()
	s.Waiting = l.waiting
	l.mu.Unlock()
	return s
}

// cursorCache remembers what each reader has committed through this process.
type cursorCache struct {
	mu sync.Mutex
	m  map[string]uint64
}

func (c *cursorCache) all() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.m)
}

func (c *cursorCache) get(reader string) (uint64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	seq, ok := c.m[reader]
	return seq, ok
}

func (c *cursorCache) set(reader string, seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		c.m = make(map[string]uint64)
	}
	c.m[reader] = max(seq, c.m[reader])
}

func (c *cursorCache) forget(reader string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.m, reader)
}
