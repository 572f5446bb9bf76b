package eventlog_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/eventlog"
)

const (
	indexedFrames = 12 // before the last clean close: a block of 8 MB and a part of the next
	laterFrames   = 12 // behind it: up to a third block
)

func indexPath(dir string) string {
	return filepath.Join(dir, "jetstream", "$G", "streams", "events", "msgs", "index.db")
}

func largeFrames(t testing.TB, l *eventlog.Log, n int, into map[int64]string) {
	t.Helper()
	for range n {
		rs := []headlessly.Record{event("%d %s", len(into), strings.Repeat("x", 450_000)), event("%d %s", len(into)+1, strings.Repeat("y", 450_000))}
		first := mustAppend(t, l, rs...)
		for i, r := range rs {
			into[first+int64(i)] = string(r.Data)
		}
	}
}

// writeIndexed makes a log of several blocks whose index was written in
// between, left behind as by a kill. between may do something to it.
func writeIndexed(t testing.TB, between func(l *eventlog.Log)) written {
	t.Helper()
	w := written{records: map[int64]string{}}
	dir := t.TempDir()
	cfg := testConfig(dir)
	cfg.CompressOver = 0
	l := open(t, cfg)
	largeFrames(t, l, indexedFrames, w.records)
	closeLog(t, l)
	l = open(t, cfg)
	largeFrames(t, l, laterFrames, w.records)
	if between != nil {
		between(l)
	}
	w.dir = copyTree(t, dir)
	if n := countBlocks(t, w.dir); n != 3 {
		t.Fatalf("the log has %d blocks, want 3", n)
	}
	return w
}

func countBlocks(t testing.TB, dir string) int {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(filepath.Dir(indexPath(dir)), "*.blk"))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// warnings keeps what is logged as a warning or worse.
type warnings struct {
	slog.Handler
	mu   sync.Mutex
	said []string
}

func (w *warnings) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

func (w *warnings) Handle(_ context.Context, r slog.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	w.said = append(w.said, text)
	return nil
}

func TestAfterAKillOnlyWhatCameBehindTheIndexIsSearched(t *testing.T) {
	w := writeIndexed(t, nil)
	before, err := os.ReadFile(indexPath(w.dir))
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(w.dir)
	said := &warnings{Handler: slog.DiscardHandler}
	cfg.Logger = slog.New(said)
	l := open(t, cfg)
	after, err := os.ReadFile(indexPath(w.dir))
	if err != nil || bytes.Equal(before, after) {
		t.Errorf("the index is as it was, or gone: %v", err)
	}
	closeLog(t, l)
	if len(said.said) > 0 {
		t.Errorf("the server reads the store again: %q", said.said)
	}
	if n := l.Stats().Salvage.Blocks; n < 2 || n > 4 { // of events the last two; of cursors and parked the only one, if any
		t.Errorf("%d blocks were searched", n)
	}
	closed, err := os.ReadFile(indexPath(w.dir))
	if err != nil || !bytes.Equal(closed, after) {
		t.Errorf("the server writes another index than it was given (%v):\n%x\n%x", err, closed, after)
	}
	checkSalvaged(t, w, nil)
}

func TestAnIndexThatIsNotPlainIsLeftToTheSearch(t *testing.T) {
	for _, c := range []struct {
		name    string
		between func(t *testing.T, l *eventlog.Log)
		change  func(t *testing.T, dir string)
		lost    int    // frames
		trimmed uint64 // up to this
	}{
		{"a torn write at the end", nil, func(t *testing.T, dir string) {
			t.Helper()
			edit(t, blockPath(dir, "events", 3), func(b []byte) []byte { return append(b, b[:1000]...) })
		}, 0, 0},
		{"damage behind the index", nil, func(t *testing.T, dir string) {
			t.Helper()
			path := blockPath(dir, "events", 3)
			at := recordSpans(t, path)[1][0] + 5000
			edit(t, path, func(b []byte) []byte { b[at] ^= 1; return b })
		}, 1, 0},
		{"an old block was cut", nil, func(t *testing.T, dir string) {
			t.Helper()
			path := blockPath(dir, "events", 1)
			at := recordSpans(t, path)[7][0]
			edit(t, path, func(b []byte) []byte { return b[:at] })
		}, 2, 0},
		{"the index is damaged", nil, func(t *testing.T, dir string) {
			t.Helper()
			edit(t, indexPath(dir), func(b []byte) []byte { b[20] ^= 1; return b })
		}, 0, 0},
		{"there is no index", nil, func(t *testing.T, dir string) {
			t.Helper()
			if err := os.Remove(indexPath(dir)); err != nil {
				t.Fatal(err)
			}
		}, 0, 0},
		{"frames were removed since", func(t *testing.T, l *eventlog.Log) {
			t.Helper()
			if err := l.Commit(t.Context(), "router", 5); err != nil {
				t.Fatal(err)
			}
			if err := l.Trim(t.Context(), 3); err != nil {
				t.Fatal(err)
			}
		}, func(*testing.T, string) {}, 0, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := writeIndexed(t, func(l *eventlog.Log) {
				if c.between != nil {
					c.between(t, l)
				}
			})
			c.change(t, w.dir)
			l := open(t, testConfig(w.dir))
			g := readAll(t, l, 1)
			if n := l.Stats().Salvage.Blocks; n < 3 {
				t.Errorf("%d blocks were searched, want all", n)
			}
			lost := lostFrames(t, g)
			for at, data := range w.records {
				seq, _ := headlessly.SplitLogSeq(at)
				if got, ok := g.records[at]; ok && got != data {
					t.Errorf("record %d is another", at)
				} else if !ok && !lost[seq] && seq > c.trimmed {
					t.Errorf("record %d is gone, and nobody is told", at)
				}
			}
			if len(lost) != c.lost {
				t.Errorf("lost: got %v, want %d", lost, c.lost)
			}
			mustAppend(t, l, event("after"))
		})
	}
}

