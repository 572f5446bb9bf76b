package dedupe_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/dedupe"
	"github.com/headlessly/headlessly/collector/eventlog"
)

// TestWithTheRealLog: ids in the log and not yet in the index's files are known
// after a restart without a flush.
func TestWithTheRealLog(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	cfg := eventlog.DefaultConfig(filepath.Join(dir, "log"))
	cfg.Reserve, cfg.Readers = 0, []string{dedupe.Reader}
	var known []string
	send := func(x *dedupe.Index, log *eventlog.Log, id string) bool {
		t.Helper()
		var b dedupe.Batch
		x.Begin(&b, "acme")
		defer b.Release()
		if !b.Add(id) {
			return false
		}
		data, err := (&headlessly.Event{Tenant: "acme", MessageID: id, Type: "track"}).MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		first, err := log.Append(ctx, headlessly.Record{Kind: headlessly.RecordEvent, Data: data})
		b.Done(first, err)
		if err != nil {
			t.Fatal(err)
		}
		return true
	}
	for round := range 3 {
		log, err := eventlog.Open(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		x, err := dedupe.Open(ctx, dedupe.Default(filepath.Join(dir, "ids"), log))
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range known {
			if send(x, log, id) {
				t.Fatalf("round %d: id %s is new again", round, id)
			}
		}
		for i := range 20 {
			id := newID()
			known = append(known, id)
			if !send(x, log, id) {
				t.Fatalf("round %d: a new id is known", round)
			}
			if i == 10 && round == 1 {
				if err := x.Flush(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		// The index is left as a kill leaves it; the log must let its folder go.
		if err := log.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
}
