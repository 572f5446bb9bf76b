package eventlog

import (
	"bytes"
	"sync"
	"time"

	"github.com/headlessly/headlessly"
)

// recentBytes bounds the newest frames that are kept in memory. Readers that
// keep up take their frames from here: through the store each of them would
// make the server load whole blocks and keep them cached for ten seconds,
// which at 50 MB/s is half a gigabyte, and would decompress each frame again.
const recentBytes = 16 << 20

// recent holds the newest frames that this process has made durable. Readers
// share their records' memory.
type recent struct {
	mu     sync.RWMutex
	frames map[uint64]headlessly.Frame
	order  []recentFrame // as they were acknowledged, nearly ascending
	bytes  int
}

type recentFrame struct {
	seq  uint64
	size int
}

// add keeps a copy of a durable frame's body.
func (r *recent) add(seq uint64, at time.Time, body []byte, count int) {
	records, err := split(bytes.Clone(body), count)
	if err != nil || count == 0 {
		return // readers get it from the store, and learn there what is wrong
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frames == nil {
		r.frames = map[uint64]headlessly.Frame{}
	}
	r.frames[seq] = headlessly.Frame{Seq: seq, Time: at, Records: records}
	r.order = append(r.order, recentFrame{seq, len(body)})
	r.bytes += len(body)
	for r.bytes > recentBytes && len(r.order) > 1 {
		r.bytes -= r.order[0].size
		delete(r.frames, r.order[0].seq)
		r.order = r.order[1:]
	}
}

// get gives the frame with this sequence.
func (r *recent) get(seq uint64) (headlessly.Frame, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	f, ok := r.frames[seq]
	return f, ok
}

// forget drops the frames up to a sequence.
func (r *recent) forget(through uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.order[:0:0]
	for _, f := range r.order {
		if f.seq > through {
			kept = append(kept, f)
			continue
		}
		r.bytes -= f.size
		delete(r.frames, f.seq)
	}
	r.order = kept
}
