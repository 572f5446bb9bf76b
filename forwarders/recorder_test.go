package forwarders_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
)

// deliveries gives the rows that lie in a log.
func deliveries(t testing.TB, log *forwardertest.Log) []headlessly.Delivery {
	t.Helper()
	var out []headlessly.Delivery
	last, _ := log.Last(context.Background()) // never fails
	if last == 0 {
		return nil
	}
	for f := range log.Read(context.Background(), 1) {
		for _, r := range f.Records {
			if r.Kind != headlessly.RecordDelivery {
				continue
			}
			var d headlessly.Delivery
			if err := d.UnmarshalBinary(r.Data); err != nil {
				t.Fatal(err)
			}
			out = append(out, d)
		}
		if f.Seq >= last {
			break
		}
	}
	return out
}

func TestEveryAttemptIsARowBeforeItsEventIsCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := newFake("good", nil)
		var failures atomic.Int64
		shaky := newFake("shaky", func(context.Context, forwarders.Item) error {
			if failures.Add(1) <= 10 {
				return errDown
			}
			return nil
		})
		b := newBench(t, good, shaky)
		b.cfg.Deliveries = b.log
		var early int
		b.cfg.Point = func(name string) {
			if name == forwarders.PointBeforeCommit && len(deliveries(t, b.log)) < good.delivered() {
				early++
			}
		}
		b.events(100)
		r, stop := start(t, b.cfg)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if early > 0 {
			t.Errorf("the cursor moved %d times over attempts that were not in the log", early)
		}
		stop()
		rows := deliveries(t, b.log)
		ids, outcomes := map[string]bool{}, map[string]int{}
		for _, d := range rows {
			ids[d.ID] = true
			outcomes[d.Destination+" "+d.Outcome]++
			if d.Tenant != "acme" || d.MessageID == "" || d.EventSeq == 0 || d.At == 0 || d.Attempt == 0 || d.Event == "" {
				t.Fatalf("a row lacks something: %+v", d)
			}
			if a := forwarders.AttemptOf(&d); a.MessageID != d.MessageID || a.Try != int(d.Attempt) {
				t.Fatalf("%+v reads back as %+v", d, a)
			}
		}
		if len(ids) != len(rows) {
			t.Errorf("%d rows have %d ids", len(rows), len(ids))
		}
		if outcomes["good delivered"] != 100 || outcomes["shaky delivered"] != 100 || outcomes["shaky retry"] != 10 {
			t.Errorf("got %v", outcomes)
		}
		sent := int64(0)
		for _, s := range r.Stats() {
			sent += s.Attempts
		}
		if int64(len(rows)) != sent {
			t.Errorf("%d rows for %d attempts", len(rows), sent)
		}
	})
}

// fullLog refuses to append.
type fullLog struct{}

func (fullLog) Append(context.Context, ...headlessly.Record) (int64, error) {
	return 0, headlessly.ErrLogFull
}

func TestAFullLogLosesTheRowsAndNotTheEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake("a", nil)
		b := newBench(t, f)
		b.cfg.Deliveries = fullLog{}
		b.events(100)
		r, stop := start(t, b.cfg)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if f.delivered() != 100 || b.committed() != 10 {
			t.Errorf("delivered %d of 100, committed %d of 10 frames", f.delivered(), b.committed())
		}
		if got := r.Totals().Unrecorded; got != 100 {
			t.Errorf("counted %d attempts without a row, want 100", got)
		}
		stop()
	})
}
