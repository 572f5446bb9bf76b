package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/eventlog"
)

// open starts an embedded log in dir and closes it with the test.
func open(t testing.TB, cfg eventlog.Config) *eventlog.Log {
	t.Helper()
	l, err := eventlog.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { closeLog(t, l) })
	return l
}

func closeLog(t testing.TB, l *eventlog.Log) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := l.Close(ctx); err != nil && !errors.Is(err, headlessly.ErrLogFailed) {
		t.Errorf("close: %v", err)
	}
}

// testConfig is an embedded log without a reserve: the test machine's disk may
// be nearly full.
func testConfig(dir string) eventlog.Config {
	cfg := eventlog.DefaultConfig(dir)
	cfg.Reserve = 0
	return cfg
}

func event(format string, args ...any) headlessly.Record {
	return headlessly.Record{Kind: headlessly.RecordEvent, Data: fmt.Appendf(nil, format, args...)}
}

func mustAppend(t testing.TB, l *eventlog.Log, records ...headlessly.Record) int64 {
	t.Helper()
	first, err := l.Append(t.Context(), records...)
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return first
}

// got is what a reader saw.
type got struct {
	records map[int64]string
	faults  []error
}

// readAll reads from sequence from to the end as it is now.
func readAll(t testing.TB, l *eventlog.Log, from uint64) got {
	t.Helper()
	last, err := l.Last(t.Context())
	if err != nil {
		t.Fatalf("last: %v", err)
	}
	return readTo(t, l, from, last)
}

func readTo(t testing.TB, l *eventlog.Log, from, last uint64) got {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	g := got{records: map[int64]string{}}
	if last < from {
		return g
	}
	for f, err := range l.Read(ctx, from) {
		var gap *headlessly.GapError
		var corrupt *headlessly.CorruptError
		seq := f.Seq
		switch {
		case errors.As(err, &gap):
			seq = gap.To
			g.faults = append(g.faults, err)
		case errors.As(err, &corrupt):
			seq = corrupt.Seq
			g.faults = append(g.faults, err)
		case err != nil:
			t.Fatalf("read: %v", err)
		}
		for i, r := range f.Records {
			g.records[headlessly.LogSeq(f.Seq, i)] = string(r.Data)
		}
		if seq >= last {
			break
		}
	}
	return g
}

func TestAppendedRecordsAreReadBackInOrder(t *testing.T) {
	l := open(t, testConfig(t.TempDir()))
	first := mustAppend(t, l, event("a"), headlessly.Record{Kind: headlessly.RecordRejected, Data: []byte("b")}, event(""))
	second := mustAppend(t, l, event("c"))

	for f, err := range l.Read(t.Context(), 1) {
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		if f.Time.IsZero() || time.Since(f.Time) > time.Minute {
			t.Errorf("frame %d: time %v, want about now", f.Seq, f.Time)
		}
		for i, r := range f.Records {
			at := headlessly.LogSeq(f.Seq, i)
			switch at - first {
			case 0:
				wantRecord(t, r, headlessly.RecordEvent, "a")
			case 1:
				wantRecord(t, r, headlessly.RecordRejected, "b")
			case 2:
				wantRecord(t, r, headlessly.RecordEvent, "")
			default:
				if at != second {
					t.Errorf("record at %d, want it at %d", at, second)
				}
				wantRecord(t, r, headlessly.RecordEvent, "c")
				return
			}
		}
	}
}

func wantRecord(t *testing.T, got headlessly.Record, kind headlessly.RecordKind, data string) {
	t.Helper()
	if got.Kind != kind || string(got.Data) != data {
		t.Errorf("record: got kind %d %q, want kind %d %q", got.Kind, got.Data, kind, data)
	}
}

func TestLogSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	l := open(t, testConfig(dir))
	at := mustAppend(t, l, event("before"))
	if err := l.Commit(t.Context(), "lake", 1); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)

	l = open(t, testConfig(dir))
	if seq, err := l.Committed(t.Context(), "lake"); err != nil || seq != 1 {
		t.Errorf("committed: got %d, %v, want 1", seq, err)
	}
	after := mustAppend(t, l, event("after"))
	g := readAll(t, l, 1)
	if g.records[at] != "before" || g.records[after] != "after" || len(g.records) != 2 || g.faults != nil {
		t.Errorf("got %v, faults %v", g.records, g.faults)
	}
}

