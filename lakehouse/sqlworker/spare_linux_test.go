package sqlworker_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/headlessly/headlessly/lakehouse"
)

// workers are the processes that this one has as workers.
func workers(t testing.TB) (pids []int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		args, err := os.ReadFile(f)
		if err != nil || !bytes.HasSuffix(args, []byte("\x00"+lakehouse.WorkerArgument+"\x00")) {
			continue // it has ended, or is something else
		}
		stat, err := os.ReadFile(filepath.Join(filepath.Dir(f), "stat"))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) < 2 || fields[0] == "Z" || fields[1] != strconv.Itoa(os.Getpid()) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// waiting is the one worker that waits for a query.
func waiting(t testing.TB, others []int) int {
	t.Helper()
	for range 3000 {
		now := slices.DeleteFunc(workers(t), func(pid int) bool { return slices.Contains(others, pid) })
		if len(now) == 1 {
			return now[0]
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("no worker waits, or more than one: %v beside %v", workers(t), others)
	return 0
}

// TestAWorkerWaitsForTheNextQuery has one worker started ahead: it is the one
// that runs the next query, each runs one query only, one that died is not
// asked, and none is left when the lake is closed.
func TestAWorkerWaitsForTheNextQuery(t *testing.T) {
	others := workers(t)
	cfg := lakehouse.Default(t.TempDir())
	cfg.SpareWorker = true
	lake, err := lakehouse.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for n := range 3 {
		if got, want := ask(t, lake, "", fmt.Sprintf("SELECT %d AS n", n), lakehouse.FormatCSV), fmt.Sprintf("n\n%d\n", n); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		pid := waiting(t, others)
		if seen[pid] {
			t.Errorf("worker %d waits after it has run a query", pid)
		}
		seen[pid] = true
		if n == 1 {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			for slices.Contains(workers(t), pid) {
				time.Sleep(5 * time.Millisecond)
			}
		}
	}
	if err := lake.Close(); err != nil {
		t.Fatal(err)
	}
	if left := slices.DeleteFunc(workers(t), func(pid int) bool { return slices.Contains(others, pid) }); len(left) != 0 {
		t.Errorf("workers %v are left", left)
	}
}

// TestAWorkerThatDiesBeforeItHasReadItsQueryIsReplaced kills one that has its
// query in the pipe.
func TestAWorkerThatDiesBeforeItHasReadItsQueryIsReplaced(t *testing.T) {
	others := workers(t)
	cfg := lakehouse.Default(t.TempDir())
	cfg.SpareWorker = true
	lake, err := lakehouse.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := lake.Close(); err != nil {
			t.Error(err)
		}
	}()
	ask(t, lake, "", "SELECT 1 AS n", lakehouse.FormatCSV)
	pid := waiting(t, others)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		rows, err := lake.Query(t.Context(), "", "SELECT 2 AS n", lakehouse.QueryOptions{})
		if err == nil {
			err = rows.Close()
		}
		done <- err
	}()
	time.Sleep(500 * time.Millisecond) // the query is in the pipe by then, or finds it closed
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("got %v", err)
	}
}
