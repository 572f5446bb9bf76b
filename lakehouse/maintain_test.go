package lakehouse_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/parquet/file"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// later is a clock on the day after the test events.
func later() time.Time { return time.UnixMicro(laketest.Noon).Add(26 * time.Hour) }

// manyFiles commits n small files of two tenants.
func manyFiles(t testing.TB, lake *lakehouse.Lake, log *laketest.Log, n int) {
	t.Helper()
	w, stop := startWriter(t, lake, log)
	for i := range n {
		log.Append(append(laketest.Records("acme", i*20, i*20+20), laketest.Records("beta", i*3, i*3+3)...)...)
		flush(t, w)
	}
	stop()
}

func wantSound(t testing.TB, lake *lakehouse.Lake) {
	t.Helper()
	r, err := lake.Verify(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Faults) > 0 {
		t.Errorf("the tables have faults: %s", strings.Join(r.Faults, "\n"))
	}
}

func status(t testing.TB, lake *lakehouse.Lake) lakehouse.TableStatus {
	t.Helper()
	all, err := lake.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

func TestSmallFilesBecomeOneSortedFileADay(t *testing.T) {
	lake := openLake(t, t.TempDir(), func(c *lakehouse.Config) { c.Clock = later })
	log := laketest.NewLog()
	manyFiles(t, lake, log, 5)
	if s := status(t, lake); s.Files != 10 || s.Rows != 115 || s.Tenants != 2 || s.Through != 5 {
		t.Fatalf("before: got %+v", s)
	}
	r, err := lake.Compact(t.Context(), false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Groups != 2 || r.Removed != 10 || r.Added != 2 || r.Rows != 115 {
		t.Errorf("got %+v", r)
	}
	if s := status(t, lake); s.Files != 2 || s.Rows != 115 || s.Through != 5 {
		t.Errorf("after: got %+v", s)
	}
	got := countIDs(t, lake)
	wantOnce(t, got, "acme", 100)
	wantOnce(t, got, "beta", 15)
	wantSound(t, lake)
	for _, path := range filesOf(t, lake) {
		f, err := file.OpenParquetFile(path, false)
		if err != nil {
			t.Fatal(err)
		}
		for i := range f.MetaData().Schema.NumColumns() {
			if id := f.MetaData().Schema.Column(i).SchemaNode().FieldID(); int(id) != i+1 {
				t.Errorf("column %s has field id %d, want %d", f.MetaData().Schema.Column(i).Name(), id, i+1)
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if r, err := lake.Compact(t.Context(), true, nil); err != nil || r.Groups != 0 {
		t.Errorf("a second compaction did %+v, %v", r, err)
	}
	data := scan(t, lake, lakehouse.TableEvents)
	tenants, names, when := column(t, data, "tenant"), column(t, data, "event"), column(t, data, "timestamp").(*array.Timestamp)
	for i := 1; i < tenants.Len(); i++ {
		if tenants.ValueStr(i) != tenants.ValueStr(i-1) {
			continue
		}
		before, after := text(names, i-1), text(names, i)
		if before > after || (before == after && when.Value(i-1) > when.Value(i)) {
			t.Fatalf("row %d (%s, %d) is not behind the one before it (%s, %d)", i, after, when.Value(i), before, when.Value(i-1))
		}
	}
}

func text(a interface {
	IsNull(int) bool
	ValueStr(int) string
}, i int,
) string {
	if a.IsNull(i) {
		return ""
	}
	return a.ValueStr(i)
}

func filesOf(t testing.TB, lake *lakehouse.Lake) []string {
	t.Helper()
	tbl, err := lake.Table(t.Context(), lakehouse.TableEvents)
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := tbl.Scan().PlanFiles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, task := range tasks {
		files = append(files, strings.TrimPrefix(task.File.FilePath(), "file://"))
	}
	slices.Sort(files)
	return slices.Compact(files)
}

func TestADayThatGrowsIsMergedInTiers(t *testing.T) {
	lake := openLake(t, t.TempDir(), func(c *lakehouse.Config) {
		c.Clock = func() time.Time { return time.UnixMicro(laketest.Noon) }
	})
	log := laketest.NewLog()
	w, _ := startWriter(t, lake, log)
	rewritten := int64(0)
	const commits = 40
	for i := range commits {
		log.Append(laketest.Records("acme", i*5, i*5+5)...)
		flush(t, w)
		r, err := lake.Compact(t.Context(), false, nil)
		if err != nil {
			t.Fatal(err)
		}
		rewritten += r.Rows
	}
	if s := status(t, lake); s.Files > 15 || s.Rows != commits*5 {
		t.Errorf("got %d files and %d rows", s.Files, s.Rows)
	}
	if rewritten > 2*commits*5 {
		t.Errorf("%d rows were rewritten for %d", rewritten, commits*5)
	}
	wantOnce(t, countIDs(t, lake), "acme", commits*5)
}

func TestCompactionBesideAWriterLosesNothing(t *testing.T) {
	lake := openLake(t, t.TempDir(), func(c *lakehouse.Config) { c.Clock = later })
	log := laketest.NewLog()
	w, stop := startWriter(t, lake, log)
	ctx, cancel := context.WithCancel(t.Context())
	var groups atomic.Int64
	compacting := make(chan struct{})
	go func() {
		defer close(compacting)
		for ctx.Err() == nil {
			r, err := lake.Compact(ctx, true, nil)
			if err != nil && ctx.Err() == nil {
				t.Errorf("compact: %v", err)
				return
			}
			groups.Add(int64(r.Groups))
		}
	}()
	for i := range 30 {
		log.Append(laketest.Records("acme", i*20, i*20+20)...)
		flush(t, w)
	}
	for groups.Load() == 0 && !t.Failed() { // a fast writer may win every race
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-compacting
	stop()
	wantOnce(t, countIDs(t, lake), "acme", 600)
	wantSound(t, lake)
	if w.Stats().LastError != "" {
		t.Errorf("writer: %s", w.Stats().LastError)
	}
}

func TestExpiryRemovesWhatOnlyOldSnapshotsName(t *testing.T) {
	dir := t.TempDir()
	lake := openLake(t, dir, func(c *lakehouse.Config) { c.Clock, c.Maintenance.KeepSnapshots = later, time.Nanosecond })
	log := laketest.NewLog()
	manyFiles(t, lake, log, 12)
	if _, err := lake.Compact(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
	n, err := lake.Expire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	manyFilesAgain := func() { // push the rest out of the last five
		w, stop := startWriter(t, lake, log)
		for i := range 6 {
			log.Append(laketest.Records("gamma", i, i+1)...)
			flush(t, w)
		}
		stop()
	}
	manyFilesAgain()
	m, err := lake.Expire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n == 0 || m == 0 {
		t.Errorf("%d and %d snapshots expired, want some each time", n, m)
	}
	if s := status(t, lake); s.Snapshots > 6 || s.Through != 18 {
		t.Errorf("got %+v", s)
	}
	onDisk := 0
	err = filepath.WalkDir(filepath.Join(dir, "warehouse"), func(path string, _ os.DirEntry, err error) error {
		if strings.HasSuffix(path, ".parquet") {
			onDisk++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := len(filesOf(t, lake)); onDisk != want {
		t.Errorf("%d files are on disk, the table names %d", onDisk, want)
	}
	got := countIDs(t, lake)
	wantOnce(t, got, "acme", 240)
	wantOnce(t, got, "gamma", 6)
	wantSound(t, lake)
	w, stop := startWriter(t, lake, log) // the log range outlives its snapshots
	flush(t, w)
	stop()
	if w.Stats().Rows != 0 {
		t.Errorf("a writer after expiry wrote %d rows again", w.Stats().Rows)
	}
}

// TestLargeRowsAreMergedWithinBounds merges files whose rows take more memory
// than a merge may, though they are few and compress well.
func TestLargeRowsAreMergedWithinBounds(t *testing.T) {
	dir := t.TempDir()
	lake := openLake(t, dir, func(c *lakehouse.Config) { c.Clock = later })
	log := laketest.NewLog()
	w, stop := startWriter(t, lake, log)
	const files, rows, each = 12, 700, 30_000 // 20 MiB each: six fit
	large := `{"x":"` + strings.Repeat("abcdefghij", each/10) + `"}`
	n := 0
	for range files {
		batch := make([]headlessly.Record, rows)
		for i := range batch {
			e := laketest.Event("acme", n)
			e.Properties = large
			batch[i] = laketest.Record(e)
			n++
		}
		log.Append(batch...)
		flush(t, w)
	}
	stop()
	r, err := lake.Compact(t.Context(), false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Groups != 2 || r.Removed != files || r.Added != 2 || r.Rows != files*rows {
		t.Errorf("got %+v, want two files of six", r)
	}
	wantSound(t, lake)
	if s := status(t, lake); s.Rows != int64(n) {
		t.Errorf("%d rows are there, want %d", s.Rows, n)
	}
	if r, err := lake.Compact(t.Context(), true, nil); err != nil || r.Groups != 0 {
		t.Errorf("a second compaction did %+v, %v", r, err)
	}
	again := openLake(t, dir, func(c *lakehouse.Config) { c.Clock = later }) // has to look what they hold
	if r, err := again.Compact(t.Context(), true, nil); err != nil || r.Groups != 0 {
		t.Errorf("a compaction after a restart did %+v, %v", r, err)
	}
}

// TestExpiryKeepsTheStateOfItsLimit commits, waits, and commits in a burst: in
// between, the last before the wait was the table.
func TestExpiryKeepsTheStateOfItsLimit(t *testing.T) {
	const keep = 500 * time.Millisecond
	lake := openLake(t, t.TempDir(), func(c *lakehouse.Config) { c.Maintenance.KeepSnapshots = keep })
	log := laketest.NewLog()
	w, _ := startWriter(t, lake, log)
	commit := func(n int) {
		log.Append(laketest.Records("acme", n, n+1)...)
		flush(t, w)
	}
	commit(0)
	commit(1)
	time.Sleep(keep)
	for n := range 8 {
		commit(n + 2)
	}
	before, err := lake.Table(t.Context(), lakehouse.TableEvents)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := lake.Expire(t.Context()); err != nil || n == 0 {
		t.Fatalf("expired %d, %v, want the first", n, err)
	}
	limit := time.Now().Add(-keep).UnixMilli()
	after, err := lake.Table(t.Context(), lakehouse.TableEvents)
	if err != nil {
		t.Fatal(err)
	}
	was, is := before.SnapshotAsOf(limit, true), after.SnapshotAsOf(limit, true)
	if is == nil || is.SnapshotID != was.SnapshotID {
		t.Errorf("the state at the limit is %v, and was %v", is, was)
	}
}

func TestOrphansAreRemovedAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	lake := openLake(t, dir, func(c *lakehouse.Config) { c.Maintenance.OrphanAge = time.Hour })
	manyFiles(t, lake, laketest.NewLog(), 3)
	folder := filepath.Dir(filesOf(t, lake)[0])
	old, fresh := filepath.Join(folder, "old.parquet"), filepath.Join(folder, "fresh.parquet")
	for _, p := range []string{old, fresh} {
		if err := os.WriteFile(p, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-2 * time.Hour)
	everything := append(filesOf(t, lake), old)
	for _, p := range everything {
		if err := os.Chtimes(p, past, past); err != nil {
			t.Fatal(err)
		}
	}
	n, err := lake.RemoveOrphans(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); n != 1 || err == nil {
		t.Errorf("removed %d files, the orphan: %v", n, err)
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Errorf("a fresh file went too: %v", err)
	}
	wantOnce(t, countIDs(t, lake), "acme", 60)
}

func TestRetentionTakesWholeDaysByTenant(t *testing.T) {
	lake := openLake(t, t.TempDir(), func(c *lakehouse.Config) {
		c.Clock = later // today is the second day
		c.Maintenance.Retention = []lakehouse.Retention{
			{Table: lakehouse.TableEvents, Days: 3},
			{Table: lakehouse.TableEvents, Tenant: "acme", Days: 1},
		}
	})
	log := laketest.NewLog()
	const dayMicros = 24 * 60 * 60 * 1_000_000
	for d := range 6 { // from four days before the first day to today
		for _, tenant := range []string{"acme", "beta"} {
			e := laketest.Event(tenant, d)
			e.ReceivedAt = laketest.Noon + int64(d-4)*dayMicros
			log.Append(laketest.Record(e))
		}
	}
	w, stop := startWriter(t, lake, log)
	flush(t, w)
	stop()
	n, err := lake.Retain(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := countIDs(t, lake)
	for d := range 6 {
		for tenant, kept := range map[string]int{"acme": 4, "beta": 2} {
			want := 0
			if d >= kept {
				want = 1
			}
			if c := got[laketest.Event(tenant, d).MessageID]; c != want {
				t.Errorf("%s day %d is there %d times, want %d", tenant, d, c, want)
			}
		}
	}
	if n != 6 {
		t.Errorf("%d files went, want 6", n)
	}
}

func TestVerifyFindsDamage(t *testing.T) {
	lake := openLake(t, t.TempDir())
	log := laketest.NewLog()
	manyFiles(t, lake, log, 2)
	wantSound(t, lake)
	files := filesOf(t, lake)
	if err := os.Truncate(files[0], 100); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(files[1]); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(files[2])
	if err != nil {
		t.Fatal(err)
	}
	for i := 200; i < 260; i++ {
		b[i] ^= 0xff
	}
	if err := os.WriteFile(files[2], b, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := lake.Verify(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files[:2] {
		if !slices.ContainsFunc(r.Faults, func(s string) bool { return strings.Contains(s, f) }) {
			t.Errorf("no fault is told of %s: %v", f, r.Faults)
		}
	}
	if r.Files != 4 {
		t.Errorf("looked at %d files, want 4", r.Files)
	}
}

func TestMaintainRunsUntilItIsStopped(t *testing.T) {
	lake := openLake(t, t.TempDir(), func(c *lakehouse.Config) { c.Clock, c.Maintenance.Every = later, time.Millisecond })
	manyFiles(t, lake, laketest.NewLog(), 3)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { lake.Maintain(ctx); close(done) }()
	for status(t, lake).Files > 2 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
	wantOnce(t, countIDs(t, lake), "acme", 60)
}

var _ headlessly.LogReader = (*laketest.Log)(nil)