func TestConcurrentAppendsShareFramesAndNothingIsLost(t *testing.T) {
	l := open(t, testConfig(t.TempDir()))
	const writers, each = 64, 50
	var mu sync.Mutex
	want := map[int64]string{}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				a, b := fmt.Sprintf("%d/%d/a", w, i), fmt.Sprintf("%d/%d/b", w, i)
				first, err := l.Append(t.Context(), event("%s", a), event("%s", b))
				if err != nil {
					t.Errorf("append: %v", err)
					return
				}
				mu.Lock()
				want[first], want[first+1] = a, b
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	g := readAll(t, l, 1)
	if len(g.records) != 2*writers*each || len(want) != len(g.records) {
		t.Fatalf("got %d records, acked %d, want %d", len(g.records), len(want), 2*writers*each)
	}
	for at, data := range want {
		if g.records[at] != data {
			t.Fatalf("record %d: got %q, want %q", at, g.records[at], data)
		}
	}
	if s := l.Stats(); s.Frames >= writers*each || s.Records != 2*writers*each || s.Waiting != 0 {
		t.Errorf("stats: %d frames for %d calls, %d records, %d bytes waiting", s.Frames, writers*each, s.Records, s.Waiting)
	}
}

func TestAppendLargerThanAFrameIsSplitAndComplete(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.FrameBytes = 8 << 10
	l := open(t, cfg)
	var records []headlessly.Record
	for i := range 100 {
		records = append(records, event("%d %s", i, strings.Repeat("x", 1000)))
	}
	first := mustAppend(t, l, records...)
	g := readAll(t, l, 1)
	if len(g.records) != len(records) {
		t.Fatalf("got %d records, want %d", len(g.records), len(records))
	}
	if g.records[first] != string(records[0].Data) {
		t.Errorf("first: got %.10q", g.records[first])
	}
	if s := l.Stats(); s.Frames < 10 {
		t.Errorf("got %d frames, want at least 10", s.Frames)
	}
}

func TestRecordLargerThanAFrameGetsItsOwn(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.FrameBytes = 8 << 10
	l := open(t, cfg)
	big := strings.Repeat("x", headlessly.MaxBodyBytes)
	at := mustAppend(t, l, event("%s", big))
	if g := readAll(t, l, 1); g.records[at] != big {
		t.Errorf("got %d bytes, want %d", len(g.records[at]), len(big))
	}
	var tooLarge *eventlog.RecordTooLargeError
	if _, err := l.Append(t.Context(), event("%s", strings.Repeat("x", 9<<20))); !errors.As(err, &tooLarge) {
		t.Errorf("append of 9 MiB: got %v, want a RecordTooLargeError", err)
	}
}

func TestReaderFollowsTheLogLive(t *testing.T) {
	l := open(t, testConfig(t.TempDir()))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := make(chan string)
	go func() {
		defer close(seen)
		for f, err := range l.Read(ctx, 1) {
			if err != nil {
				return
			}
			for _, r := range f.Records {
				seen <- string(r.Data)
			}
		}
	}()
	for i := range 20 {
		want := fmt.Sprint(i)
		mustAppend(t, l, event("%s", want))
		if got := <-seen; got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	cancel()
	for range seen {
		t.Error("a record after the end")
	}
}

func TestLargeFramesAreCompressedAndReadBack(t *testing.T) {
	l := open(t, testConfig(t.TempDir()))
	records := benchRecords(1500)
	size := 0
	for _, r := range records {
		size += len(r.Data)
	}
	first := mustAppend(t, l, records...)
	if s := l.Stats(); s.Bytes == 0 || s.Bytes > uint64(size)*3/4 {
		t.Errorf("stored %d bytes of %d, want fewer", s.Bytes, size)
	}
	g := readAll(t, l, 1)
	for i, r := range records {
		if g.records[first+int64(i)] != string(r.Data) {
			t.Fatalf("record %d: got %.20q, want %.20q", i, g.records[first+int64(i)], r.Data)
		}
	}
}

func TestWhatTheLogHasCopiedMayBeUsedAgainBeforeItIsDurable(t *testing.T) {
	l := open(t, testConfig(t.TempDir()))
	r := event("%s", strings.Repeat("a", 2000))
	want := string(r.Data)
	copied := 0
	at, err := l.AppendCopied(t.Context(), func() { copied++; clear(r.Data) }, r)
	if err != nil || copied != 1 {
		t.Fatalf("told %d times, %v", copied, err)
	}
	if g := readAll(t, l, 1); g.records[at] != want {
		t.Errorf("stored %.40q, want %.40q", g.records[at], want)
	}
	var large *eventlog.RecordTooLargeError
	if _, err := l.AppendCopied(t.Context(), func() { copied++ }, event("%s", strings.Repeat("a", 64<<20))); !errors.As(err, &large) || copied != 1 {
		t.Errorf("a record that fits in no frame: got %v, told %d times", err, copied)
	}
}
