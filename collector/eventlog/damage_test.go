package eventlog_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/eventlog"
)

// copyTree copies a log's folder as it is now: what a crash would leave.
func copyTree(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(filepath.Join(to, "log"), os.DirFS(from)); err != nil {
		t.Fatalf("copy log folder: %v", err)
	}
	return filepath.Join(to, "log")
}

// written is a log folder, left behind as by a crash, and what was appended.
type written struct {
	dir     string
	records map[int64]string
}

const damageFrames = 40

// writeFrames makes a log of frames with three records each.
func writeFrames(t testing.TB, frames, recordBytes int) written {
	t.Helper()
	dir := t.TempDir()
	l := open(t, testConfig(dir))
	w := written{records: map[int64]string{}}
	for f := range frames {
		var rs []headlessly.Record
		for i := range 3 {
			rs = append(rs, event("frame %d record %d %s", f+1, i, strings.Repeat(string(rune('a'+f%26)), recordBytes)))
		}
		first := mustAppend(t, l, rs...)
		for i, r := range rs {
			w.records[first+int64(i)] = string(r.Data)
		}
	}
	w.dir = copyTree(t, dir)
	return w
}

func blockPath(dir, stream string, n int) string {
	return filepath.Join(dir, "jetstream", "$G", "streams", stream, "msgs", fmt.Sprintf("%d.blk", n))
}

// recordSpans gives the start and end of each record in a block file.
func recordSpans(t testing.TB, path string) [][2]int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var spans [][2]int
	for at := 0; at < len(b); {
		n := int(binary.LittleEndian.Uint32(b[at:]) &^ (1 << 31)) // the bit says that there is a header
		spans = append(spans, [2]int{at, at + n})
		at += n
	}
	return spans
}

func edit(t testing.TB, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

// lostFrames gives the frames that a reader was told are missing or damaged.
func lostFrames(t testing.TB, g got) map[uint64]bool {
	t.Helper()
	lost := map[uint64]bool{}
	for _, err := range g.faults {
		var gap *headlessly.GapError
		var corrupt *headlessly.CorruptError
		switch {
		case errors.As(err, &gap):
			for s := gap.From; s <= gap.To; s++ {
				lost[s] = true
			}
		case errors.As(err, &corrupt):
			lost[corrupt.Seq] = true
		}
	}
	return lost
}

// checkSalvaged reopens a damaged log: frames told to be lost are lost, all
// others are there, and it takes new ones.
func checkSalvaged(t *testing.T, w written, wantLost map[uint64]bool) eventlog.Stats {
	t.Helper()
	l := open(t, testConfig(w.dir))
	after := mustAppend(t, l, event("after"))
	g := readAll(t, l, 1)
	lost := lostFrames(t, g)
	for seq := range wantLost {
		if !lost[seq] {
			t.Errorf("frame %d: a reader is not told that it is lost", seq)
		}
	}
	for at, data := range w.records {
		seq, _ := headlessly.SplitLogSeq(at)
		switch got, ok := g.records[at]; {
		case wantLost[seq] && ok:
			t.Errorf("record %d of a destroyed frame: got %.20q", at, got)
		case !wantLost[seq] && got != data:
			t.Errorf("record %d: got %.20q, want %.20q", at, got, data)
		}
		delete(g.records, at)
	}
	delete(g.records, after)
	if len(g.records) > 0 {
		t.Errorf("got %d records that were never appended: %v", len(g.records), g.records)
	}
	if len(lost) != len(wantLost) {
		t.Errorf("lost: got %v, want %v", lost, wantLost)
	}
	return l.Stats()
}

func frames(seqs ...uint64) map[uint64]bool {
	m := map[uint64]bool{}
	for _, s := range seqs {
		m[s] = true
	}
	return m
}

func TestDamageCostsOnlyWhatItHit(t *testing.T) {
	const (
		record  = 20 // index of the record that is hit; its frame is 21
		subject = 22
		payload = subject + len("events.00")
	)
	flip := func(off int) func(b []byte, at, end int) []byte {
		return func(b []byte, at, _ int) []byte { b[at+off] ^= 0x10; return b }
	}
	for _, c := range []struct {
		name   string
		damage func(b []byte, at, end int) []byte
		lost   map[uint64]bool
	}{
		{"bit of a record", flip(payload + 40), frames(21)},
		{"bit of the frame's magic", flip(payload), frames(21)},
		{"bit of the frame's checksum", flip(payload + 28), frames(21)},
		// The frame itself is whole: it gets a new record around it.
		{"bit of the record's length", flip(0), nil},
		{"top byte of the record's length", flip(3), nil},
		{"bit of the sequence", flip(4), nil},
		{"bit of the time", flip(12), nil},
		{"bit of the subject's length", flip(20), nil},
		{"bit of the subject", flip(subject), nil},
		{"bit of the server's hash", func(b []byte, _, end int) []byte { b[end-1] ^= 1; return b }, nil},
		{"record zeroed", func(b []byte, at, end int) []byte { clear(b[at:end]); return b }, frames(21)},
		{"record cut out", func(b []byte, at, end int) []byte { return append(b[:at:at], b[end:]...) }, frames(21)},
		{"half a record cut out", func(b []byte, at, end int) []byte { return append(b[:at+50:at+50], b[end:]...) }, frames(21)},
		{"bytes inserted before", func(b []byte, at, _ int) []byte {
			return append(append(b[:at:at], "surprise"...), b[at:]...)
		}, nil},
		{"two records run into each other", func(b []byte, at, end int) []byte { clear(b[end-50 : end+payload+40]); return b }, frames(21, 22)},
		{"torn tail", func(b []byte, _, _ int) []byte { return b[:len(b)-10] }, frames(damageFrames)},
		{"garbage behind the end", func(b []byte, _, _ int) []byte { return append(b, "garbage"...) }, nil},
		{"all zero behind the end", func(b []byte, _, _ int) []byte { return append(b, make([]byte, 4096)...) }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := writeFrames(t, damageFrames, 200)
			path := blockPath(w.dir, "events", 1)
			spans := recordSpans(t, path)
			edit(t, path, func(b []byte) []byte { return c.damage(b, spans[record][0], spans[record][1]) })
			if c.name == "torn tail" {
				// Never acknowledged, so no reader misses it.
				for at := range w.records {
					if seq, _ := headlessly.SplitLogSeq(at); seq == damageFrames {
						delete(w.records, at)
					}
				}
				c.lost = nil
			}
			checkSalvaged(t, w, c.lost)
		})
	}
}

