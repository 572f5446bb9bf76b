package eventlog_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
)

// traces lists the files below dir that hold text.
func traces(t testing.TB, dir, text string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if bytes.Contains(raw, []byte(text)) {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestErasedRecordsLeaveTheDisk(t *testing.T) {
	const secret = "canary-to-erase"
	dir := t.TempDir()
	cfg := testConfig(dir)
	cfg.Readers = []string{"router"}
	l := open(t, cfg)
	mustAppend(t, l, event("one"), event("two"))
	at, _ := headlessly.SplitLogSeq(mustAppend(t, l, event("of %s", secret), event("a neighbour")))
	mustAppend(t, l, event("three"))
	after, _ := headlessly.SplitLogSeq(mustAppend(t, l, event("four")))
	if len(traces(t, dir, secret)) == 0 {
		t.Fatal("the record can't be found on the disk to begin with")
	}
	match := func(r headlessly.Record) bool { return bytes.Contains(r.Data, []byte(secret)) }

	slow, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := l.Erase(slow, match); err == nil {
		t.Error("erased a frame that a reader has yet to read")
	}
	if err := l.Commit(t.Context(), "router", after); err != nil {
		t.Fatal(err)
	}
	r, err := l.Erase(t.Context(), match)
	if err != nil || r.Records != 1 || r.Frames != 1 || r.Through != at {
		t.Errorf("got %+v, %v", r, err)
	}
	if left := traces(t, dir, secret); len(left) > 0 {
		t.Errorf("the record is still in %v", left)
	}
	var seen []string
	if err := l.Export(t.Context(), 1, 0, func(f headlessly.Frame) error {
		for _, r := range f.Records {
			seen = append(seen, string(r.Data))
		}
		return nil
	}); err != nil {
		t.Errorf("reading on: %v", err) // no gap
	}
	if len(seen) != 2 || seen[0] != "three" || seen[1] != "four" {
		t.Errorf("got %q, want three and four", seen)
	}
	if r, err := l.Erase(t.Context(), match); err != nil || r.Records != 0 {
		t.Errorf("a second run: %+v, %v", r, err)
	}
}

func TestErasedParkedItemsLeaveTheDiskAndTheOthersStay(t *testing.T) {
	const secret = "canary-to-erase"
	dir := t.TempDir()
	l := open(t, testConfig(dir))
	item := func(destination, text string, dead bool) headlessly.ParkedItem {
		return headlessly.ParkedItem{Tenant: "acme", Destination: destination, Dead: dead, Event: []byte(text), Reason: "down", Attempts: 3}
	}
	if err := l.Park(t.Context(), item("ga4", secret, false), item("ga4", "a neighbour", false), item("ga4", "removed before", false)); err != nil {
		t.Fatal(err)
	}
	if err := l.Park(t.Context(), item("sentry", secret, true), item("posthog", "another", false)); err != nil {
		t.Fatal(err)
	}
	for it, err := range l.List(t.Context(), "acme", "ga4") {
		if err != nil {
			t.Fatal(err)
		}
		if string(it.Event) == "removed before" {
			if err := l.Remove(t.Context(), it.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	r, err := l.EraseParked(t.Context(), "acme", func(it headlessly.ParkedItem) bool { return bytes.Contains(it.Event, []byte(secret)) })
	if err != nil || r.Records != 2 || r.Frames != 2 {
		t.Errorf("got %+v, %v", r, err)
	}
	if left := traces(t, dir, secret); len(left) > 0 {
		t.Errorf("an item is still in %v", left)
	}
	got := map[string]int{}
	for it, err := range l.List(t.Context(), "acme", "") {
		if err != nil {
			t.Fatal(err)
		}
		got[it.Destination+" "+string(it.Event)] += it.Attempts
	}
	if len(got) != 2 || got["ga4 a neighbour"] != 3 || got["posthog another"] != 3 {
		t.Errorf("got %v", got)
	}
}
