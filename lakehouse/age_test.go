package lakehouse_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// weight is what a commit and a query have to carry of a table's past.
type weight struct {
	snapshots, manifests, files int
	metadata                    int64 // bytes of the newest metadata file, which every commit writes
	onDisk                      int   // files of the table's metadata folder
}

func weigh(t testing.TB, lake *lakehouse.Lake, dir string) weight {
	t.Helper()
	tbl, err := lake.Table(t.Context(), lakehouse.TableEvents)
	if err != nil {
		t.Fatal(err)
	}
	fsys, err := tbl.FS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	manifests, err := tbl.CurrentSnapshot().Manifests(fsys)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(tbl.Metadata())
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "warehouse", "headlessly.db", "events", "metadata"))
	if err != nil {
		t.Fatal(err)
	}
	return weight{len(tbl.Metadata().Snapshots()), len(manifests), len(filesOf(t, lake)), int64(len(raw)), len(entries)}
}

// ends sums what something costs over the first and the last hundred times.
type ends struct{ first, last time.Duration }

func (e *ends) add(n, of int, d time.Duration) {
	switch {
	case n < 100:
		e.first += d
	case n >= of-100:
		e.last += d
	}
}

func (e *ends) String() string {
	return fmt.Sprintf("%s for the first 100, %s for the last (%.2f ×)", e.first, e.last, float64(e.last)/float64(e.first))
}

// newest reads the rows of the newest commit, as a query of the last minutes
// does.
func newest(t testing.TB, lake *lakehouse.Lake, from int64) int64 {
	t.Helper()
	tbl, err := lake.Table(t.Context(), lakehouse.TableEvents)
	if err != nil {
		t.Fatal(err)
	}
	since := iceberg.GreaterThanEqual(iceberg.Reference("received_at"), iceberg.Timestamp(from))
	data, err := tbl.Scan(table.WithRowFilter(since), table.WithSelectedFields("event", "received_at")).ToArrowTable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer data.Release()
	return data.NumRows()
}

// TestATableDoesNotGrowHeavierWithAge makes many commits with the maintenance
// that a gateway does, and compares what the table carries at half of them with
// the end. HEADLESSLY_SOAK makes it 10,000 commits, and tells what a commit, a plan
// and a query of the newest rows cost along the way.
func TestATableDoesNotGrowHeavierWithAge(t *testing.T) {
	commits, every := 80, 10
	soak := os.Getenv("HEADLESSLY_SOAK") != ""
	if soak {
		commits, every = 10_000, 50 // half and end are weighed at the same place of a round
	}
	dir, log := t.TempDir(), laketest.NewLog()
	now := time.UnixMicro(laketest.Noon)
	lake := openLake(t, dir, func(c *lakehouse.Config) {
		c.Clock = func() time.Time { return now }
		c.Maintenance.KeepSnapshots = time.Nanosecond
	})
	w, _ := startWriter(t, lake, log)
	var half weight
	var commitCost, queryCost ends
	spent, since := time.Duration(0), 0
	for n := range commits {
		log.Append(laketest.Records("acme", n*3, n*3+3)...)
		began := time.Now()
		flush(t, w)
		took := time.Since(began)
		spent, since = spent+took, since+1
		if soak && (n < 100 || n >= commits-100) {
			commitCost.add(n, commits, took)
			began := time.Now()
			if got := newest(t, lake, laketest.Event("acme", n*3).ReceivedAt); got != 3 {
				t.Errorf("the newest rows after %d commits: got %d, want 3", n+1, got)
			}
			queryCost.add(n, commits, time.Since(began))
		}
		if n%every == every-1 {
			if _, err := lake.Compact(t.Context(), false, nil); err != nil {
				t.Fatal(err)
			}
			if _, err := lake.Expire(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n == commits/2-1 {
			half = weigh(t, lake, dir)
		}
		if soak && (n+1)%1000 == 0 {
			began := time.Now()
			files := len(filesOf(t, lake))
			t.Logf("%d commits: %s a commit, %s to plan %d files, %+v", n+1, spent/time.Duration(since), time.Since(began), files, weigh(t, lake, dir))
			spent, since = 0, 0
		}
	}
	end := weigh(t, lake, dir)
	if soak {
		t.Logf("commits: %s; queries: %s; half %+v, end %+v", &commitCost, &queryCost, half, end)
	}
	slack := weight{every, every, 3 * 8, half.metadata/2 + 16<<10, 4 * every} // of three tiers of files, not yet due
	if end.snapshots > half.snapshots+slack.snapshots || end.manifests > half.manifests+slack.manifests || end.files > half.files+slack.files ||
		end.metadata > half.metadata+slack.metadata || end.onDisk > half.onDisk+slack.onDisk {
		t.Errorf("after %d commits the table carries %+v, after %d it was %+v", commits, end, commits/2, half)
	}
	wantOnce(t, countIDs(t, lake), "acme", commits*3)
}
