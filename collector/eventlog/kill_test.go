package eventlog_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// TestKilledProcessLosesNothingItAcknowledged kills a process that appends, at
// random moments, over and over on one folder. EVENTLOG_KILLS and EVENTLOG_SEED
// run more, or the same again.
func TestKilledProcessLosesNothingItAcknowledged(t *testing.T) {
	kills, seed := envInt("EVENTLOG_KILLS", 50), envInt("EVENTLOG_SEED", 1)
	r := rand.New(rand.NewPCG(uint64(seed), 0)) //nolint:gosec // a seeded test
	dir := filepath.Join(t.TempDir(), "log")
	b := newBooks()
	for run := range kills {
		c := startChild(t, dir, childOptions{writers: 1 + r.IntN(16), bytes: r.IntN(2000), run: strconv.Itoa(run)})
		c.awaitOpen()
		// At times before the first ack, else a while later.
		if acks := r.IntN(4); acks > 0 {
			c.await(b, len(b.acked)+acks*r.IntN(200))
		}
		time.Sleep(time.Duration(r.IntN(5_000)) * time.Microsecond)
		c.kill(b)
		if run%10 != 9 && run != kills-1 {
			continue // the next child recovers what this one left
		}
		if missing := b.check(t, dir); missing > 0 {
			t.Fatalf("%d of %d acknowledged records, cursors and parked items are missing after kill %d; run again with EVENTLOG_SEED=%d EVENTLOG_KILLS=%d",
				missing, len(b.acked)+len(b.parked)+1, run+1, seed, run+1)
		}
	}
	t.Logf("%d kills, %d acknowledged records, %d parked items, cursor %d", kills, len(b.acked), len(b.parked), b.cursor)
}

func envInt(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

func TestClosingProcessKeepsWhatItAcknowledged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	b := newBooks()
	for run := range 3 {
		c := startChild(t, dir, childOptions{writers: 8, run: fmt.Sprint(run)})
		c.awaitOpen()
		c.await(b, len(b.acked)+300)
		c.finish(b)
		if len(b.others) != run+1 || b.others[run] != "closed" {
			t.Fatalf("child says %q, want that it closed its log", b.others)
		}
	}
	if missing := b.check(t, dir); missing > 0 {
		t.Errorf("%d missing", missing)
	}
}
