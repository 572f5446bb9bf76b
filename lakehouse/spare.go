package lakehouse

import (
	"sync"
	"time"
)

// spareFor is how long a started worker waits for a query.
const spareFor = time.Minute

// spare is a worker that was started for the next query: who asks several, one
// after the other, does not wait for a process each time.
type spare struct {
	mu     sync.Mutex
	w      *worker
	end    *time.Timer
	filled sync.WaitGroup
	closed bool
}

// take gives the worker, nil where there is none or it has died.
func (s *spare) take() *worker {
	s.mu.Lock()
	w := s.w
	s.w = nil
	if s.end != nil {
		s.end.Stop()
	}
	s.mu.Unlock()
	if w == nil {
		return nil
	}
	select {
	case <-w.exited:
		w.drop()
		return nil
	default:
		return w
	}
}

// fill has a worker started, without waiting for it.
func (s *spare) fill(start func() (*worker, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.w != nil {
		return
	}
	s.filled.Go(func() {
		w, err := start()
		if err != nil {
			return // the query that needs one says so
		}
		s.mu.Lock()
		full := s.closed || s.w != nil
		if !full {
			s.w = w
			s.end = time.AfterFunc(spareFor, func() { s.expire(w) })
		}
		s.mu.Unlock()
		if full {
			w.drop()
		}
	})
}

// expire ends a worker that nobody has taken.
func (s *spare) expire(w *worker) {
	s.mu.Lock()
	mine := s.w == w
	if mine {
		s.w = nil
	}
	s.mu.Unlock()
	if mine {
		w.drop()
	}
}

// close ends what waits.
func (s *spare) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.filled.Wait()
	if w := s.take(); w != nil {
		w.drop()
	}
}
