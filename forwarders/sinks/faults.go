package sinks

import (
	"fmt"
	"net"
	"net/http"
	"time"
)

// Fault makes a stand-in misbehave. Zero fields do nothing.
type Fault struct {
	Kind  string // of which stand-in, "" for all
	Times int    // for how many requests, 0 until it is cleared

	// Status answers with it instead, with Header and Body.
	Status int
	Header map[string]string
	Body   string
	// Delay waits before anything else.
	Delay time.Duration
	// Hang never answers, until the client gives up.
	Hang bool
	// ResetBefore cuts the connection before the body is read, ResetAfter
	// behind it, before the event counts; LoseAnswer afterwards: the provider
	// has the event and nobody is told.
	ResetBefore, ResetAfter, LoseAnswer bool
	// Drip answers a byte each time, Endless without an end.
	Drip    time.Duration
	Endless bool

	left int
}

// Fail adds a fault; faults are used in the order they were added.
func (s *Sinks) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.left = f.Times
	s.faults = append(s.faults, &f)
}

// Heal removes the faults of a kind, "" for all.
func (s *Sinks) Heal(kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keep []*Fault
	for _, f := range s.faults {
		if kind != "" && f.Kind != kind {
			keep = append(keep, f)
		}
	}
	s.faults = keep
}

// fault takes the next fault for a request of a kind.
func (s *Sinks) fault(kind string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if f.Kind != "" && f.Kind != kind {
			continue
		}
		if f.Times > 0 {
			if f.left--; f.left <= 0 {
				s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
			}
		}
		c := *f
		return &c
	}
	return nil
}

// before acts before the body is read and says whether that was all.
func (f *Fault) before(w http.ResponseWriter, r *http.Request) bool {
	if f.Delay > 0 {
		t := time.NewTimer(f.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.Context().Done():
			return true
		}
	}
	if f.ResetBefore {
		f.hangUp(w)
		return true
	}
	return false
}

// after acts once the body was read and says whether that was all.
func (f *Fault) after(w http.ResponseWriter, r *http.Request, _ []byte) bool {
	switch {
	case f.ResetAfter:
		f.hangUp(w)
		return true
	case f.Hang:
		<-r.Context().Done()
		return true
	}
	for k, v := range f.Header {
		w.Header().Set(k, v)
	}
	status := f.Status
	switch {
	case f.Drip > 0 || f.Endless:
		if status == 0 {
			status = http.StatusOK
		}
		w.WriteHeader(status)
		f.pour(w, r)
		return true
	case status != 0:
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, f.Body)
		return true
	}
	return false
}

// pour writes until the client has had enough.
func (f *Fault) pour(w http.ResponseWriter, r *http.Request) {
	chunk := make([]byte, 4096)
	for i := range chunk {
		chunk[i] = ' '
	}
	if f.Drip > 0 {
		chunk = chunk[:1]
	}
	flush := http.NewResponseController(w)
	for r.Context().Err() == nil {
		if _, err := w.Write(chunk); err != nil {
			return
		}
		_ = flush.Flush()
		if f.Drip > 0 {
			time.Sleep(f.Drip)
		}
	}
}

// hangUp cuts the connection, with a reset where there is TCP below.
func (f *Fault) hangUp(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2, or the answer has begun
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
