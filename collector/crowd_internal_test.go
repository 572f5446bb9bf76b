package collector

import (
	"testing"
	"time"
)

// testCrowd is a crowd with a clock that the test sets.
type testCrowd struct {
	crowd
	now time.Time
}

func newTestCrowd() *testCrowd {
	c := &testCrowd{now: time.Unix(1_000_000, 0)}
	c.clock = func() time.Time { return c.now }
	return c
}

// arrive lets n requests of that cost in and gives how many were refused.
func (c *testCrowd) arrive(p *presence, n int, cost int64) (refused int) {
	for range n {
		if _, full := c.come(p, cost); full {
			refused++
		}
	}
	return refused
}

// serve answers requests evenly over a time.
func (c *testCrowd) serve(p *presence, n int, cost int64, over time.Duration) {
	for range n {
		c.now = c.now.Add(over / time.Duration(n))
		c.leave(p, cost, true)
	}
}

func TestACrowdIsLetInUntilItIsKnownHowFastItGetsOut(t *testing.T) {
	c, flood := newTestCrowd(), new(presence)
	if n := c.arrive(flood, 1_000, 100); n != 0 {
		t.Errorf("%d of 1000 were refused before anything is known", n)
	}
	c.serve(flood, 100, 100, time.Second) // 100 requests a second
	if got, want := c.estimate(), 9*time.Second; got < want-time.Second || got > want+time.Second {
		t.Errorf("900 requests at 100 a second: estimated %s, want about %s", got, want)
	}
	if n := c.arrive(flood, 50, 100); n != 50 {
		t.Errorf("%d of 50 were refused, want all: nine seconds wait before them", n)
	}
	c.serve(flood, 750, 100, 7500*time.Millisecond)
	if n := c.arrive(flood, 200, 100); n < 130 || n > 170 {
		t.Errorf("%d of 200 were refused, want about 150: two seconds are 200 requests, and 150 are inside", n)
	}
}

func TestAFloodIsRefusedAndAQuietOneIsNot(t *testing.T) {
	c, flood, quiet := newTestCrowd(), new(presence), new(presence)
	c.arrive(flood, 1_000, 100)
	c.serve(flood, 100, 100, time.Second)
	if n := c.arrive(quiet, 10, 100); n != 0 {
		t.Errorf("%d of the quiet one's 10 were refused; its share of the way out is half", n)
	}
	if n := c.arrive(flood, 1, 100); n != 1 {
		t.Error("the flood's next was let in")
	}
	if n := c.arrive(quiet, 200, 100); n < 80 || n > 120 {
		t.Errorf("%d of 200 were refused once the quiet one floods as well, want about 110: its share of two seconds is 100", n)
	}
}

func TestWhenNothingGetsOutOnlyAFewAreLetIn(t *testing.T) {
	c, flood := newTestCrowd(), new(presence)
	if n := c.arrive(flood, minInside+1, 100); n != 0 {
		t.Fatalf("%d were refused", n)
	}
	c.now = c.now.Add(stallAfter - time.Millisecond)
	if n := c.arrive(flood, 1, 100); n != 0 {
		t.Error("refused although it may be a short stop")
	}
	c.now = c.now.Add(time.Millisecond)
	if wait, full := c.come(flood, 100); !full || wait != maxRetry {
		t.Errorf("in a stall: full %v, wait %s", full, wait)
	}
	// It goes on: all get out, and what a stall has taught is forgotten.
	c.serve(flood, minInside+2, 100, time.Millisecond)
	if n := c.arrive(flood, 500, 100); n != 0 {
		t.Errorf("%d of 500 were refused after the stall", n)
	}
	c.serve(flood, 500, 100, time.Second)
	if c.requests != 0 || c.cost != 0 || c.flows != 0 {
		t.Errorf("%d requests, %d bytes and %d flows stay inside", c.requests, c.cost, c.flows)
	}
}

func TestARefusalSaysForAWhileThatThereIsTooMuch(t *testing.T) {
	c, flood := newTestCrowd(), new(presence)
	c.arrive(flood, 1_000, 100)
	c.serve(flood, 100, 100, time.Second)
	if c.overflows() {
		t.Error("too much before anybody was refused")
	}
	c.arrive(flood, 1, 100)
	c.now = c.now.Add(overflowMemory - time.Millisecond)
	if !c.overflows() {
		t.Error("forgotten too early")
	}
	c.now = c.now.Add(time.Millisecond)
	if c.overflows() {
		t.Error("never forgotten")
	}
}

func TestWhoIsRefusedAfterAllDoesNotCountAsServed(t *testing.T) {
	c, flood := newTestCrowd(), new(presence)
	c.arrive(flood, 1_000, 100)
	for range 500 { // refused, one every millisecond
		c.now = c.now.Add(time.Millisecond)
		c.leave(flood, 100, false)
	}
	c.serve(flood, 50, 100, 500*time.Millisecond)
	if got, want := c.estimate(), 4500*time.Millisecond; got < want-time.Second || got > want+time.Second {
		t.Errorf("450 requests at 100 a second: estimated %s, want about %s", got, want)
	}
}

func TestHowLongTheFirstAnswerTakesIsNotHowFastOthersFollow(t *testing.T) {
	c, many := newTestCrowd(), new(presence)
	c.arrive(many, 512, 100)
	c.now = c.now.Add(400 * time.Millisecond) // all are served together, as a disk does
	for n := range 512 {
		c.leave(many, 100, true)
		if refused := c.arrive(many, 1, 100); refused > 0 {
			t.Fatalf("refused after %d of 512 answers within an instant", n+1)
		}
	}
	c.now = c.now.Add(400 * time.Millisecond)
	for n := range 512 {
		c.leave(many, 100, true)
		if refused := c.arrive(many, 1, 100); refused > 0 {
			t.Fatalf("refused after %d of 512 answers, 400 ms after the 512 before", n+1)
		}
	}
}
