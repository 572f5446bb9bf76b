package connectortest

import (
	"testing"
	"time"
)

// emit makes an event and gives how many will have arrived with it.
func (s *suite) emit(t *testing.T) int {
	t.Helper()
	before, _ := s.Sent()
	if err := s.Emit(t.Context(), s.Scope); err != nil {
		t.Fatal(err)
	}
	return before + 1
}

// arrives waits, while time passes, until so many events have arrived.
func (s *suite) arrives(t *testing.T, want int) (got int) {
	t.Helper()
	WaitFor(t, "events arrive", func() bool {
		if got, _ = s.Sent(); got >= want {
			return true
		}
		s.Clock.Advance(time.Second)
		return false
	})
	return got
}

// works fails unless the integration does what it is for.
func (s *suite) works(t *testing.T) {
	t.Helper()
	if s.InUse != nil && !s.InUse() {
		t.Error("it is not in use")
	}
	if s.Emit != nil {
		s.arrives(t, s.emit(t))
	}
	if s.Create != nil {
		before := s.Made()
		if err := s.Create(t.Context(), s.Scope); err != nil || s.Made() != before+1 {
			t.Errorf("a mutation: %v, %d made at the provider, want one", err, s.Made()-before)
		}
	}
	if s.Change != nil && s.Receipts != nil {
		s.Receipts(s.id) // of what happened before
		s.Change()
		in := s.Receipts(s.id)
		for i := range in {
			if err := s.Connections.Verify(&in[i]); err != nil {
				t.Errorf("verify: %v", err)
			}
		}
		if err := s.Connections.Receive(t.Context(), in); err != nil {
			t.Error(err)
		}
		if !s.Shows(s.Scope) {
			t.Error("the graph does not show the change")
		}
	}
}

func (s *suite) sends(t *testing.T) {
	t.Helper()
	s.synced(t)
	s.arrives(t, s.emit(t))
	s.arrives(t, s.emit(t))
	if _, again := s.Sent(); again > 0 {
		t.Errorf("%d arrived more than once", again)
	}
	want := s.emit(t)
	s.Bench.Close(t)
	s.Open(t)
	s.arrives(t, want)
}

func (s *suite) sendsLater(t *testing.T) {
	t.Helper()
	s.synced(t)
	s.Down(true)
	want := s.emit(t)
	s.Clock.Advance(time.Minute)
	s.Bench.Close(t)
	s.Open(t)
	s.Clock.Advance(time.Minute)
	s.Down(false)
	s.arrives(t, want)
}

func (s *suite) sendsSlowly(t *testing.T) {
	t.Helper()
	s.synced(t)
	s.Limit(true)
	want := 0
	for range 6 {
		if err := s.Emit(t.Context(), s.Scope); err != nil {
			t.Fatal(err)
		}
		want++
	}
	s.arrives(t, want)
}

func (s *suite) restarts(t *testing.T) {
	t.Helper()
	s.synced(t)
	s.Bench.Close(t)
	s.Open(t)
	if got := s.Integration(t, s.id).Text("status"); got != s.well() {
		t.Errorf("got %s, want %s", got, s.well())
	}
	s.works(t)
}
