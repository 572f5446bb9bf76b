package lakehouse_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// collect gives events by message id, and fails on a second copy.
func collect(t testing.TB, lake *lakehouse.Lake, f lakehouse.EventFilter) map[string]headlessly.Event {
	t.Helper()
	got := map[string]headlessly.Event{}
	for e, err := range lake.Events(t.Context(), f) {
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := got[e.MessageID]; twice {
			t.Fatalf("event %s came twice", e.MessageID)
		}
		got[e.MessageID] = e
	}
	return got
}

func TestEventsComeBackAsTheyWere(t *testing.T) {
	lake, log := openLake(t, t.TempDir()), laketest.NewLog()
	w, _ := startWriter(t, lake, log)
	log.Append(laketest.Records("acme", 0, 60)...)
	log.Append(laketest.Records("beta", 0, 10)...)
	flush(t, w)
	log.Append(laketest.Records("acme", 60, 80)...) // acknowledged, not committed
	want := map[string]headlessly.Event{}
	for n := range 80 {
		e := laketest.Event("acme", n)
		want[e.MessageID] = e
	}
	got := collect(t, lake, lakehouse.EventFilter{Tenant: "acme"})
	for id, e := range got {
		if e.LogSeq == 0 {
			t.Errorf("event %s has no place in the log", id)
		}
		e.LogSeq = 0
		if e != want[id] {
			t.Errorf("got  %+v\nwant %+v", e, want[id])
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %d events, want %d", len(got), len(want))
	}
}

func TestEventsArePicked(t *testing.T) {
	lake, log := openLake(t, t.TempDir()), laketest.NewLog()
	w, _ := startWriter(t, lake, log)
	log.Append(laketest.Records("acme", 0, 50)...)
	flush(t, w)
	log.Append(append(laketest.Records("acme", 50, 60), laketest.Records("beta", 0, 5)...)...)
	at := func(n int) time.Time { return headlessly.Time(laketest.Event("acme", n).ReceivedAt) }
	user, visitor := laketest.Event("acme", 3).UserID, laketest.Event("acme", 4).AnonymousID
	for name, c := range map[string]struct {
		filter lakehouse.EventFilter
		want   func(e headlessly.Event, n int) bool
	}{
		"by time":              {lakehouse.EventFilter{Tenant: "acme", From: at(10), To: at(55)}, func(_ headlessly.Event, n int) bool { return n >= 10 && n < 55 }},
		"by id":                {lakehouse.EventFilter{Tenant: "acme", IDs: []string{laketest.Event("acme", 7).MessageID, laketest.Event("acme", 57).MessageID}}, func(_ headlessly.Event, n int) bool { return n == 7 || n == 57 }},
		"by user or visitor":   {lakehouse.EventFilter{Tenant: "acme", Users: []string{user}, Visitors: []string{visitor}}, func(e headlessly.Event, _ int) bool { return e.UserID == user || e.AnonymousID == visitor }},
		"committed":            {lakehouse.EventFilter{Tenant: "acme", CommittedOnly: true}, func(_ headlessly.Event, n int) bool { return n < 50 }},
		"of nobody":            {lakehouse.EventFilter{Tenant: "nobody"}, func(headlessly.Event, int) bool { return false }},
		"an id of another one": {lakehouse.EventFilter{Tenant: "acme", IDs: []string{laketest.Event("beta", 1).MessageID}}, func(headlessly.Event, int) bool { return false }},
	} {
		want := map[string]bool{}
		for n := range 60 {
			if e := laketest.Event("acme", n); c.want(e, n) {
				want[e.MessageID] = true
			}
		}
		got := slices.Sorted(maps.Keys(collect(t, lake, c.filter)))
		if !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
			t.Errorf("%s: got %d events, want %d", name, len(got), len(want))
		}
	}
	n := 0
	for range lake.Events(t.Context(), lakehouse.EventFilter{}) {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("a receiver that stops got %d events", n)
	}
}

func TestEveryEventColumnIsReadBack(t *testing.T) {
	lake := openLake(t, t.TempDir())
	tbl, err := lake.Table(t.Context(), lakehouse.TableEvents)
	if err != nil {
		t.Fatal(err)
	}
	read := lakehouse.ReadColumns()
	for _, f := range tbl.Schema().Fields() {
		if !slices.Contains(read, f.Name) {
			t.Errorf("column %s is not read back into an event", f.Name)
		}
	}
}
