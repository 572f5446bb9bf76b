package imports_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/headlessly/headlessly/cmd/imports"
)

// door is a gateway that keeps ids, refuses events that are called "refused"
// and is cut off on order, before or after it has taken a chunk.
type door struct {
	stored     map[string]bool // in the tables
	sends      int
	cut        int // the send that is cut off, from 1
	cutEffect  bool
	askedAbout int
}

var errCut = errors.New("connection reset by peer")

func (d *door) MessageID(id string) string { return id }

func (d *door) Known(_ context.Context, ids []string) (map[string]bool, error) {
	d.askedAbout += len(ids)
	known := map[string]bool{}
	for _, id := range ids {
		if d.stored[id] {
			known[id] = true
		}
	}
	return known, nil
}

func (d *door) Send(_ context.Context, lines [][]byte) (imports.Sent, error) {
	d.sends++
	if d.sends == d.cut && !d.cutEffect {
		return imports.Sent{}, errCut
	}
	sent := imports.Sent{Bad: map[int]*imports.Fault{}}
	for i, l := range lines {
		var e struct{ MessageID, Event string }
		if err := json.Unmarshal(l, &e); err != nil {
			return sent, err
		}
		switch {
		case e.Event == "refused":
			sent.Bad[i] = &imports.Fault{Code: "wrong_type", Field: "event", Message: "is not wanted"}
		case d.stored[e.MessageID]:
			sent.Known++
		default:
			d.stored[e.MessageID] = true
			sent.Taken++
		}
	}
	if d.sends == d.cut {
		return imports.Sent{}, errCut
	}
	return sent, nil
}

// big writes a packed file of n rows; every 1,000th is no JSON, every 1,000th
// is refused.
func big(t testing.TB, n int) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for i := range n {
		switch i % 1000 {
		case 7:
			fmt.Fprintf(z, "no JSON %d\n", i)
		case 11:
			fmt.Fprintf(z, `{"event":"refused","userId":"u%d"}`+"\n", i)
		default:
			fmt.Fprintf(z, `{"event":"seen","userId":"u%d"}`+"\n", i)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "big.ndjson.gz")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnImportThatIsCutOffGoesOn(t *testing.T) {
	const rows, bad = 13_000, 26
	for name, effect := range map[string]bool{"before the gateway took the chunk": false, "after the gateway took the chunk": true} {
		t.Run(name, func(t *testing.T) {
			d := &door{stored: map[string]bool{}, cut: 2, cutEffect: effect}
			dir := t.TempDir()
			j := imports.Job{Path: big(t, rows), Gateway: d, Tenant: "acme", StateDir: filepath.Join(dir, "state"), BadRows: filepath.Join(dir, "bad.ndjson")}
			if _, err := imports.Run(t.Context(), j); !errors.Is(err, errCut) {
				t.Fatalf("got %v, want the cut", err)
			}
			res, err := imports.Run(t.Context(), j)
			if err != nil {
				t.Fatal(err)
			}
			if res.Rows != rows || res.Bad != bad || res.Taken+res.Known != rows-bad || len(d.stored) != rows-bad {
				t.Errorf("got %+v with %d stored, want %d rows, %d bad and %d stored", res, len(d.stored), rows, bad, rows-bad)
			}
			if want := int64(10_000); res.Resumed != want {
				t.Errorf("went on after row %d, want %d", res.Resumed, want)
			}
			if effect != (res.Known > 0) {
				t.Errorf("%d rows were known, effect %v", res.Known, effect)
			}
			checkBad(t, j.BadRows, bad)
			if res, err := imports.Run(t.Context(), j); err != nil || !res.Before || res.Rows != rows {
				t.Errorf("once more: got %+v, %v, want that it was done before", res, err)
			}
			j.Again = true
			if res, err := imports.Run(t.Context(), j); err != nil || res.Known != rows-bad || res.Taken != 0 {
				t.Errorf("anew: got %+v, %v, want all known", res, err)
			}
			checkBad(t, j.BadRows, bad)
		})
	}
}

// checkBad wants n bad rows in a file, each once, with what they were.
func checkBad(t testing.TB, path string, n int) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for line := range strings.Lines(string(raw)) {
		var r struct {
			Line                int
			Error, Message, Row string
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("no JSON %d", r.Line-1)
		if r.Error == "wrong_type" {
			want = fmt.Sprintf(`{"event":"refused","userId":"u%d"}`, r.Line-1)
		}
		if r.Row != want || r.Message == "" || seen[r.Line] {
			t.Errorf("bad row %+v, want %q, once", r, want)
		}
		seen[r.Line] = true
	}
	if len(seen) != n {
		t.Errorf("%d bad rows were kept, want %d", len(seen), n)
	}
}

func TestAFileThatChangedIsReadFromItsStart(t *testing.T) {
	d := &door{stored: map[string]bool{}, cut: 2}
	dir := t.TempDir()
	j := imports.Job{Path: big(t, 12_000), Gateway: d, StateDir: dir, BadRows: filepath.Join(dir, "bad")}
	if _, err := imports.Run(t.Context(), j); err == nil {
		t.Fatal("got no error, want the cut")
	}
	other, err := os.ReadFile(big(t, 300))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(j.Path, other, 0o600); err != nil {
		t.Fatal(err)
	}
	res, err := imports.Run(t.Context(), j)
	if err != nil || res.Rows != 300 || res.Resumed != 0 {
		t.Errorf("got %+v, %v, want 300 rows from the start", res, err)
	}
}

func TestAFileOfNothingButBadRowsStops(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.ndjson")
	if err := os.WriteFile(path, bytes.Repeat([]byte("nothing\n"), 50_000), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "bad")
	_, err := imports.Run(t.Context(), imports.Job{Path: path, Gateway: &door{stored: map[string]bool{}}, BadRows: bad})
	if err == nil || !strings.Contains(err.Error(), "none of the first 10000 rows") {
		t.Errorf("got %v, want that none can be taken", err)
	}
}

func TestALookSendsNothing(t *testing.T) {
	var shown, faults int
	res, err := imports.Run(t.Context(), imports.Job{Path: big(t, 2000), Show: func(_ int64, _ []byte, f *imports.Fault) {
		if shown++; f != nil {
			faults++
		}
	}})
	if err != nil || res.Rows != 2000 || res.Taken != 1998 || res.Bad != 2 || shown != 2000 || faults != 2 {
		t.Errorf("got %+v, %v, %d shown, %d faults", res, err, shown, faults)
	}
}

func TestBadRowsGoOnInAFileThatWasEmptied(t *testing.T) {
	dir := t.TempDir()
	j := imports.Job{Path: big(t, 12_000), Gateway: &door{stored: map[string]bool{}, cut: 2}, StateDir: dir, BadRows: filepath.Join(dir, "bad")}
	if _, err := imports.Run(t.Context(), j); !errors.Is(err, errCut) {
		t.Fatalf("got %v, want the cut", err)
	}
	if err := os.Remove(j.BadRows); err != nil { // they were looked at and put right
		t.Fatal(err)
	}
	if _, err := imports.Run(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	checkBad(t, j.BadRows, 4) // of the 2,000 rows behind the first chunk
}
