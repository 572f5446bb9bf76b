package forwarders

import "sync"

// frame is one log frame on its way through the lanes.
type frame struct {
	seq  uint64
	left int  // deliveries not yet finished
	read bool // all its deliveries are known
}

// frames tracks which frames are finished, so that the cursor only moves over
// those of which every event is delivered, skipped or parked.
type frames struct {
	mu   sync.Mutex
	list []*frame // in order, unfinished first
	done uint64   // everything up to here is finished
	wake chan struct{}
}

func newFrames(done uint64) *frames {
	return &frames{done: done, wake: make(chan struct{}, 1)}
}

// begin adds a frame that is being read.
func (f *frames) begin(seq uint64) *frame {
	fr := &frame{seq: seq}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, fr)
	return fr
}

// add announces n more deliveries of a frame.
func (f *frames) add(fr *frame, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fr.left += n
}

// end says that the frame has been read: no more deliveries will be added.
func (f *frames) end(fr *frame) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fr.read = true
	f.advance()
}

// finish takes one delivery off a frame.
func (f *frames) finish(fr *frame) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fr.left--
	if fr.left == 0 && fr.read {
		f.advance()
	}
}

func (f *frames) advance() {
	moved := 0
	for _, fr := range f.list {
		if !fr.read || fr.left > 0 {
			break
		}
		f.done = fr.seq
		moved++
	}
	if moved == 0 {
		return
	}
	f.list = f.list[moved:]
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// finished is the sequence up to which the cursor may move.
func (f *frames) finished() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.done
}
