package sqlworker_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// TestALakeBehindNessie runs the lake's whole life on a catalog of somebody
// else's: commits, a crash between a commit and the cursor, a new column, two
// writers, a deletion, compaction, expiry.
func TestALakeBehindNessie(t *testing.T) {
	t.Parallel() // Java takes its time to start
	store := laketest.StartS3(t)
	uri := laketest.StartNessie(t, store)
	dir, log := t.TempDir(), laketest.NewLog()
	change := func(more ...lakehouse.Promotion) func(c *lakehouse.Config) {
		return func(c *lakehouse.Config) {
			c.Promote, c.Maintenance.KeepSnapshots = more, 1
			c.Catalog = lakehouse.CatalogConfig{URI: uri}
			c.S3 = lakehouse.S3Config{Endpoint: store, Region: laketest.S3Region, AccessKeyID: laketest.S3Key, SecretAccessKey: headlessly.NewSecret(laketest.S3Secret)}
		}
	}
	_, w, stop := reopen(t, filepath.Join(dir, "one"), log, change())
	for i := range 3 {
		log.Append(laketest.Records("acme", i*10, i*10+10)...)
		flush(t, w)
	}
	stop()
	log.Forget() // as after a crash between the commit and the cursor
	lake, w, _ := reopen(t, filepath.Join(dir, "one"), log, change(lakehouse.Promotion{Property: "total", Type: "double"}))
	log.Append(laketest.Records("acme", 30, 40)...)
	flush(t, w)
	second, w2, _ := reopen(t, filepath.Join(dir, "two"), log, change(lakehouse.Promotion{Property: "total", Type: "double"})) // of the same log
	for i := range 3 {
		log.Append(laketest.Records("acme", 40+i*10, 50+i*10)...)
		done := make(chan error, 2)
		for _, w := range []*lakehouse.Writer{w, w2} {
			go func() { done <- w.Flush(t.Context()) }()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	rows := func(when string, l *lakehouse.Lake, want int) {
		t.Helper()
		if got, want := ask(t, l, "acme", countRows, lakehouse.FormatCSV), fmt.Sprintf("n,ids\n%d,%d\n", want, want); got != want {
			t.Errorf("%s: got %q, want %q", when, got, want)
		}
	}
	rows("after two writers", lake, 70)
	rows("by the other", second, 70)
	gone := laketest.Event("acme", 5)
	left, err := lake.Forget(t.Context(), lakehouse.Person{Tenant: "acme", Visitors: []string{gone.AnonymousID}, Users: []string{gone.UserID}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lake.Compact(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := lake.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	report, err := lake.Verify(t.Context(), nil)
	if err != nil || len(report.Faults) > 0 {
		t.Errorf("verify: %+v, %v", report, err)
	}
	rows("after a deletion, compaction and expiry", lake, int(report.Rows))
	t.Logf("the deletion took %+v", left)
	if report.Rows >= 70 {
		t.Errorf("%d rows are left after the deletion, want fewer than 70", report.Rows)
	}
}
