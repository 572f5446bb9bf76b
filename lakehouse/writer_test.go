package lakehouse_test

import (
	"errors"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

func wantOnce(t testing.TB, got map[string]int, tenant string, n int) {
	t.Helper()
	for i := range n {
		id := laketest.Event(tenant, i).MessageID
		if got[id] != 1 {
			t.Fatalf("event %d of %s is in the table %d times, want once (%d ids in all)", i, tenant, got[id], len(got))
		}
	}
}

func TestEventsOfSeveralFramesAndTenantsAreCommittedOnce(t *testing.T) {
	log, lake := laketest.NewLog(), openLake(t, t.TempDir())
	log.Append(laketest.Records("acme", 0, 50)...)
	w, stop := startWriter(t, lake, log)
	flush(t, w)
	log.Append(laketest.Records("beta", 0, 30)...)
	log.Append(append(laketest.Records("acme", 50, 60), laketest.RejectedRecord(headlessly.Rejected{Tenant: "acme", ReceivedAt: laketest.Noon, Reason: "invalid_json", Raw: []byte("{")}))...)
	flush(t, w)
	stop()
	got := countIDs(t, lake)
	wantOnce(t, got, "acme", 60)
	wantOnce(t, got, "beta", 30)
	if len(got) != 90 {
		t.Errorf("got %d rows, want 90", len(got))
	}
	if n := scan(t, lake, lakehouse.TableRejected).NumRows(); n != 1 {
		t.Errorf("got %d rejected rows, want 1", n)
	}
	s := w.Stats()
	if s.Rows != 90 || s.Rejected != 1 || s.Commits != 3 || s.Lag() != 0 || s.LastError != "" {
		t.Errorf("got stats %+v", s)
	}
	if seq, _ := log.Committed(t.Context(), lakehouse.ReaderName); seq != 3 {
		t.Errorf("log cursor is at %d, want 3", seq)
	}
}

func TestAWriterThatStopsCommitsWhatItHolds(t *testing.T) {
	log, lake := laketest.NewLog(), openLake(t, t.TempDir())
	w, stop := startWriter(t, lake, log)
	log.Append(laketest.Records("acme", 0, 10)...)
	for w.Stats().Taken < 1 {
		continue
	}
	stop()
	wantOnce(t, countIDs(t, lake), "acme", 10)
}

func TestCopiesOfAnEventAreWrittenOnce(t *testing.T) {
	dir := t.TempDir()
	log, lake := laketest.NewLog(), openLake(t, dir)
	one := laketest.Records("acme", 0, 5)
	log.Append(append(one, one...)...) // within a frame
	w, stop := startWriter(t, lake, log)
	flush(t, w)
	log.Append(one...) // after a commit
	flush(t, w)
	stop()
	log.Append(one...) // after a restart
	log.Append(laketest.Records("acme", 5, 6)...)
	other := laketest.Event("acme", 0)
	other.Tenant = "beta" // the same id of another tenant is another event
	log.Append(laketest.Record(other))
	w, stop = startWriter(t, lake, log)
	flush(t, w)
	stop()
	if got := countIDs(t, lake); got[other.MessageID] != 2 {
		t.Errorf("the id shared by two tenants is there %d times, want 2", got[other.MessageID])
	} else {
		got[other.MessageID] = 1
		wantOnce(t, got, "acme", 6)
	}
	if d := w.Stats().Duplicates; d != 5 {
		t.Errorf("second run dropped %d copies, want 5", d)
	}
}

// TestARestartKnowsTheNewestEventsThoughOlderOnesWereMergedSince has a window
// that the merged day alone would fill.
func TestARestartKnowsTheNewestEventsThoughOlderOnesWereMergedSince(t *testing.T) {
	log, lake := laketest.NewLog(), openLake(t, t.TempDir(), func(c *lakehouse.Config) { c.Clock, c.DedupeWindow = later, 40 })
	manyFiles(t, lake, log, 3) // of yesterday
	var today []headlessly.Record
	for n := 1000; n < 1015; n++ {
		e := laketest.Event("acme", n)
		e.ReceivedAt += 24 * 60 * 60 * 1_000_000
		today = append(today, laketest.Record(e))
	}
	log.Append(today...)
	w, stop := startWriter(t, lake, log)
	flush(t, w)
	stop()
	if r, err := lake.Compact(t.Context(), false, nil); err != nil || r.Groups != 2 {
		t.Fatalf("compact: %+v, %v", r, err)
	}
	log.Append(today...)
	w, stop = startWriter(t, lake, log)
	flush(t, w)
	stop()
	if d := w.Stats().Duplicates; d != 15 {
		t.Errorf("%d copies were dropped, want 15", d)
	}
}

func TestDamageInTheLogIsCountedAndPassed(t *testing.T) {
	log, lake := laketest.NewLog(), openLake(t, t.TempDir())
	log.Append(laketest.Records("acme", 0, 5)...)
	log.Damage(3)
	log.Append(laketest.Records("acme", 5, 10)...)
	log.Damage(0)
	log.Append(append(laketest.Records("acme", 10, 12), headlessly.Record{Kind: headlessly.RecordEvent, Data: []byte{0x0a, 0xff}}, laketest.Record(laketest.Event("acme", 12)))...)
	w, stop := startWriter(t, lake, log)
	log.BreakRead(errors.New("connection lost"))
	log.Append(laketest.Records("acme", 13, 15)...)
	flush(t, w)
	log.Damage(2) // at the end: the cursor goes on
	flush(t, w)
	stop()
	wantOnce(t, countIDs(t, lake), "acme", 15)
	if s := w.Stats(); s.Missing != 5 || s.Corrupt != 2 {
		t.Errorf("got %d missing and %d corrupt, want 5 and 2", s.Missing, s.Corrupt)
	}
}

func TestAFullBatchIsCommittedWithoutBeingAsked(t *testing.T) {
	log := laketest.NewLog()
	lake := openLake(t, t.TempDir(), func(c *lakehouse.Config) { c.MaxBatchBytes = 20_000 })
	w, stop := startWriter(t, lake, log)
	for n := 0; n < 200; n += 10 {
		log.Append(laketest.Records("acme", n, n+10)...)
	}
	for w.Stats().Taken < 20 {
		if b := w.Stats().OpenBytes; b > 60_000 {
			t.Fatalf("%d bytes are held, want at most twice the limit and a frame", b)
		}
	}
	if c := w.Stats().Commits; c < 4 {
		t.Errorf("got %d commits, want several", c)
	}
	stop()
	wantOnce(t, countIDs(t, lake), "acme", 200)
}

func TestALogOlderThanTheTablesIsRefused(t *testing.T) {
	log, lake := laketest.NewLog(), openLake(t, t.TempDir())
	log.Append(laketest.Records("acme", 0, 3)...)
	log.Append(laketest.Records("acme", 3, 6)...)
	w, stop := startWriter(t, lake, log)
	flush(t, w)
	stop()
	lost := laketest.NewLog()
	lost.Append(laketest.Records("acme", 6, 9)...)
	again, err := lakehouse.NewWriter(lake, lost)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Run(t.Context()); err == nil {
		t.Fatal("a log that ends before the tables do was taken")
	}
}
