package eventlog_test

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/headlessly/headlessly/collector/eventlog"
	"github.com/nats-io/nats.go/jetstream"
)

const lentMessages = 30

// lentPayload is text with its checksum, as other parts write theirs.
func lentPayload(i int) []byte {
	text := fmt.Sprintf("message %d %s", i, strings.Repeat(string(rune('a'+i%26)), 200))
	return fmt.Appendf(nil, "%08x %s", crc32.ChecksumIEEE([]byte(text)), text)
}

func lentConfig(dir string) eventlog.Config {
	cfg := testConfig(dir)
	cfg.Lent = []eventlog.LentStream{{Name: "lent", Subject: "lent.", Sound: func(p []byte) bool {
		var sum uint32
		_, err := fmt.Sscanf(string(p[:min(8, len(p))]), "%08x", &sum)
		return err == nil && len(p) > 9 && crc32.ChecksumIEEE(p[9:]) == sum && bytes.IndexByte(p, 0) < 0
	}}}
	return cfg
}

// lentStream opens the lent stream of a log, making it where it is new.
func lentStream(t testing.TB, l *eventlog.Log) (jetstream.JetStream, jetstream.Stream) {
	t.Helper()
	js, err := l.JetStream("lent")
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "lent", Subjects: []string{"lent.>"}, Storage: jetstream.FileStorage, AllowDirect: true, AllowAtomicPublish: true})
	if err != nil {
		t.Fatal(err)
	}
	return js, s
}

// TestALentStreamIsSearchedForDamage damages a stream of another part. What is
// sound is kept, behind the damage too; the original is in quarantine; the part
// is told until it has settled; and the log goes on.
func TestALentStreamIsSearchedForDamage(t *testing.T) {
	dir := t.TempDir()
	l := open(t, lentConfig(dir))
	js, _ := lentStream(t, l)
	for i := range lentMessages {
		if _, err := js.Publish(t.Context(), fmt.Sprintf("lent.%d", i), lentPayload(i), jetstream.WithExpectLastSequencePerSubject(0)); err != nil {
			t.Fatal(err)
		}
	}
	crashed := copyTree(t, dir)
	closeLog(t, l)
	clean := copyTree(t, dir)
	for _, c := range []struct {
		name   string
		change func(b []byte, spans [][2]int) []byte
		lost   []int // by number
		torn   bool  // an unfinished write: cut off, not mended
	}{
		{"nothing", func(b []byte, _ [][2]int) []byte { return b }, nil, false},
		{"a bit in a payload in the middle", func(b []byte, s [][2]int) []byte { b[s[9][1]-60] ^= 4; return b }, []int{9}, false},
		{"a bit in a length in the middle", func(b []byte, s [][2]int) []byte { b[s[9][0]] ^= 64; return b }, []int{9}, false},
		{"a bit in a subject", func(b []byte, s [][2]int) []byte { b[s[9][0]+23] ^= 1; return b }, []int{9}, false},
		{"a bit in the first message", func(b []byte, s [][2]int) []byte { b[s[0][0]+40] ^= 1; return b }, []int{0}, false},
		{"two places", func(b []byte, s [][2]int) []byte { b[s[3][0]+60] ^= 1; b[s[20][0]+60] ^= 1; return b }, []int{3, 20}, false},
		{"zeroes over two messages", func(b []byte, s [][2]int) []byte { clear(b[s[9][0]+10 : s[10][1]-20]); return b }, []int{9, 10}, false},
		{"an unfinished write at the end", func(b []byte, s [][2]int) []byte { return b[:s[29][1]-10] }, []int{29}, true},
	} {
		for from, folder := range map[string]string{"after a crash": crashed, "after an orderly end": clean} {
			t.Run(c.name+" "+from, func(t *testing.T) {
				dir := copyTree(t, folder)
				path := blockPath(dir, "lent", 1)
				spans := recordSpans(t, path)
				edit(t, path, func(b []byte) []byte { return c.change(b, spans) })
				damaged := c.name != "nothing"
				for range 2 { // the second time there is nothing to do
					l := open(t, lentConfig(dir))
					_, s := lentStream(t, l)
					wantLent(t, s, c.lost)
					if got, want := l.Mended("lent"), damaged && !c.torn; got != want {
						t.Errorf("mended: got %v, want %v", got, want)
					}
					if lost := l.Stats().Salvage.Lost; !c.torn && lost > uint64(len(c.lost)) {
						t.Errorf("lost: got %d, want %d", lost, len(c.lost))
					}
					mustAppend(t, l, event("the log's own"))
					closeLog(t, l)
				}
				l := open(t, lentConfig(dir))
				if err := l.Settle("lent"); err != nil || l.Mended("lent") {
					t.Errorf("after settling: %v, mended %v", err, l.Mended("lent"))
				}
				kept, err := os.ReadDir(filepath.Join(dir, "quarantine"))
				if damaged && (err != nil || len(kept) != 1) {
					t.Errorf("quarantine: got %d files, %v, want one", len(kept), err)
				}
			})
		}
	}
}

// wantLent wants every message but the lost ones, at its own sequence.
func wantLent(t testing.TB, s jetstream.Stream, lost []int) {
	t.Helper()
	gone := map[int]bool{}
	for _, i := range lost {
		gone[i] = true
	}
	for i := range lentMessages {
		m, err := s.GetMsg(t.Context(), uint64(i+1))
		switch {
		case gone[i] && err == nil:
			t.Errorf("message %d is there: %q", i, m.Data)
		case !gone[i] && (err != nil || !bytes.Equal(m.Data, lentPayload(i)) || m.Subject != fmt.Sprintf("lent.%d", i)):
			t.Errorf("message %d: got %+v, %v", i, m, err)
		}
	}
}