func TestRandomDamageNeverLosesAFrameItDidNotHit(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a seeded test
			w := writeFrames(t, damageFrames, 50)
			path := blockPath(w.dir, "events", 1)
			spans := recordSpans(t, path)
			hit := map[uint64]bool{}
			edit(t, path, func(b []byte) []byte {
				// The last frame stays: a torn tail is another case.
				for range 1 + r.IntN(6) {
					at, n := r.IntN(spans[damageFrames-1][0]), 1+r.IntN(64)
					for i := at; i < min(at+n, spans[damageFrames-1][0]); i++ {
						b[i] ^= byte(1 + r.IntN(255))
					}
					for i, s := range spans {
						if at < s[1] && at+n > s[0] {
							hit[uint64(i+1)] = true
						}
					}
				}
				return b
			})
			l := open(t, testConfig(w.dir))
			g := readAll(t, l, 1)
			lost := lostFrames(t, g)
			for at, data := range w.records {
				seq, _ := headlessly.SplitLogSeq(at)
				got, ok := g.records[at]
				switch {
				case ok && got != data && !hit[seq]:
					t.Errorf("record %d: got %.20q, want %.20q", at, got, data)
				case !ok && !hit[seq]:
					t.Errorf("record %d of frame %d, which was not hit, is lost", at, seq)
				case !ok && !lost[seq]:
					t.Errorf("frame %d is lost and no reader is told", seq)
				}
			}
		})
	}
}

func TestDamagedServerFilesAreRebuilt(t *testing.T) {
	for _, name := range []string{"meta.inf", "meta.sum", "msgs/index.db"} {
		t.Run(name, func(t *testing.T) {
			w := writeFrames(t, damageFrames, 50)
			path := filepath.Join(w.dir, "jetstream", "$G", "streams", "events", filepath.FromSlash(name))
			if err := os.WriteFile(path, []byte("rubbish"), 0o600); err != nil {
				t.Fatal(err)
			}
			checkSalvaged(t, w, nil)
		})
	}
}

