package collector_test

import (
	"context"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector"
	"github.com/headlessly/headlessly/collector/dedupe"
)

// emptyLog is the reading side of a log that holds nothing yet.
type emptyLog struct{}

func (emptyLog) Read(context.Context, uint64) iter.Seq2[headlessly.Frame, error] {
	return func(func(headlessly.Frame, error) bool) {}
}

func (l emptyLog) ReadTo(ctx context.Context, from, _ uint64) iter.Seq2[headlessly.Frame, error] {
	return l.Read(ctx, from)
}

func (emptyLog) Last(context.Context) (uint64, error)              { return 0, nil }
func (emptyLog) Committed(context.Context, string) (uint64, error) { return 0, nil }
func (emptyLog) Commit(context.Context, string, uint64) error      { return nil }

func withDedupe(t testing.TB) func(*collector.Config) {
	t.Helper()
	x, err := dedupe.Open(context.Background(), dedupe.Default(t.TempDir(), emptyLog{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return func(c *collector.Config) { c.Dedupe = x }
}

func TestAnEventSentTwiceIsStoredOnceAndAcceptedTwice(t *testing.T) {
	g := start(t, withDedupe(t))
	body := []byte(`{"events":[{"event":"a","messageId":"order-7"},{"event":"b","messageId":"0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f"},{"event":"a","messageId":"order-7"},{"event":"c"}]}`)
	for range 2 {
		if res, r := g.post(t, "/e?t=acme", body); res.StatusCode != 202 || r.Accepted != 4 || len(r.Rejected) != 0 {
			t.Fatalf("got %d %+v", res.StatusCode, r)
		}
	}
	var names []string
	for _, e := range g.log.events(t) {
		names = append(names, e.Event)
	}
	if got := strings.Join(names, ""); got != "abcc" { // c had no id: two events
		t.Errorf("got %q in the log, want abcc", got)
	}
	var out strings.Builder
	g.c.WriteMetrics(&out)
	if want := "headlessly_events_duplicate_total 4\n"; !strings.Contains(out.String(), want) {
		t.Errorf("no line %q in %s", want, out.String())
	}
}

func TestTheSameIDOfAnotherTenantIsAnotherEvent(t *testing.T) {
	g := start(t, withDedupe(t))
	for _, tenant := range []string{"acme", "other"} {
		g.post(t, "/e?t="+tenant, []byte(`{"event":"a","messageId":"order-7"}`))
	}
	if n := len(g.log.events(t)); n != 2 {
		t.Errorf("got %d events, want 2", n)
	}
}

// slowLog holds every append until it is told its outcome.
type slowLog struct {
	*memoryLog
	arrived chan struct{}
	outcome chan error
}

func (l *slowLog) Append(ctx context.Context, records ...headlessly.Record) (int64, error) {
	l.arrived <- struct{}{}
	if err := <-l.outcome; err != nil {
		return 0, err
	}
	return l.memoryLog.Append(ctx, records...)
}

func TestADuplicateIsNotAcknowledgedBeforeItsFirstCopyIsDurable(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{{nil, 202}, {headlessly.ErrLogFull, 507}} {
		l := &slowLog{memoryLog: &memoryLog{}, arrived: make(chan struct{}), outcome: make(chan error)}
		g := start(t, withDedupe(t), func(cfg *collector.Config) { cfg.Log = l })
		body := []byte(`{"event":"a","messageId":"order-7"}`)
		var answered sync.WaitGroup
		var first, second int
		answered.Go(func() { res, _ := g.post(t, "/e?t=acme", body); first = res.StatusCode })
		<-l.arrived
		done := make(chan struct{})
		answered.Go(func() {
			res, _ := g.post(t, "/e?t=acme", body)
			second = res.StatusCode
			close(done)
		})
		select {
		case <-done:
			t.Errorf("the duplicate was answered %d while its first copy was still on its way", second)
		case <-l.arrived:
			t.Error("the duplicate was appended too")
		case <-time.After(50 * time.Millisecond):
		}
		l.outcome <- c.err
		answered.Wait()
		if first != c.status || second != c.status {
			t.Errorf("got %d and %d, want %d twice", first, second, c.status)
		}
		if c.err != nil { // and the id is free
			answered.Go(func() { res, _ := g.post(t, "/e?t=acme", body); first = res.StatusCode })
			<-l.arrived
			l.outcome <- nil
			answered.Wait()
			if first != 202 || len(l.events(t)) != 1 {
				t.Errorf("sent again: got %d, %d events in the log", first, len(l.events(t)))
			}
		}
	}
}
