package lakehouse_test

import (
	"testing"
	"time"

	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// TestRowsAreThereOnceThoughTheLastCommitIsLate stops a writer whose catalog is
// so slow that it gives up its last commit, which is made after all: before the
// next writer begins, after that has committed, or never.
func TestRowsAreThereOnceThoughTheLastCommitIsLate(t *testing.T) {
	for name, late := range map[string]struct{ before, after bool }{
		"before the next writer begins":      {before: true},
		"after the next writer's commit":     {after: true},
		"not at all while that writer works": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits for a writer to give up
			lake, standin := restLake(t)
			t.Cleanup(standin.Release)
			log := laketest.NewLog()
			w, stop := startWriter(t, lake, log)
			log.Append(append(laketest.Records("acme", 0, 10), delivery(0))...)
			flush(t, w)
			standin.Fail(laketest.Late, laketest.Late, laketest.Late, laketest.Late)
			last := log.Append(append(laketest.Records("acme", 10, 20), delivery(1))...)
			for w.Stats().Taken < last {
				time.Sleep(time.Millisecond)
			}
			stop()
			if got := w.Stats(); got.Committed >= last || got.Failed == 0 {
				t.Fatalf("got %+v, want that the last commit failed", got)
			}
			for standin.Left() == 4 { // the catalog is late, but it has the request
				time.Sleep(time.Millisecond)
			}
			if late.before {
				standin.Release()
			}
			standin.Forgive()
			next, stopNext := startWriter(t, lake, log)
			log.Append(append(laketest.Records("acme", 20, 30), delivery(2))...)
			flush(t, next)
			if late.after {
				standin.Release()
				log.Append(append(laketest.Records("acme", 30, 40), delivery(3))...)
				flush(t, next)
			}
			stopNext()
			rows := 30
			if late.after {
				rows = 40
			}
			wantOnce(t, countIDs(t, lake), "acme", rows)
			if n := int(scan(t, lake, lakehouse.TableDeliveries).NumRows()); n != rows/10 {
				t.Errorf("%d deliveries are there, want %d", n, rows/10)
			}
			wantSound(t, lake)
		})
	}
}
