package collector

import (
	"runtime"
	"testing"
	"time"
)

// testPace is a pace of a refusal each 10 ms, with a clock that the test sets.
func testPace() (p *pace, now *time.Time) {
	t := time.Unix(1_000_000, 0)
	p = newPace(func() time.Time { return t })
	p.every = 10 * time.Millisecond
	return p, &t
}

func TestRefusalsLeaveAtTheirPaceAtMost(t *testing.T) {
	p, now := testPace()
	burst := int(refusalBurst / p.every)
	for n := range burst + 1 {
		if d := p.wait(); d != 0 {
			t.Fatalf("refusal %d of the burst of %d: held %s", n+1, burst, d)
		}
	}
	for n := range 100 {
		if got, want := p.wait(), time.Duration(n+1)*p.every; got != want {
			t.Fatalf("refusal %d behind the burst: held %s, want %s", n+1, got, want)
		}
	}
	*now = now.Add(time.Second + refusalBurst)
	if d := p.wait(); d != 0 {
		t.Errorf("after a quiet second: held %s", d)
	}
}

func TestNoRefusalIsHeldLongerThanItsClientWaits(t *testing.T) {
	p, _ := testPace()
	for range 10_000 {
		if d := p.wait(); d > maxHold {
			t.Fatalf("held %s, at most %s is wanted", d, maxHold)
		}
	}
	if d := p.wait(); d != maxHold {
		t.Errorf("beyond what may be held: %s, want %s", d, maxHold)
	}
}

func TestTheEndLetsEverybodyGo(t *testing.T) {
	p, _ := testPace()
	p.every = time.Hour // nobody leaves by the clock
	p.wait()
	const held = 20
	gone := make(chan struct{})
	for range held {
		go func() { p.hold(); gone <- struct{}{} }()
	}
	for start := time.Now(); p.held.Load() < held; runtime.Gosched() {
		if time.Since(start) > time.Minute {
			t.Fatalf("%d of %d are held", p.held.Load(), held)
		}
	}
	p.stop()
	p.stop() // does nothing
	for range held {
		<-gone
	}
	if n := p.held.Load(); n != 0 {
		t.Errorf("%d are still held", n)
	}
}
