package sqlworker_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// dataBytes is how much of data files the store has answered.
func dataBytes(p *laketest.Proxy) int64 {
	return p.Bytes(func(method, path string) bool {
		return method == http.MethodGet && strings.HasSuffix(path, ".parquet")
	})
}

// dated makes wide events of a day, after Noon's.
func dated(day, n int) []headlessly.Record {
	var out []headlessly.Record
	for i, rec := range wide(n) {
		var e headlessly.Event
		if err := e.UnmarshalBinary(rec.Data); err != nil {
			panic(err)
		}
		fresh := laketest.Event("acme", day*100_000+i)
		e.MessageID = fresh.MessageID
		e.Timestamp = laketest.Noon + (time.Duration(day)*24*time.Hour + time.Duration(i)*time.Millisecond).Microseconds()
		e.ReceivedAt = e.Timestamp
		out = append(out, laketest.Record(e))
	}
	return out
}

// TestAQueryOfADayReadsThatDaysRowsOnly counts what comes from the object store
// for queries of a narrow time.
func TestAQueryOfADayReadsThatDaysRowsOnly(t *testing.T) {
	const days, each = 8, 700
	proxy, change := remote(t)
	lake, log, w := lakeOf(t, change)
	for day := range days {
		log.Append(dated(day, each)...)
	}
	flush(t, w)
	status, err := lake.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	size, files := int64(0), 0
	for _, s := range status {
		size, files = size+s.Bytes, files+s.Files
	}
	if files != days {
		t.Fatalf("got %d files, want one a day: %d", files, days)
	}
	at := func(day, hour int) string {
		return time.UnixMicro(laketest.Noon).Add(time.Duration(day*24+hour) * time.Hour).UTC().Format("2006-01-02 15:04:05")
	}
	for _, c := range []struct {
		name, sql   string
		args        []any
		want        int64
		least, most int64
	}{
		{"a day", fmt.Sprintf("SELECT * FROM events WHERE timestamp >= '%s' AND timestamp < TIMESTAMPTZ '%s'", at(2, -1), at(2, 1)), nil, each, size / days / 2, size/days + 64<<10},
		{"the same again", fmt.Sprintf("SELECT * FROM events WHERE timestamp BETWEEN '%s' AND '%s'", at(2, -1), at(2, 1)), nil, each, 0, 0},
		{"another, as parameters of a view", "SELECT * FROM pageviews WHERE received_at > ? AND received_at < ?", []any{at(3, -1), at(3, 1)}, -1, size / days / 2, size/days + 64<<10},
		{"no day", "SELECT * FROM events WHERE timestamp > now() - INTERVAL 3 DAY", nil, 0, 0, 0},
		{"a comparison that is not about the rows", fmt.Sprintf("SELECT properties, timestamp > '%s' AS late FROM events WHERE length(properties) > 600", at(7, -1)), nil, days * each, size / 2, size},
		{"a day or another", fmt.Sprintf("SELECT * FROM events WHERE timestamp < '%s' OR timestamp > '%s'", at(0, 1), at(7, -1)), nil, 2 * each, 0, size / 2},
	} {
		before := dataBytes(proxy)
		rows, err := lake.Query(t.Context(), "acme", c.sql, lakehouse.QueryOptions{Args: c.args})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
		if c.want >= 0 && rows.Count != c.want {
			t.Errorf("%s: got %d rows, want %d", c.name, rows.Count, c.want)
		}
		if got := dataBytes(proxy) - before; got < c.least || got > c.most {
			t.Errorf("%s: %d of %d bytes were read, want %d to %d", c.name, got, size, c.least, c.most)
		}
		t.Logf("%s: %d of %d bytes", c.name, dataBytes(proxy)-before, size)
	}
}

