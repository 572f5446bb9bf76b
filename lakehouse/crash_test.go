package lakehouse_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("LAKE_CRASH_DIR"); dir != "" {
		child := crashChild
		if os.Getenv("LAKE_CRASH_MERGE") != "" {
			child = mergeChild
		}
		if err := child(dir, os.Getenv("LAKE_CRASH_STEP"), os.Getenv("LAKE_CRASH_FRAMES")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// crashLog is the log as every process of a crash test sees it: always the
// same frames, and the cursor on disk.
func crashLog(dir string, frames int) *laketest.Log {
	log := laketest.NewLog()
	log.CursorFile = filepath.Join(dir, "cursor")
	for f := range frames {
		records := append(laketest.Records("acme", f*20, f*20+20), laketest.Records("beta", f*5, f*5+5)...)
		log.Append(append(records, laketest.RejectedRecord(headlessly.Rejected{Tenant: "acme", ReceivedAt: laketest.Noon, Reason: strconv.Itoa(f)}))...)
	}
	return log
}

// crashChild follows the log to its end and dies at a step, if one is named
// "<step>/<n>", when it comes to it for the n-th time.
func crashChild(dir, step, frames string) error {
	n, err := strconv.Atoi(frames)
	if err != nil {
		return err
	}
	cfg := lakehouse.Default(filepath.Join(dir, "lake"))
	cfg.MaxBatchBytes = 30_000 // about three frames
	lake, err := lakehouse.Open(context.Background(), cfg)
	if err != nil {
		return err
	}
	seen := map[string]int{}
	w, err := lakehouse.NewWriter(lake, crashLog(dir, n), lakehouse.WithSteps(func(s string) {
		if seen[s]++; step == fmt.Sprintf("%s/%d", s, seen[s]) {
			self, _ := os.FindProcess(os.Getpid())
			_ = self.Kill()
			time.Sleep(time.Minute) // the kill comes first
		}
	}))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	if err := w.Flush(ctx); err != nil {
		return err
	}
	cancel()
	return <-done
}

func runChild(t testing.TB, dir, step string, frames int, killAfter time.Duration) {
	t.Helper()
	cmd := exec.Command(os.Args[0]) //nolint:gosec // this test's binary
	cmd.Env = append(os.Environ(), "LAKE_CRASH_DIR="+dir, "LAKE_CRASH_STEP="+step, "LAKE_CRASH_FRAMES="+strconv.Itoa(frames))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if killAfter > 0 {
		timer := time.AfterFunc(killAfter, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
	}
	err := cmd.Wait()
	if killed := step != "" || killAfter > 0; err != nil && !killed {
		t.Fatalf("child: %v", err)
	} else if step != "" && err == nil {
		t.Fatalf("child did not come to step %s", step)
	}
}

// wantAll checks that every row of the log is in the tables once.
func wantAll(t testing.TB, dir string, frames int) {
	t.Helper()
	lake := openLake(t, filepath.Join(dir, "lake"))
	got := countIDs(t, lake)
	wantOnce(t, got, "acme", frames*20)
	wantOnce(t, got, "beta", frames*5)
	if len(got) != frames*25 {
		t.Errorf("events has %d ids, want %d", len(got), frames*25)
	}
	reasons := column(t, scan(t, lake, lakehouse.TableRejected), "reason")
	seen := map[string]int{}
	for i := range reasons.Len() {
		seen[reasons.ValueStr(i)]++
	}
	for f := range frames {
		if seen[strconv.Itoa(f)] != 1 {
			t.Errorf("rejected row %d is there %d times, want once", f, seen[strconv.Itoa(f)])
		}
	}
}

// TestRowsAreThereOnceWhereverTheProcessDies kills at each step at its first
// and second time; HEADLESSLY_SOAK=1 goes on through every batch.
func TestRowsAreThereOnceWhereverTheProcessDies(t *testing.T) {
	times := 2
	if os.Getenv("HEADLESSLY_SOAK") != "" {
		times = 5
	}
	for _, step := range []string{"seal", "write", "commit", "catalog", "recorded", "committed", "cursor", "done"} {
		for n := 1; n <= times; n++ { // 1 and 2 are the two tables
			at := fmt.Sprintf("%s/%d", step, n)
			t.Run(at, func(t *testing.T) {
				dir := t.TempDir()
				runChild(t, dir, at, 2+3*times, 0)
				if n != 2 {
					runChild(t, dir, "write/1", 5+3*times, 0) // and again, at once
				}
				runChild(t, dir, "", 6+3*times, 0)
				wantAll(t, dir, 6+3*times)
			})
		}
	}
}

// TestRowsAreThereOnceAfterManyKillsAtOnePoint kills again and again at the same
// step of one lake's life; HEADLESSLY_SOAK=1 makes it 200 times at each.
func TestRowsAreThereOnceAfterManyKillsAtOnePoint(t *testing.T) {
	kills, points := 4, []string{"commit", "recorded"} // around the change of the catalog
	if os.Getenv("HEADLESSLY_SOAK") != "" {
		kills, points = 200, []string{"seal", "write", "commit", "catalog", "recorded", "committed", "cursor", "done"}
	}
	for _, step := range points {
		t.Run(step, func(t *testing.T) {
			dir := t.TempDir()
			for i := range kills {
				runChild(t, dir, step+"/1", 2*(i+1), 0)
			}
			runChild(t, dir, "", 2*kills+2, 0)
			wantAll(t, dir, 2*kills+2)
			t.Logf("%d kills at %s: %d events in the log, %d in the table", kills, step, 25*(2*kills+2), len(countIDs(t, openLake(t, filepath.Join(dir, "lake")))))
		})
	}
}

func TestRowsAreThereOnceAfterKillsAtRandom(t *testing.T) {
	dir := t.TempDir()
	for i := range 12 {
		runChild(t, dir, "", 4+4*i, time.Duration(20+17*i%160)*time.Millisecond)
	}
	runChild(t, dir, "", 60, 0)
	wantAll(t, dir, 60)
}
