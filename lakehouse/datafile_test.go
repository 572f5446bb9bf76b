package lakehouse_test

import (
	"os"
	"strings"
	"testing"

	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// TestADamagedFileIsAnErrorToWhoReadsIt goes through the header of the first
// column's values, some damage of which makes the Parquet library panic: a
// gateway must start beside such a file and know the ids of the others, and
// compaction, a reader of events and a deletion must name it, and compaction go
// on with the others.
func TestADamagedFileIsAnErrorToWhoReadsIt(t *testing.T) {
	dir := t.TempDir()
	lake, log := openLake(t, dir, func(c *lakehouse.Config) { c.Clock = later }), laketest.NewLog()
	manyFiles(t, lake, log, 2)
	path := ""
	for _, file := range filesOf(t, lake) {
		if strings.Contains(file, "acme") {
			path = file
		}
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	read := func() error {
		for _, err := range lake.Events(t.Context(), lakehouse.EventFilter{Tenant: "acme"}) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	if err := read(); err != nil {
		t.Fatal(err)
	}
	person, err := lake.Identify(t.Context(), "acme", laketest.Event("acme", 0).UserID)
	if err != nil {
		t.Fatal(err)
	}
	harmful := 0
	for i := range 30 * 3 {
		damaged := append([]byte(nil), whole...)
		damaged[4+i/3] ^= []byte{0x01, 0x04, 0x10}[i%3]
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		err := read()
		if err == nil {
			continue // what the header says there nobody needs
		}
		harmful++
		merged, compacting := lake.Compact(t.Context(), true, nil)
		if harmful == 1 && merged.Removed != 2 {
			t.Errorf("beside a damaged file compaction merged %d files of others, want 2", merged.Removed)
		}
		_, forgetting := lake.Forget(t.Context(), person, nil)
		for who, err := range map[string]error{"a reader": err, "compaction": compacting, "a deletion": forgetting} {
			if err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("%s beside damage %d: got %v, want an error that names %s", who, i, err, path)
			}
		}
		log.Append(laketest.Records("beta", 0, 6)...) // copies of what another file has
		w, stop := startWriter(t, lake, log)
		flush(t, w)
		stop()
		if d := w.Stats().Duplicates; d != 6 {
			t.Errorf("beside damage %d a new writer knew %d of 6 ids of other files", i, d)
		}
	}
	if harmful == 0 {
		t.Error("no damage harmed")
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	wantSound(t, lake)
}
