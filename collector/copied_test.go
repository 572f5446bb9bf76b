package collector_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector"
)

// copyingLog has its own copy of records at once, and makes them durable when
// it is told to.
type copyingLog struct {
	copied chan struct{}
	freed  chan struct{}

	mu   sync.Mutex
	data []string
}

func (l *copyingLog) Append(ctx context.Context, records ...headlessly.Record) (int64, error) {
	return l.AppendCopied(ctx, nil, records...)
}

func (l *copyingLog) AppendCopied(_ context.Context, copied func(), records ...headlessly.Record) (int64, error) {
	l.mu.Lock()
	for _, r := range records {
		l.data = append(l.data, string(r.Data))
	}
	l.mu.Unlock()
	if copied != nil {
		copied()
		l.copied <- struct{}{}
	}
	<-l.freed
	return headlessly.LogSeq(1, 0), nil
}

// TestALargeBatchHoldsNoMemoryOfItsOwnWhileItWaitsForTheDisk: what the log has
// copied is used by others meanwhile, and is stored as it was.
func TestALargeBatchHoldsNoMemoryOfItsOwnWhileItWaitsForTheDisk(t *testing.T) {
	const batches, events = 4, 100
	l := &copyingLog{copied: make(chan struct{}), freed: make(chan struct{})}
	g := start(t, func(c *collector.Config) { c.Log = l })
	var wg sync.WaitGroup
	for n := range batches {
		var body strings.Builder
		for i := range events {
			fmt.Fprintf(&body, `,{"event":"batch %d event %d","properties":{"p":%q}}`, n, i, strings.Repeat("x", 300))
		}
		wg.Go(func() {
			if res, r := g.post(t, "/e?t=acme", []byte("["+body.String()[1:]+"]")); res.StatusCode != 202 || r.Accepted != events {
				t.Errorf("got %d %+v", res.StatusCode, r)
			}
		})
		<-l.copied // one after the other, so that each gets what the former gave back
		if held := g.gauge(t, "headlessly_body_memory_bytes"); held != 0 {
			t.Errorf("%v bytes are held by batches that wait for the disk", held)
		}
	}
	close(l.freed)
	wg.Wait()
	if len(l.data) != batches*events {
		t.Fatalf("%d records are stored, want %d", len(l.data), batches*events)
	}
	for at, data := range l.data {
		var e headlessly.Event
		if err := e.UnmarshalBinary([]byte(data)); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("batch %d event %d", at/events, at%events); e.Event != want {
			t.Errorf("record %d: got %q, want %q", at, e.Event, want)
		}
	}
}