func TestDamageAfterACleanCloseIsFoundWhenItIsRead(t *testing.T) {
	dir := t.TempDir()
	l := open(t, testConfig(dir))
	for f := range 20 {
		mustAppend(t, l, event("frame %d", f+1))
	}
	closeLog(t, l)
	spans := recordSpans(t, blockPath(dir, "events", 1))
	edit(t, blockPath(dir, "events", 1), func(b []byte) []byte {
		i := bytes.Index(b[spans[6][0]:], []byte("frame 7"))
		b[spans[6][0]+i] = 'F'
		return b
	})
	l = open(t, testConfig(dir))
	g := readAll(t, l, 1)
	if lost := lostFrames(t, g); len(lost) != 1 || !lost[7] {
		t.Errorf("lost: got %v, want frame 7", lost)
	}
	if len(g.records) != 19 {
		t.Errorf("got %d records, want 19", len(g.records))
	}
	if s := l.Stats(); s.Corrupt != 1 {
		t.Errorf("corrupt: got %d, want 1", s.Corrupt)
	}
}

func TestADamagedPackOfParkedItemsIsNamedAndThoseBehindItFollow(t *testing.T) {
	for _, row := range []struct {
		name    string
		damaged string
		remove  bool // what is read, as a replay does
		read    int
	}{
		{"one in the middle", "pack 2", false, 12},
		{"one in the middle, of a list that is used up", "pack 4", true, 12},
		{"the last, of a list that is used up", "pack 5", true, 12},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			l := open(t, testConfig(dir))
			for pack := range 5 {
				var items []headlessly.ParkedItem
				for range 3 {
					items = append(items, headlessly.ParkedItem{Tenant: "acme", Destination: "ga4", Dead: true, Event: fmt.Appendf(nil, "pack %d", pack+1)})
				}
				park(t, l, items...)
			}
			closeLog(t, l)
			edit(t, blockPath(dir, "parked", 1), func(b []byte) []byte {
				b[bytes.Index(b, []byte(row.damaged))] = 'P'
				return b
			})
			l = open(t, testConfig(dir))
			var read int
			var damaged *headlessly.DamagedError
			for it, err := range l.List(t.Context(), "acme", "ga4") {
				switch {
				case err != nil && !errors.As(err, &damaged):
					t.Errorf("list: %v", err)
				case err == nil:
					read++
					if row.remove {
						if err := l.Remove(t.Context(), it.ID); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			want := headlessly.DamagedError{Key: headlessly.ParkedKey{Tenant: "acme", Destination: "ga4", Dead: true}, Items: 3}
			if damaged == nil || damaged.Key != want.Key || damaged.Items != want.Items || read != row.read {
				t.Errorf("got %d items and %+v, want %d and %+v", read, damaged, row.read, want)
			}
		})
	}
}

// TestAPackThatAnotherReaderRemovesIsNotDamaged removes the last pack while the
// first is being read: the list counted it when it began.
func TestAPackThatAnotherReaderRemovesIsNotDamaged(t *testing.T) {
	l := open(t, testConfig(t.TempDir()))
	for range 8 { // more than one request to the store gives
		park(t, l, headlessly.ParkedItem{Tenant: "acme", Destination: "ga4", Dead: true, Event: make([]byte, 900<<10)})
	}
	var ids []uint64
	for it, err := range l.List(t.Context(), "acme", "ga4") {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, it.ID)
	}
	read := 0
	for _, err := range l.List(t.Context(), "acme", "ga4") {
		if err != nil {
			t.Errorf("list: %v", err)
			continue
		}
		if read++; read == 1 {
			if err := l.Remove(t.Context(), ids[len(ids)-1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if read != 7 {
		t.Errorf("got %d items, want 7", read)
	}
}

func TestForgedFrameInsideADamagedOneIsNotSalvaged(t *testing.T) {
	// A client sends bytes that look like a whole block record with a frame. The
	// frame around them is then damaged.
	other := writeFrames(t, 1, 10)
	forged, err := os.ReadFile(blockPath(other.dir, "events", 1))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	l := open(t, testConfig(dir))
	mustAppend(t, l, event("one"))
	mustAppend(t, l, headlessly.Record{Kind: headlessly.RecordRejected, Data: forged})
	mustAppend(t, l, event("three"))
	crashed := copyTree(t, dir)
	spans := recordSpans(t, blockPath(crashed, "events", 1))
	edit(t, blockPath(crashed, "events", 1), func(b []byte) []byte { b[spans[1][0]+40] ^= 1; return b })

	l = open(t, testConfig(crashed))
	for _, data := range readAll(t, l, 1).records {
		if data != "one" && data != "three" {
			t.Errorf("got record %q, which was never appended", data)
		}
	}
}
