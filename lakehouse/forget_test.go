package lakehouse_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// canary is in every row of the person who is forgotten and in no other.
const canary = "canary-person"

// of makes an event with ids of one's own.
func of(n int, user, visitor string, change ...func(*headlessly.Event)) headlessly.Record {
	e := laketest.Event("acme", n)
	e.UserID, e.AnonymousID, e.Type = user, visitor, headlessly.TypePage
	for _, f := range change {
		f(&e)
	}
	return laketest.Record(e)
}

// peopled fills a lake: one person under several ids, others beside them in the
// same files, the same ids at another tenant.
func peopled(t testing.TB, w *lakehouse.Writer, log *laketest.Log) (events int) {
	t.Helper()
	log.Append(laketest.Records("acme", 0, 40)...)
	log.Append(
		of(100, canary, "visitor-1"),        // signed in
		of(101, "", "visitor-1"),            // before that
		of(102, canary+"-old", "visitor-2"), // under an older user id …
		of(103, canary, "", func(e *headlessly.Event) { e.Type, e.PreviousID = headlessly.TypeAlias, canary+"-old" }), // … that this joins
		of(104, "", "visitor-2"),
		of(105, "somebody-else", "visitor-1"), // a shared device: theirs stays
		of(106, "", "visitor-3"),
	)
	flush(t, w)
	log.Append(append(laketest.Records("acme", 40, 60), of(107, canary, "visitor-4"))...)
	log.Append(
		laketest.RejectedRecord(headlessly.Rejected{Tenant: "acme", ReceivedAt: laketest.Noon, Reason: "x", Raw: []byte(`{"userId":"` + canary + `"`)}),
		laketest.RejectedRecord(headlessly.Rejected{Tenant: "acme", ReceivedAt: laketest.Noon, Reason: "x", Raw: []byte(`{"userId":"other"`)}),
		delivery(100), delivery(106),
		laketest.Encode(headlessly.RecordReceipt, &headlessly.Receipt{Tenant: "acme", Provider: "github", ReceivedAt: laketest.Noon, Body: []byte(`{"user":"visitor-1"}`)}),
		laketest.Encode(headlessly.RecordEntityEvent, &headlessly.EntityEvent{ID: "evt_1", Tenant: "acme", Event: "Contact.Created", Time: laketest.Noon, Data: `{"externalId":"` + canary + `"}`}),
		laketest.Encode(headlessly.RecordEntityEvent, &headlessly.EntityEvent{ID: "evt_2", Tenant: "acme", Event: "Contact.Created", Time: laketest.Noon, Data: `{"externalId":"other"}`}),
	)
	beta := laketest.Event("beta", 1)
	beta.UserID, beta.AnonymousID = "user-of-beta", "visitor-1" // the same visitor id at another tenant
	log.Append(laketest.Record(beta))
	flush(t, w)
	return 60 + 8 + 1
}

// delivery makes the row of an event's delivery.
func delivery(n int) headlessly.Record {
	return laketest.Encode(headlessly.RecordDelivery, &headlessly.Delivery{
		ID: uuid.NewSHA1(uuid.NameSpaceURL, fmt.Append(nil, n)).String(), Tenant: "acme", Destination: "posthog", MessageID: laketest.Event("acme", n).MessageID, At: laketest.Noon, Outcome: "delivered",
	})
}

