package eventlog_test

import (
	"errors"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/eventlog"
)

func TestVerifyFindsDamageAndChangesNothing(t *testing.T) {
	w := writeFrames(t, 10, 50)
	count := func() (messages, records, damaged int) {
		t.Helper()
		reports, err := eventlog.Verify(t.Context(), testConfig(w.dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range reports {
			if r.Stream == "events" {
				messages, records, damaged = messages+r.Messages, records+r.Records, damaged+r.Damaged
			}
		}
		return messages, records, damaged
	}
	if m, r, d := count(); m != 10 || r != 30 || d != 0 {
		t.Errorf("sound log: got %d messages, %d records, %d damaged, want 10, 30, 0", m, r, d)
	}
	path := blockPath(w.dir, "events", 1)
	spans := recordSpans(t, path)
	edit(t, path, func(b []byte) []byte { b[spans[4][0]+60] ^= 1; return b })
	for range 2 {
		if m, r, d := count(); m != 9 || r != 27 || d != 1 {
			t.Errorf("damaged log: got %d messages, %d records, %d damaged, want 9, 27, 1", m, r, d)
		}
	}
}

func TestExportGivesTheFramesAskedForAndNamesTheMissing(t *testing.T) {
	w := writeFrames(t, 10, 50)
	path := blockPath(w.dir, "events", 1)
	spans := recordSpans(t, path)
	edit(t, path, func(b []byte) []byte { b[spans[4][0]+60] ^= 1; return b })
	l := open(t, testConfig(w.dir))
	var seqs []uint64
	err := l.Export(t.Context(), 3, 7, func(f headlessly.Frame) error { seqs = append(seqs, f.Seq); return nil })
	var gap *headlessly.GapError
	if !errors.As(err, &gap) || gap.From != 5 || gap.To != 5 {
		t.Errorf("got %v, want that frame 5 is missing", err)
	}
	if len(seqs) != 4 || seqs[0] != 3 || seqs[3] != 7 {
		t.Errorf("frames: got %v, want 3 4 6 7", seqs)
	}
	in, err := l.Inspect(t.Context())
	if err != nil || in.First != 1 || in.Last != 10 || in.Frames != 9 {
		t.Errorf("inspect: got %+v, %v", in, err)
	}
}