// TestAQueryOfAnHourReadsItsRowGroupsOnly asks for the last rows of a file of
// two row groups.
func TestAQueryOfAnHourReadsItsRowGroupsOnly(t *testing.T) {
	const rows, last = 68_000, 1_000
	proxy, change := remote(t)
	lake, log, w := lakeOf(t, change)
	records := make([]headlessly.Record, rows)
	for i := range records {
		e := laketest.Event("acme", i)
		e.Event = "Seen" // files are sorted by it, then by time
		records[i] = laketest.Record(e)
	}
	log.Append(records...)
	flush(t, w)
	if _, err := lake.Compact(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
	status, err := lake.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	size, files := int64(0), 0
	for _, s := range status {
		size, files = size+s.Bytes, files+s.Files
	}
	if files != 1 {
		t.Fatalf("got %d files, want one", files)
	}
	before := dataBytes(proxy)
	since := time.UnixMicro(laketest.Event("acme", rows-last).Timestamp).UTC().Format("2006-01-02 15:04:05.000000")
	query := fmt.Sprintf("SELECT * FROM events WHERE timestamp >= '%s'", since)
	result, err := lake.Query(t.Context(), "acme", query, lakehouse.QueryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if result.Count != last {
		t.Errorf("got %d rows, want %d", result.Count, last)
	}
	if err := result.Close(); err != nil {
		t.Error(err)
	}
	if got := dataBytes(proxy) - before; got > size/4 {
		t.Errorf("%d of %d bytes were read for %d of %d rows", got, size, last, rows)
	}
	t.Logf("%d of %d bytes", dataBytes(proxy)-before, size)
}

const people = "SELECT count(*) AS n, count(DISTINCT user_id) AS users FROM events"

// TestWhatWasReadIsKeptOverARestart looks at what comes from the object store
// after a restart, with the cache as it was and damaged in every way.
func TestWhatWasReadIsKeptOverARestart(t *testing.T) {
	const rows = 2_000
	proxy, change := remote(t)
	dir, log := t.TempDir(), laketest.NewLog()
	log.Append(wide(rows)...)
	want := fmt.Sprintf("n,users\n%d,50\n", rows)
	cache := ""
	start := func(more ...func(*lakehouse.Config)) (*lakehouse.Lake, func()) {
		lake, w, stop := reopen(t, dir, log, func(c *lakehouse.Config) {
			change(c)
			cache = filepath.Join(c.Dir, "cache")
			for _, f := range more {
				f(c)
			}
		})
		flush(t, w)
		return lake, stop
	}
	asked := func(name string, lake *lakehouse.Lake) int64 {
		t.Helper()
		before := dataBytes(proxy)
		if got := ask(t, lake, "acme", people, lakehouse.FormatCSV); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
		return dataBytes(proxy) - before
	}
	only := func(suffix string) string {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(cache, "*"+suffix))
		if err != nil || len(found) != 1 {
			t.Fatalf("the cache has %v, want one %s (%v)", found, suffix, err)
		}
		return found[0]
	}
	edit := func(suffix string, change func([]byte) []byte) {
		t.Helper()
		path := only(suffix)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, change(raw), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lake, stop := start()
	first := asked("at first", lake)
	if first == 0 {
		t.Fatal("nothing was read from the store")
	}
	stop()
	for _, c := range []struct {
		name   string
		damage func()
		again  bool // what was there is read again
	}{
		{"as it was", func() {}, false},
		{"a bit of the footer", func() { edit(".parquet", func(b []byte) []byte { b[len(b)-20] ^= 1; return b }) }, true},
		{"a torn file", func() { edit(".parquet", func(b []byte) []byte { return b[:len(b)/2] }) }, true},
		{"a file that the disk has lost to zeros", func() { edit(".parquet", func(b []byte) []byte { return make([]byte, len(b)) }) }, true},
		{"a torn list", func() { edit(".parts", func(b []byte) []byte { return b[:len(b)/2] }) }, true},
		{"an empty list", func() { edit(".parts", func([]byte) []byte { return nil }) }, true},
		{"a list of another size", func() {
			edit(".parts", func(b []byte) []byte { return bytes.Replace(b, []byte(`"size":`), []byte(`"size":1`), 1) })
		}, true},
		{"a list of parts beyond the end", func() {
			edit(".parts", func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"parts":[[`), []byte(`"parts":[[0,99999999,1],[`), 1)
			})
		}, true},
		{"no list", func() { _ = os.Remove(only(".parts")) }, true},
		{"no file", func() { _ = os.Remove(only(".parquet")) }, true},
		{"strangers' files beside it", func() {
			for _, name := range []string{"0000-1.parquet", "x.parts", "y.parts.new"} {
				if err := os.WriteFile(filepath.Join(cache, name), []byte("x"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}, false},
	} {
		c.damage()
		lake, stop := start()
		got := asked(c.name, lake)
		if (got > 0) != c.again {
			t.Errorf("%s: %d bytes were read after the restart, at first %d", c.name, got, first)
		}
		if got := asked(c.name+", asked again", lake); got != 0 {
			t.Errorf("%s: %d bytes were read again", c.name, got)
		}
		only(".parquet")
		only(".parts")
		stop()
	}
	lake, stop = start()
	asked("before the damage", lake)
	edit(".parquet", func(b []byte) []byte { copy(b[8:], bytes.Repeat([]byte{0xee}, len(b)-100_000)); return b }) // all but the footer
	if got := asked("damaged while it is in use", lake); got == 0 {
		t.Error("nothing was read again")
	}
	stop()
	lake, stop = start(func(c *lakehouse.Config) { c.CacheBytes = 1 })
	asked("with a smaller limit", lake)
	stop()
	if left, err := os.ReadDir(cache); err != nil || len(left) != 0 {
		t.Errorf("%d files are in a cache of one byte (%v)", len(left), err)
	}
}

// TestADeletedPersonIsNotInTheCache forgets a person in a process that has
// asked nothing, after a compaction has replaced the file that is kept.
func TestADeletedPersonIsNotInTheCache(t *testing.T) {
	_, change := remote(t)
	dir, log := t.TempDir(), laketest.NewLog()
	cache := ""
	start := func() (*lakehouse.Lake, *lakehouse.Writer, func()) {
		return reopen(t, dir, log, func(c *lakehouse.Config) {
			change(c)
			cache = filepath.Join(c.Dir, "cache")
		})
	}
	lake, w, stop := start()
	for i := range 2 {
		log.Append(laketest.Records("acme", i*10, i*10+10)...)
		flush(t, w)
	}
	if got, want := ask(t, lake, "acme", countRows, lakehouse.FormatCSV), "n,ids\n20,20\n"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	stop()
	lake, _, stop = start()
	if _, err := lake.Compact(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(cache); err != nil || len(left) != 4 {
		t.Fatalf("%d files are in the cache, want 2 with their lists (%v)", len(left), err)
	}
	if _, err := lake.Forget(t.Context(), lakehouse.Person{Tenant: "acme", Visitors: []string{laketest.Event("acme", 5).AnonymousID}}, nil); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(cache); err != nil || len(left) != 0 {
		t.Errorf("%d files are left in the cache (%v)", len(left), err)
	}
	stop()
}

// TestAReadThatBreaksOffLeavesNoHalfColumn lets the store cut off every answer
// while a column is read, and then asks for it by a name that is not its own.
func TestAReadThatBreaksOffLeavesNoHalfColumn(t *testing.T) {
	const rows = 3_000
	proxy, change := remote(t)
	lake, log, w := lakeOf(t, change)
	log.Append(wide(rows)...)
	flush(t, w)
	if got, want := ask(t, lake, "acme", "SELECT count(*) AS n FROM events", lakehouse.FormatCSV), fmt.Sprintf("n\n%d\n", rows); got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	proxy.Disturb(func(r *http.Request) laketest.Trouble {
		if strings.HasSuffix(r.URL.Path, ".parquet") {
			return laketest.ShortRead
		}
		return laketest.None
	})
	if _, err := lake.Query(t.Context(), "acme", "SELECT count(DISTINCT properties) AS n FROM events", lakehouse.QueryOptions{}); err == nil {
		t.Fatal("a query was answered without its column")
	}
	proxy.Disturb(nil)
	names := make([]string, 59) // properties is the 59th column
	for i := range names {
		names[i] = fmt.Sprintf("a%d", i+1)
	}
	query := fmt.Sprintf("SELECT count(DISTINCT a59) AS n, min(length(a59)) AS least FROM events AS e(%s)", strings.Join(names, ", "))
	if got, want := ask(t, lake, "acme", query, lakehouse.FormatCSV), fmt.Sprintf("n,least\n%d,648\n", rows); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