func TestOldDamageIsFoundWhenItIsReadAlsoAfterAKill(t *testing.T) {
	w := writeIndexed(t, nil)
	path := blockPath(w.dir, "events", 1)
	at := recordSpans(t, path)[2][0] + 5000
	edit(t, path, func(b []byte) []byte { b[at] ^= 1; return b })
	s := checkSalvaged(t, w, frames(3))
	if s.Corrupt != 1 {
		t.Errorf("corrupt: got %d, want 1", s.Corrupt)
	}
}

// trimmedFrames makes a log of which whole blocks are trimmed while it is
// written, as one at its budget is, and leaves it behind as by a kill.
func trimmedFrames(t *testing.T, before func(dir string)) (w written, kept uint64) {
	t.Helper()
	w = written{records: map[int64]string{}}
	dir := t.TempDir()
	var now atomic.Pointer[time.Time] // nil for what it is
	cfg := testConfig(dir)
	cfg.CompressOver, cfg.MaxAge = 0, time.Hour
	cfg.Clock = func() time.Time {
		if at := now.Load(); at != nil {
			return *at
		}
		return time.Now()
	}
	l := open(t, cfg)
	largeFrames(t, l, 12, w.records) // a block and a part of the next
	cut := time.Now()
	largeFrames(t, l, 12, w.records)
	last, err := l.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Commit(t.Context(), "router", last); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l) // writes the index
	if before != nil {
		before(dir)
	}
	l = open(t, cfg)
	then := cut.Add(cfg.MaxAge) // what was stored before the cut is too old
	now.Store(&then)
	for range 3 {
		if err := eventlog.Keep(l); err != nil {
			t.Fatal(err)
		}
	}
	kept = l.Stats().Trimmed + 1
	now.Store(nil)
	largeFrames(t, l, 3, w.records)
	w.dir = copyTree(t, dir)
	return w, kept
}

func TestAfterATrimAndAKillOnlyTheNewestBlocksAreSearched(t *testing.T) {
	for _, c := range []struct {
		name   string
		before func(t *testing.T, dir string) (after func(copied string))
	}{
		{"the index is from behind the trim", nil},
		{"the kill came before that index was written", func(t *testing.T, dir string) func(string) {
			t.Helper()
			former, err := os.ReadFile(indexPath(dir))
			if err != nil {
				t.Fatal(err)
			}
			return func(copied string) { edit(t, indexPath(copied), func([]byte) []byte { return former }) }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var after func(string)
			w, kept := trimmedFrames(t, func(dir string) {
				if c.before != nil {
					after = c.before(t, dir)
				}
			})
			if n := countBlocks(t, w.dir); n != 2 {
				t.Fatalf("%d blocks are left, want 2: the first was too old, the second only in part", n)
			}
			if after != nil {
				after(w.dir)
			}
			cfg := testConfig(w.dir)
			said := &warnings{Handler: slog.DiscardHandler}
			cfg.Logger = slog.New(said)
			l := open(t, cfg)
			for _, line := range said.said {
				if strings.Contains(line, "[events]") {
					t.Errorf("the server reads the store again: %s", line)
				}
			}
			if n := l.Stats().Salvage.Blocks; n > 3 { // of events the last, of cursors and parked the only one
				t.Errorf("%d blocks were searched, want the newest of each stream", n)
			}
			g := readAll(t, l, 1)
			if lost := lostFrames(t, g); len(lost) > 0 {
				t.Errorf("frames %v are told to be lost", lost)
			}
			for at, data := range w.records {
				if seq, _ := headlessly.SplitLogSeq(at); seq >= kept && g.records[at] != data {
					t.Errorf("record %d of frame %d is gone", at, seq)
				}
			}
		})
	}
}
