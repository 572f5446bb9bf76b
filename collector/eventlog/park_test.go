package eventlog_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/eventlog"
)

func park(t *testing.T, l *eventlog.Log, items ...headlessly.ParkedItem) {
	t.Helper()
	if err := l.Park(t.Context(), items...); err != nil {
		t.Fatalf("park: %v", err)
	}
}

func list(t *testing.T, l *eventlog.Log, tenant, destination string) []headlessly.ParkedItem {
	t.Helper()
	var items []headlessly.ParkedItem
	for it, err := range l.List(t.Context(), tenant, destination) {
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		items = append(items, it)
	}
	return items
}

func events(items []headlessly.ParkedItem) string {
	var s []string
	for _, it := range items {
		s = append(s, string(it.Event))
	}
	return strings.Join(s, " ")
}

func wantCount(t *testing.T, l *eventlog.Log, want map[headlessly.ParkedKey]int64) {
	t.Helper()
	got, err := l.Count(t.Context())
	if err != nil {
		t.Fatalf("count: %v", err)
	}
	if !maps.Equal(got, want) {
		t.Errorf("count: got %v, want %v", got, want)
	}
}

func TestParkedItemKeepsItsFields(t *testing.T) {
	l := open(t, testConfig(t.TempDir()))
	want := headlessly.ParkedItem{
		Tenant: "acme", Destination: "ga4", Unknown: true, Reason: "503", Attempts: 3,
		NotUntil: time.UnixMicro(1_700_000_000_123_456).UTC(), ParkedAt: time.UnixMicro(1_600_000_000_000_001).UTC(),
		LogSeq: headlessly.LogSeq(7, 9), Event: []byte("event"),
	}
	park(t, l, want)
	items := list(t, l, "acme", "ga4")
	if len(items) != 1 {
		t.Fatalf("got %d items, want 1", len(items))
	}
	want.ID = items[0].ID
	if got := items[0]; fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) || got.ID == 0 {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestParkedItemsAreListedByTenantAndDestinationOldestFirst(t *testing.T) {
	l := open(t, testConfig(t.TempDir()))
	item := func(tenant, destination, event string) headlessly.ParkedItem {
		return headlessly.ParkedItem{Tenant: tenant, Destination: destination, Event: []byte(event)}
	}
	park(t, l, item("a", "ga4", "1"), item("b", "ga4", "2"), item("a", "sentry", "3"), item("a", "ga4", "4"))
	park(t, l, item("a", "ga4", "5"))
	for _, c := range []struct{ tenant, destination, want string }{
		{"a", "ga4", "1 4 5"},
		{"a", "", "1 4 3 5"},
		{"", "ga4", "1 4 2 5"},
		{"", "", "1 4 2 3 5"},
		{"nobody", "", ""},
	} {
		if got := events(list(t, l, c.tenant, c.destination)); got != c.want {
			t.Errorf("list %q %q: got %q, want %q", c.tenant, c.destination, got, c.want)
		}
	}
}

func TestRemovedParkedItemsStayRemovedOverARestart(t *testing.T) {
	dir := t.TempDir()
	l := open(t, testConfig(dir))
	var items []headlessly.ParkedItem
	for i := range 600 {
		items = append(items, headlessly.ParkedItem{Tenant: "a", Destination: "ga4", Dead: i%3 == 0, Event: fmt.Append(nil, i)})
	}
	park(t, l, items...)
	due, dead := headlessly.ParkedKey{Tenant: "a", Destination: "ga4"}, headlessly.ParkedKey{Tenant: "a", Destination: "ga4", Dead: true}
	wantCount(t, l, map[headlessly.ParkedKey]int64{due: 400, dead: 200})

	var remove []uint64
	for i, it := range list(t, l, "a", "ga4") {
		if it.Dead || i%2 == 0 {
			remove = append(remove, it.ID)
		}
	}
	if err := l.Remove(t.Context(), remove...); err != nil {
		t.Fatalf("remove: %v", err)
	}
	if err := l.Remove(t.Context(), remove...); err != nil {
		t.Fatalf("remove again: %v", err)
	}
	left := events(list(t, l, "a", "ga4"))
	n := int64(len(strings.Fields(left)))
	if n == 0 || n != int64(600-len(remove)) {
		t.Fatalf("got %d items left, want %d", n, 600-len(remove))
	}
	wantCount(t, l, map[headlessly.ParkedKey]int64{due: n})
	closeLog(t, l)

	l = open(t, testConfig(dir))
	if got := events(list(t, l, "", "")); got != left {
		t.Errorf("after a restart: got %q, want %q", got, left)
	}
	wantCount(t, l, map[headlessly.ParkedKey]int64{due: n})
	remove = nil
	for _, it := range list(t, l, "", "") {
		remove = append(remove, it.ID)
	}
	if err := l.Remove(t.Context(), remove...); err != nil {
		t.Fatalf("remove: %v", err)
	}
	wantCount(t, l, map[headlessly.ParkedKey]int64{})
	if got := list(t, l, "", ""); len(got) != 0 {
		t.Errorf("got %d items, want none", len(got))
	}
}

func TestParkRefusesNamesThatAreNoSubject(t *testing.T) {
	l := open(t, testConfig(t.TempDir()))
	for _, it := range []headlessly.ParkedItem{
		{Tenant: "a.b", Destination: "ga4"}, {Tenant: "", Destination: "ga4"}, {Tenant: "a", Destination: "*"}, {Tenant: "a", Destination: ">"},
	} {
		if err := l.Park(t.Context(), it); err == nil {
			t.Errorf("park %q %q: got no error", it.Tenant, it.Destination)
		}
	}
}
