package eventlog

import (
	"bytes"
	"sync"
	"time"
)

// recentBytes bounds the newest frames that are kept in memory. Readers that
// keep up take their frames from here: through the store each of them would
// make the server load whole blocks and keep them cached for ten seconds,
// which at 50 MB/s is half a gigabyte.
const recentBytes = 16 << 20

// recent holds the newest frames that this process has made durable.
type recent struct {
	mu     sync.RWMutex
	frames map[uint64]stored
	order  []uint64 // as they were acknowledged, nearly ascending
	bytes  int
}

// add keeps a copy of a durable frame.
func (r *recent) add(seq uint64, at time.Time, payload []byte) {
	m := stored{seq: seq, time: at, data: bytes.Clone(payload)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frames == nil {
		r.frames = map[uint64]stored{}
	}
	r.frames[seq] = m
	r.order = append(r.order, seq)
	r.bytes += len(m.data)
	for r.bytes > recentBytes && len(r.order) > 1 {
		r.bytes -= len(r.frames[r.order[0]].data)
		delete(r.frames, r.order[0])
		r.order = r.order[1:]
	}
}

// get gives the frame with this sequence. Its bytes are shared and must not be
// changed.
func (r *recent) get(seq uint64) (stored, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	m, ok := r.frames[seq]
	return m, ok
}
