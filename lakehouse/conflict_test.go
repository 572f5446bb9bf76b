package lakehouse_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// TestALostRaceIsToldAsAConflict pins the trap: the SQL catalog's plain
// "requirement failed" is not known to Iceberg's retry loop, so that half of
// all concurrent commits would fail.
func TestALostRaceIsToldAsAConflict(t *testing.T) {
	lake := openLake(t, t.TempDir())
	log := laketest.NewLog()
	log.Append(laketest.Records("acme", 0, 3)...)
	stale, err := lake.Table(t.Context(), lakehouse.TableEvents)
	if err != nil {
		t.Fatal(err)
	}
	w, stop := startWriter(t, lake, log)
	flush(t, w) // moves the branch under stale
	stop()
	txn := stale.NewTransaction()
	if err := errors.Join(txn.AssertRefSnapshotID(table.MainBranch), txn.SetProperties(iceberg.Properties{"x": "1"})); err != nil {
		t.Fatal(err)
	}
	if _, err = txn.Commit(t.Context()); !errors.Is(err, table.ErrCommitFailed) {
		t.Fatalf("got %v, want table.ErrCommitFailed", err)
	}
	if !strings.Contains(err.Error(), "requirement failed") {
		t.Logf("the catalog now says %v: the wrapper in catalog.go may go", err)
	}
}

func TestWritersOfTwoShardsShareATable(t *testing.T) {
	dir := t.TempDir()
	const rounds = 10
	var wg sync.WaitGroup
	for _, shard := range []string{"00", "01"} {
		lake := openLake(t, dir, func(c *lakehouse.Config) { c.Shard = shard })
		log := laketest.NewLog()
		w, _ := startWriter(t, lake, log)
		wg.Go(func() {
			for n := range rounds {
				log.Append(laketest.Records("tenant-"+shard, n*10, n*10+10)...)
				flush(t, w)
			}
		})
	}
	wg.Wait()
	got := countIDs(t, openLake(t, dir))
	wantOnce(t, got, "tenant-00", rounds*10)
	wantOnce(t, got, "tenant-01", rounds*10)
}

func TestTwoWritersOfOneShardAddEachFrameOnce(t *testing.T) {
	dir := t.TempDir()
	log := laketest.NewLog()
	var writers []*lakehouse.Writer
	for range 2 {
		w, _ := startWriter(t, openLake(t, dir), log)
		writers = append(writers, w)
	}
	var wg sync.WaitGroup
	for n := range 10 {
		log.Append(laketest.Records("acme", n*10, n*10+10)...)
		for _, w := range writers {
			wg.Go(func() { flush(t, w) })
		}
		if n%3 == 0 { // else their batches overlap in part
			wg.Wait()
		}
	}
	wg.Wait()
	wantOnce(t, countIDs(t, openLake(t, dir)), "acme", 100)
}
