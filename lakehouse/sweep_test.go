package lakehouse_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// withCanary is a log of frames with a row of the person in each.
func withCanary(dir string, frames int) *laketest.Log {
	log := laketest.NewLog()
	log.CursorFile = filepath.Join(dir, "cursor")
	for f := range frames {
		log.Append(append(laketest.Records("acme", f*10, f*10+10), of(5000+f, canary, "visitor"))...)
	}
	return log
}

// mergeChild merges what a lake has, commits the rest of the log, and dies when it
// first comes to a step.
func mergeChild(dir, step, frames string) error {
	n, err := strconv.Atoi(frames)
	if err != nil {
		return err
	}
	cfg := lakehouse.Default(filepath.Join(dir, "lake"))
	cfg.Clock = later
	lake, err := lakehouse.Open(context.Background(), cfg)
	if err != nil {
		return err
	}
	w, err := lakehouse.NewWriter(lake, withCanary(dir, n), lakehouse.WithSteps(func(s string) {
		if s == step {
			self, _ := os.FindProcess(os.Getpid())
			_ = self.Kill()
			time.Sleep(time.Minute) // the kill comes first
		}
	}))
	if err != nil {
		return err
	}
	if _, err := lake.Compact(context.Background(), true, nil); err != nil {
		return err
	}
	go w.Run(context.Background()) //nolint:errcheck // Flush tells
	return w.Flush(context.Background())
}

// TestADeletionRemovesWhatAKilledProcessLeft kills a merge, and a commit, when
// its file with the person's rows is written and not yet in the table.
func TestADeletionRemovesWhatAKilledProcessLeft(t *testing.T) {
	t.Setenv("LAKE_CRASH_MERGE", "1")
	for name, c := range map[string]struct {
		committed, frames int
		step              string
	}{
		"merge":                   {3, 3, "catalog"},
		"merge that has landed":   {3, 3, "recorded"},
		"first commit":            {0, 3, "commit"},
		"commit that has landed":  {0, 3, "recorded"},
		"commit beside old files": {1, 3, "commit"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			lake, log := openLake(t, filepath.Join(dir, "lake"), func(c *lakehouse.Config) { c.Clock = later }), withCanary(dir, 0)
			w, stop := startWriter(t, lake, log)
			for f := range c.committed {
				log.Append(append(laketest.Records("acme", f*10, f*10+10), of(5000+f, canary, "visitor"))...)
				flush(t, w)
			}
			stop()
			runChild(t, dir, c.step, c.frames, 0)
			log = withCanary(dir, c.frames)
			w, stop = startWriter(t, lake, log)
			flush(t, w)
			person := lakehouse.Person{Tenant: "acme", Users: []string{canary}}
			report, err := lake.Forget(t.Context(), person, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range report {
				if r.Unswept != 0 {
					t.Errorf("%s: %d files had to stay", r.Table, r.Unswept)
				}
			}
			stop()
			wantNoTrace(t, filepath.Join(dir, "lake"))
			wantOnce(t, countIDs(t, lake), "acme", 10*c.frames)
			wantSound(t, lake)
		})
	}
}

// TestADeletionLeavesTheCommitsOfOthersWhole has a deletion meet files of another
// gateway on the same table that are written and not yet committed.
func TestADeletionLeavesTheCommitsOfOthersWhole(t *testing.T) {
	for name, sweep := range map[string]func(testing.TB, *lakehouse.Lake, string){
		"deletion of somebody with rows": func(t testing.TB, here *lakehouse.Lake, _ string) {
			t.Helper()
			forget(t, here, canary)
		},
		"deletion of nobody": func(t testing.TB, here *lakehouse.Lake, _ string) {
			t.Helper()
			forget(t, here, "nobody-at-all")
		},
		"search for orphans a day later": func(t testing.TB, here *lakehouse.Lake, dir string) {
			t.Helper()
			age(t, dir, 25*time.Hour)
			if n, err := here.RemoveOrphans(t.Context()); err != nil || n == 0 {
				t.Errorf("%d files went, %v: the other's was to be among them", n, err)
			}
		},
	} {
		for _, under := range []string{"merge", "commit"} {
			t.Run(name+" beside a "+under, func(t *testing.T) {
				dir := t.TempDir()
				clock := func(c *lakehouse.Config) { c.Clock = later }
				here, there := openLake(t, dir, clock), openLake(t, dir, clock)
				log := laketest.NewLog()
				var armed, met atomic.Bool
				w, stop := startWriter(t, there, log, lakehouse.WithSteps(func(step string) {
					if step == "catalog" && armed.CompareAndSwap(true, false) {
						met.Store(true)
						sweep(t, here, dir)
					}
				}))
				log.Append(of(5000, canary, "visitor"), of(5001, "", "visitor-of-nobody"))
				flush(t, w)
				if name != "deletion of somebody with rows" || under == "commit" {
					for n := range 3 {
						log.Append(laketest.Records("acme", n*10, n*10+10)...)
						flush(t, w)
					}
				}
				if under == "merge" {
					log.Append(laketest.Records("acme", 30, 40)...)
					flush(t, w)
					armed.Store(true)
					if _, err := there.Compact(t.Context(), true, nil); err != nil {
						t.Errorf("compact: %v", err)
					}
				} else {
					armed.Store(true)
					log.Append(laketest.Records("acme", 30, 40)...)
					flush(t, w)
				}
				stop()
				if !met.Load() {
					t.Error("nothing was under way")
				}
				got := countIDs(t, there)
				for n := 30; n < 40; n++ {
					if c := got[laketest.Event("acme", n).MessageID]; c != 1 {
						t.Errorf("event %d is there %d times, want once", n, c)
					}
				}
				wantSound(t, there)
				wantSound(t, here)
			})
		}
	}
}

// TestFilesOfAnUnknownEraStayAndAreTold: a gateway of an earlier version may be
// about to commit them.
func TestFilesOfAnUnknownEraStayAndAreTold(t *testing.T) {
	dir := t.TempDir()
	lake := openLake(t, dir)
	manyFiles(t, lake, laketest.NewLog(), 2)
	strange := filepath.Join(filepath.Dir(filesOf(t, lake)[0]), "01890a5d-ac96-774b-bcce-b302099a8057.parquet")
	if err := os.WriteFile(strange, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	unswept := func() (n int) {
		for _, r := range forget(t, lake, "nobody-at-all") {
			n += r.Unswept
		}
		return n
	}
	if n := unswept(); n != 1 {
		t.Errorf("%d files are told to stay, want 1", n)
	}
	if _, err := os.Stat(strange); err != nil {
		t.Errorf("it is gone: %v", err)
	}
	age(t, dir, 25*time.Hour)
	if n := unswept(); n != 0 {
		t.Errorf("%d files are told to stay a day later, want none", n)
	}
	if _, err := os.Stat(strange); err == nil {
		t.Error("it is there a day later")
	}
	wantSound(t, lake)
}

func forget(t testing.TB, lake *lakehouse.Lake, user string) []lakehouse.Forgotten {
	t.Helper()
	report, err := lake.Forget(t.Context(), lakehouse.Person{Tenant: "acme", Users: []string{user}}, nil)
	if err != nil {
		t.Error(err)
	}
	return report
}

// age makes all data files older.
func age(t testing.TB, dir string, by time.Duration) {
	t.Helper()
	past := headlessly.SystemClock().Add(-by)
	err := filepath.WalkDir(filepath.Join(dir, "warehouse"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".parquet" {
			return err
		}
		return os.Chtimes(path, past, past)
	})
	if err != nil {
		t.Error(fmt.Errorf("age files: %w", err))
	}
}
