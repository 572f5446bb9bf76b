package eventlog_test

import (
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/eventlog"
)

func TestServerThatDoesNotSyncIsRefused(t *testing.T) {
	_, err := eventlog.Open(t.Context(), eventlog.WithSyncOff(testConfig(t.TempDir())))
	if err == nil || !strings.Contains(err.Error(), "does not sync each write") {
		t.Errorf("got %v, want that the server does not sync", err)
	}
}

func TestTrimStopsAtTheSlowestReader(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Readers = []string{"never"}
	l := open(t, cfg)
	for range 10 {
		mustAppend(t, l, event("x"))
	}
	commit := func(reader string, seq uint64) {
		t.Helper()
		if err := l.Commit(t.Context(), reader, seq); err != nil {
			t.Fatal(err)
		}
	}
	commit("fast", 10)
	if err := l.Trim(t.Context(), 1); err == nil {
		t.Error("trimmed what a declared reader has not read")
	}
	commit("never", 10)
	commit("slow", 4)
	commit("slow", 2) // ignored
	if err := l.Trim(t.Context(), 5); err == nil {
		t.Error("trimmed what a reader has not finished")
	}
	if err := l.Trim(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	g := readAll(t, l, 1)
	if len(g.records) != 6 || g.faults != nil {
		t.Errorf("got %d records, faults %v, want 6 and none: trimmed frames are no gap", len(g.records), g.faults)
	}
	if err := l.Forget(t.Context(), "slow"); err != nil {
		t.Fatal(err)
	}
	if err := l.Trim(t.Context(), 9); err != nil {
		t.Errorf("trim after the slow reader is forgotten: %v", err)
	}
}

func TestTrimmedLogStaysTrimmedOverARestart(t *testing.T) {
	dir := t.TempDir()
	l := open(t, testConfig(dir))
	for range 10 {
		mustAppend(t, l, event("x"))
	}
	if err := l.Trim(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	l = open(t, testConfig(dir))
	at := mustAppend(t, l, event("y"))
	if seq, _ := headlessly.SplitLogSeq(at); seq != 11 {
		t.Errorf("next frame: got %d, want 11", seq)
	}
	if g := readAll(t, l, 1); len(g.records) != 1 || g.faults != nil {
		t.Errorf("got %v, faults %v", g.records, g.faults)
	}
}

func TestFullLogRefusesUntilTheSlowestReaderMakesRoom(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.MaxBytes = 2 << 20
	cfg.FrameBytes = 64 << 10
	cfg.CompressOver = 0
	cfg.Readers = []string{"lake"}
	l := open(t, cfg)
	big := event("%s", strings.Repeat("x", 50<<10))
	var full error
	for range 100 {
		if _, full = l.Append(t.Context(), big); full != nil {
			break
		}
	}
	if !errors.Is(full, headlessly.ErrLogFull) || !errors.Is(l.Ready(), headlessly.ErrLogFull) {
		t.Fatalf("append: got %v, ready %v, want ErrLogFull", full, l.Ready())
	}
	// Cursors and parked items are still taken.
	park(t, l, headlessly.ParkedItem{Tenant: "a", Destination: "ga4", Event: []byte("1")})
	last, err := l.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Commit(t.Context(), "lake", last); err != nil {
		t.Fatal(err)
	}
	if err := eventlog.Keep(l); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, big)
	if s := l.Stats(); s.StoredBytes > cfg.MaxBytes || s.Trimmed == 0 {
		t.Errorf("stored %d bytes of at most %d, trimmed to %d", s.StoredBytes, cfg.MaxBytes, s.Trimmed)
	}
}

func TestReserveKeepsRoomForCursorsAndParkedItems(t *testing.T) {
	var free atomic.Int64
	free.Store(math.MaxInt64)
	cfg := eventlog.WithFreeSpace(testConfig(t.TempDir()), free.Load)
	cfg.Reserve = 1 << 20
	l := open(t, cfg)
	mustAppend(t, l, event("before"))
	free.Store(1 << 19)
	if _, err := l.Append(t.Context(), event("x")); !errors.Is(err, headlessly.ErrLogFull) {
		t.Errorf("append: got %v, want ErrLogFull", err)
	}
	park(t, l, headlessly.ParkedItem{Tenant: "a", Destination: "ga4", Event: []byte("1")})
	if err := l.Commit(t.Context(), "lake", 1); err != nil {
		t.Error(err)
	}
	free.Store(math.MaxInt64)
	if err := eventlog.Keep(l); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, event("after"))
}

func TestFinishedFramesGoWhenTheyAreTooOld(t *testing.T) {
	var ahead atomic.Int64
	cfg := testConfig(t.TempDir())
	cfg.MaxAge = time.Hour
	cfg.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	l := open(t, cfg)
	for range 5 {
		mustAppend(t, l, event("x"))
	}
	if err := l.Commit(t.Context(), "lake", 3); err != nil {
		t.Fatal(err)
	}
	if err := eventlog.Keep(l); err != nil {
		t.Fatal(err)
	}
	if g := readAll(t, l, 1); len(g.records) != 5 {
		t.Errorf("young frames: got %d, want 5", len(g.records))
	}
	ahead.Store(int64(2 * time.Hour))
	if err := eventlog.Keep(l); err != nil {
		t.Fatal(err)
	}
	if g := readAll(t, l, 1); len(g.records) != 2 || g.faults != nil {
		t.Errorf("old frames: got %d, faults %v, want the 2 that a reader has not finished", len(g.records), g.faults)
	}
}

func TestTooMuchWaitingIsBusyAndNothingIsTaken(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.FrameBytes = 4 << 10
	cfg.MaxWaiting = 4 << 10
	l := open(t, cfg)
	d := make(chan error, 64)
	for range cap(d) {
		go func() {
			_, err := l.Append(t.Context(), event("%s", strings.Repeat("x", 3<<10)))
			d <- err
		}()
	}
	taken := 0
	for range cap(d) {
		switch err := <-d; {
		case err == nil:
			taken++
		case !errors.Is(err, headlessly.ErrLogBusy):
			t.Errorf("got %v, want ErrLogBusy", err)
		}
	}
	if g := readAll(t, l, 1); len(g.records) != taken || taken == 0 {
		t.Errorf("got %d records, want %d", len(g.records), taken)
	}
}

func TestClosedLogRefuses(t *testing.T) {
	l := open(t, testConfig(t.TempDir()))
	mustAppend(t, l, event("x"))
	closeLog(t, l)
	if _, err := l.Append(t.Context(), event("y")); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("append: got %v, want ErrClosed", err)
	}
}
