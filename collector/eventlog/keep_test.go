package eventlog_test

import (
	"context"
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

// Who reads up to a place ends there, whatever is trimmed.
func TestARangeOfALogThatWasTrimmedEnds(t *testing.T) {
	l := open(t, testConfig(t.TempDir()))
	for i := range 10 {
		mustAppend(t, l, event("%d", i))
	}
	for _, row := range []struct {
		name        string
		trim        uint64
		from, to    uint64
		first, last uint64
	}{
		{"the whole range is there", 0, 2, 8, 2, 8},
		{"the newest frames are asked for", 0, 9, 10, 9, 10},
		{"its beginning was trimmed", 4, 2, 8, 5, 8},
		{"all of it was trimmed", 8, 2, 8, 0, 0},
		{"the whole log was trimmed", 10, 1, 10, 0, 0},
	} {
		if err := l.Commit(t.Context(), "lake", max(row.trim, 1)); err != nil {
			t.Fatal(err)
		}
		if err := l.Trim(t.Context(), row.trim); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		var seqs []uint64
		for f, err := range l.ReadTo(ctx, row.from, row.to) {
			if err != nil {
				t.Errorf("%s: %v", row.name, err)
				break
			}
			seqs = append(seqs, f.Seq)
		}
		var first, last uint64
		if len(seqs) > 0 {
			first, last = seqs[0], seqs[len(seqs)-1]
		}
		if first != row.first || last != row.last || last > 0 && uint64(len(seqs)) != last-first+1 {
			t.Errorf("%s: got %v, want %d to %d", row.name, seqs, row.first, row.last)
		}
		exported := 0
		if err := l.Export(ctx, row.from, row.to, func(headlessly.Frame) error { exported++; return nil }); err != nil || exported != len(seqs) {
			t.Errorf("%s: exported %d frames, %v, want %d", row.name, exported, err, len(seqs))
		}
		cancel()
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
	if err := eventlog.Keep(l); err != nil || !errors.Is(l.Ready(), headlessly.ErrLogFull) {
		t.Errorf("looked again: %v, ready %v, want ErrLogFull: nothing has changed", err, l.Ready())
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