func TestAPersonIsForgottenEverywhere(t *testing.T) {
	dir := t.TempDir()
	lake, log := openLake(t, dir), laketest.NewLog()
	w, _ := startWriter(t, lake, log)
	all := peopled(t, w, log)
	person, err := lake.Identify(t.Context(), "acme", canary)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{canary, canary + "-old"}; !slices.Equal(person.Users, want) {
		t.Errorf("users: got %v, want %v", person.Users, want)
	}
	if want := []string{canary + "-old", "visitor-1", "visitor-2", "visitor-4"}; !slices.Equal(person.Visitors, want) {
		t.Errorf("visitors: got %v, want %v", person.Visitors, want)
	}
	before, err := lake.Remaining(t.Context(), person)
	if err != nil || before[lakehouse.TableEvents] != 6 {
		t.Errorf("before: got %v, %v, want 6 events", before, err)
	}
	report, err := lake.Forget(t.Context(), person, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{lakehouse.TableEvents: 6, lakehouse.TableRejected: 1, lakehouse.TableDeliveries: 1, lakehouse.TableWebhookReceipts: 1, lakehouse.TableEntityEvents: 1, lakehouse.TableMetricSnapshots: 0}
	for _, r := range report {
		if r.Rows != want[r.Table] {
			t.Errorf("%s: %d rows were deleted, want %d", r.Table, r.Rows, want[r.Table])
		}
	}
	if left, err := lake.Remaining(t.Context(), person); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if got := int(scan(t, lake, lakehouse.TableEvents).NumRows()); got != all-6 {
		t.Errorf("%d events are left, want %d", got, all-6)
	}
	for _, n := range []int{105, 106} {
		id := laketest.Event("acme", n).MessageID
		if got := collect(t, lake, lakehouse.EventFilter{IDs: []string{id}}); len(got) != 1 {
			t.Errorf("event %d of somebody else is gone", n)
		}
	}
	wantSound(t, lake)
	wantNoTrace(t, dir)
	// The writer goes on, and compaction too.
	log.Append(laketest.Records("acme", 60, 70)...)
	flush(t, w)
	if _, err := lake.Compact(t.Context(), true, nil); err != nil {
		t.Error(err)
	}
	wantSound(t, lake)
	if got := int(scan(t, lake, lakehouse.TableEvents).NumRows()); got != all-6+10 {
		t.Errorf("%d events are there, want %d", got, all-6+10)
	}
	if again, err := lake.Forget(t.Context(), person, nil); err != nil || again[len(again)-1].Rows != 0 {
		t.Errorf("a second run: %+v, %v", again, err)
	}
}

// wantNoTrace looks for the canary in the metadata and, column by column, in
// the files of the whole folder: Parquet's pages are compressed, so those are
// looked at by name alone: only files that the tables name may be there.
func wantNoTrace(t testing.TB, dir string) {
	t.Helper()
	named := map[string]bool{}
	lake := openLake(t, dir, func(c *lakehouse.Config) { c.ReadOnly = true })
	for _, name := range lakehouse.Tables() {
		tbl, err := lake.Table(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if len(tbl.Metadata().Snapshots()) > 1 {
			t.Errorf("%s has %d snapshots, want the newest alone", name, len(tbl.Metadata().Snapshots()))
		}
		if tbl.CurrentSnapshot() == nil {
			continue
		}
		tasks, err := tbl.Scan().PlanFiles(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			named[filepath.Base(task.File.FilePath())] = true
		}
	}
	err := filepath.WalkDir(filepath.Join(dir, "warehouse"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(raw, []byte(canary)) {
			t.Errorf("%s has the person's id", path)
		}
		if filepath.Ext(path) == ".parquet" && !named[filepath.Base(path)] {
			t.Errorf("%s is left and named by no table", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestForgettingBesideAWriterAndCompaction deletes one person again and again
// while rows arrive and files are merged.
func TestForgettingBesideAWriterAndCompaction(t *testing.T) {
	lake, log := openLake(t, t.TempDir(), func(c *lakehouse.Config) {
		c.CommitInterval = 20 * time.Millisecond
		c.Clock = func() time.Time { return time.UnixMicro(laketest.Noon).Add(26 * time.Hour) }
	}), laketest.NewLog()
	w, _ := startWriter(t, lake, log)
	done := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if _, err := lake.Compact(t.Context(), true, nil); err != nil && t.Context().Err() == nil {
				done <- err
				return
			}
		}
	}()
	person := lakehouse.Person{Tenant: "acme", Users: []string{canary}}
	for n := range 12 {
		log.Append(append(laketest.Records("acme", n*10, n*10+10), of(5000+n, canary, "visitor"))...)
		flush(t, w)
		if n%3 == 2 {
			if _, err := lake.Forget(t.Context(), person, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Errorf("compact: %v", err)
	}
	if left, err := lake.Remaining(t.Context(), person); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	wantOnce(t, countIDs(t, lake), "acme", 120)
	wantSound(t, lake)
}

// TestACompactionElsewhereBringsNobodyBack has another gateway forget a person
// between the moment that a compaction has read the person's rows and its
// commit.
func TestACompactionElsewhereBringsNobodyBack(t *testing.T) {
	dir, log := t.TempDir(), laketest.NewLog()
	clock := func(c *lakehouse.Config) { c.Clock = later }
	here, there := openLake(t, dir, clock), openLake(t, dir, clock)
	var commits atomic.Int64
	person := lakehouse.Person{Tenant: "acme", Users: []string{canary}}
	var armed atomic.Bool
	w, stop := startWriter(t, here, log, lakehouse.WithSteps(func(step string) {
		if step != "catalog" || !armed.Load() || commits.Add(1) > 1 {
			return
		}
		if _, err := there.Forget(t.Context(), person, nil); err != nil {
			t.Error(err)
		}
	}))
	for n := range 3 {
		log.Append(append(laketest.Records("acme", n*10, n*10+10), of(5000+n, canary, "visitor"))...)
		flush(t, w)
	}
	stop()
	armed.Store(true)
	if _, err := here.Compact(t.Context(), true, nil); err != nil {
		t.Errorf("compact: %v", err)
	}
	if commits.Load() == 0 {
		t.Error("nothing was compacted")
	}
	if left, err := here.Remaining(t.Context(), person); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	wantOnce(t, countIDs(t, here), "acme", 30)
	wantSound(t, here)
	wantNoTrace(t, dir)
}

// TestADeletionBesideACompactionElsewhereFindsItsRowsAnew has another gateway
// merge the files between the moment that a deletion has read them and its
// commit.
func TestADeletionBesideACompactionElsewhereFindsItsRowsAnew(t *testing.T) {
	dir, log := t.TempDir(), laketest.NewLog()
	clock := func(c *lakehouse.Config) { c.Clock = later }
	here, there := openLake(t, dir, clock), openLake(t, dir, clock)
	var armed atomic.Bool
	w, stop := startWriter(t, here, log, lakehouse.WithSteps(func(step string) {
		if step == "catalog" && armed.CompareAndSwap(true, false) {
			if r, err := there.Compact(t.Context(), true, nil); err != nil || r.Groups == 0 {
				t.Errorf("compact: %+v, %v", r, err)
			}
		}
	}))
	for n := range 3 {
		log.Append(append(laketest.Records("acme", n*10, n*10+10), of(5000+n, canary, "visitor"))...)
		flush(t, w)
	}
	stop()
	armed.Store(true)
	person := lakehouse.Person{Tenant: "acme", Users: []string{canary}}
	if _, err := here.Forget(t.Context(), person, nil); err != nil {
		t.Fatal(err)
	}
	if armed.Load() {
		t.Error("nothing was deleted")
	}
	if left, err := here.Remaining(t.Context(), person); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	wantOnce(t, countIDs(t, here), "acme", 30)
	wantSound(t, here)
	wantNoTrace(t, dir)
}
