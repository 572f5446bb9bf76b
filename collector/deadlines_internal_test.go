package collector

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestRequestsShareADeadlineThatIsNeverTooLate(t *testing.T) {
	d := deadlines{after: time.Hour}
	began := time.Now()
	first := d.get()
	if end, ok := first.Deadline(); !ok || end.Before(began.Add(d.after)) || end.After(time.Now().Add(d.after)) {
		t.Errorf("the first ends at %s, want an hour behind %s", end, began)
	}
	if d.get() != first {
		t.Error("a request at the same time has another context")
	}
	d.until = time.Now().Add(-time.Second) // an eighth of the time has passed
	second := d.get()
	if second == first {
		t.Error("a later request has the deadline of an earlier one")
	}
	if err := first.Err(); err != nil {
		t.Errorf("the former context ended when another was made: %v", err)
	}
}

func TestADeadlineEnds(t *testing.T) {
	d := deadlines{after: time.Millisecond}
	ctx := d.get()
	<-ctx.Done()
	if err := ctx.Err(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if next := d.get(); next == ctx {
		t.Error("the next request gets a context that has ended")
	}
}
