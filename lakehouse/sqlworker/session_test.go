package sqlworker_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

const endless = "SELECT sum(a.range * b.range % 7) FROM range(10000000) a, range(10000000) b"

func TestALongQueryTellsItsProgress(t *testing.T) {
	lake, log, w := lakeOf(t)
	for n := range 12 { // a file each
		log.Append(laketest.Records("acme", n*20, n*20+20)...)
		flush(t, w)
	}
	var most atomic.Int64 // in thousandths
	rows, err := lake.Query(t.Context(), "acme", "SELECT sum(list_sum(list_transform(range(250000), lambda x: hash(url, x) % 7))) FROM events", lakehouse.QueryOptions{
		Progress: func(share float64) { most.Store(max(most.Load(), int64(share*1000))) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := rows.Close(); err != nil {
		t.Error(err)
	}
	if n := most.Load(); n < 1 || n > 1000 {
		t.Errorf("progress came to %d thousandths", n)
	}
}

func TestAQueryEndsAtItsDeadline(t *testing.T) {
	lake, _, _ := lakeOf(t)
	_, err := lake.Query(t.Context(), "acme", endless, lakehouse.QueryOptions{Timeout: 1500 * time.Millisecond})
	var fault *lakehouse.QueryError
	if !errors.As(err, &fault) || fault.Code != lakehouse.CodeTimeout {
		t.Errorf("got %v, want code timeout", err)
	}
}

func TestAQueryEndsWithItsCaller(t *testing.T) {
	lake, _, _ := lakeOf(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := lake.Query(ctx, "acme", endless, lakehouse.QueryOptions{Progress: func(float64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestNothingIsLeftOfAQuery(t *testing.T) {
	temp := t.TempDir()
	lake, log, _ := lakeOf(t, func(c *lakehouse.Config) { c.TempDir = temp })
	log.Append(laketest.Records("acme", 0, 10)...)
	ask(t, lake, "acme", "SELECT * FROM events", lakehouse.FormatCSV)
	if _, err := lake.Query(t.Context(), "acme", "SELECT nothing", lakehouse.QueryOptions{}); err == nil {
		t.Error("a query for a column that is not there was answered")
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("%d entries are left in the folder for queries (%v)", len(left), err)
	}
}

func TestTheTenantNameIsChecked(t *testing.T) {
	lake, _, _ := lakeOf(t)
	for _, tenant := range []string{"../acme", "ACME", "a'b", strings.Repeat("a", 64)} {
		if _, err := lake.Query(t.Context(), tenant, "SELECT 1", lakehouse.QueryOptions{}); err == nil {
			t.Errorf("tenant %q was taken", tenant)
		}
	}
}

func TestAStoppedServersFolderCanBeReadWithItsLog(t *testing.T) {
	dir := t.TempDir()
	lake, log, w := lakeOf(t, func(c *lakehouse.Config) { c.Dir = dir })
	log.Append(laketest.Records("acme", 0, 10)...)
	flush(t, w)
	log.Append(laketest.Records("acme", 10, 15)...)
	log.Append(laketest.Records("acme", 5, 12)...) // copies
	cfg := lakehouse.Default(dir)
	cfg.ReadOnly, cfg.TempDir = true, t.TempDir()
	reader, err := lakehouse.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	const count = "SELECT count(*) AS n, count(DISTINCT message_id) AS ids FROM events"
	if got, want := ask(t, reader, "acme", count, lakehouse.FormatCSV), "n,ids\n10,10\n"; got != want {
		t.Errorf("tables alone: got %q, want %q", got, want)
	}
	reader.UseLog(log)
	if got, want := ask(t, reader, "acme", count, lakehouse.FormatCSV), "n,ids\n15,15\n"; got != want {
		t.Errorf("with the log: got %q, want %q", got, want)
	}
	if got := ask(t, lake, "acme", count, lakehouse.FormatCSV); got != "n,ids\n15,15\n" {
		t.Errorf("the writer's own lake: got %q", got)
	}
	if _, err := lakehouse.NewWriter(reader, log); err == nil {
		t.Error("a lake open for reading got a writer")
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
	cfg.Dir = filepath.Join(dir, "nothing")
	if _, err := lakehouse.Open(t.Context(), cfg); !errors.Is(err, lakehouse.ErrNotFound) {
		t.Errorf("empty folder: got %v, want ErrNotFound", err)
	}
	if _, err := os.Stat(cfg.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error("opening for reading made a folder")
	}
}

// TestDamageInAStoppedServersLogIsTold, as the writer tells it: the answer lacks
// rows.
func TestDamageInAStoppedServersLogIsTold(t *testing.T) {
	var told bytes.Buffer
	cfg := lakehouse.Default(t.TempDir())
	cfg.Logger = slog.New(slog.NewTextHandler(&told, &slog.HandlerOptions{Level: slog.LevelError}))
	lake, err := lakehouse.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	log := laketest.NewLog()
	log.Append(laketest.Records("acme", 0, 3)...)
	log.Damage(2)
	log.Append(laketest.Records("acme", 3, 5)...)
	log.Damage(0)
	lake.UseLog(log)
	if got, want := ask(t, lake, "acme", "SELECT count(*) AS n FROM events", lakehouse.FormatCSV), "n\n5\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, want := range []string{"msg=lakehouse_log_gap from=2 to=3", "msg=lakehouse_log_frame_corrupt frame=5"} {
		if !strings.Contains(told.String(), want) {
			t.Errorf("%q is not told in %q", want, told.String())
		}
	}
	if err := lake.Close(); err != nil {
		t.Error(err)
	}
}

// A writer that stopped far behind leaves more in the log than a batch holds.
func TestALogOfManyBatchesIsReadToItsEnd(t *testing.T) {
	cfg := lakehouse.Default(t.TempDir())
	cfg.TempDir, cfg.MaxBatchBytes = t.TempDir(), 64<<10
	lake, err := lakehouse.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	log := laketest.NewLog()
	for n := 0; n < 4000; n += 40 {
		log.Append(laketest.Records("acme", n, n+50)...) // the last ten come again
	}
	lake.UseLog(log)
	const count = "SELECT count(*) AS n, count(DISTINCT message_id) AS ids FROM events"
	if got, want := ask(t, lake, "acme", count, lakehouse.FormatCSV), "n,ids\n4010,4010\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	seen := map[string]int{}
	for e, err := range lake.Events(t.Context(), lakehouse.EventFilter{Tenant: "acme"}) {
		if err != nil {
			t.Fatal(err)
		}
		seen[e.MessageID]++
		if seen[e.MessageID] > 1 {
			t.Errorf("%s came twice", e.MessageID)
		}
	}
	if len(seen) != 4010 {
		t.Errorf("%d events iterated, want 4010", len(seen))
	}
	n := 0
	for range lake.Events(t.Context(), lakehouse.EventFilter{Tenant: "acme"}) { // may be left early
		if n++; n == 1000 {
			break
		}
	}
	if n != 1000 {
		t.Errorf("left after %d events", n)
	}
	if err := lake.Close(); err != nil {
		t.Error(err)
	}
}

// TestAQueryWhoseFilesADeletionRemovesIsPlannedAnew has a person forgotten
// between the plan and its reading.
func TestAQueryWhoseFilesADeletionRemovesIsPlannedAnew(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	planned, gone := filepath.Join(dir, "planned"), filepath.Join(dir, "gone")
	waits := `cat > "$0"; while [ ! -e "$1" ]; do sleep 0.01; done; exec "$2" sql-worker < "$0"`
	lake, log, w := lakeOf(t, func(c *lakehouse.Config) { c.Worker = []string{"/bin/sh", "-c", waits, planned, gone, self} })
	mine := laketest.Event("acme", 0)
	mine.UserID = "to-be-forgotten"
	log.Append(append(laketest.Records("acme", 1, 10), laketest.Record(mine))...)
	flush(t, w)
	type answered struct {
		text string
		err  error
	}
	done := make(chan answered, 1)
	go func() {
		rows, err := lake.Query(t.Context(), "acme", "SELECT count(*) AS n FROM events", lakehouse.QueryOptions{})
		var out strings.Builder
		if err == nil {
			err = errors.Join(rows.Write(t.Context(), &out, lakehouse.FormatCSV), rows.Close())
		}
		done <- answered{out.String(), err}
	}()
	for { // the request is whole once it is longer than nothing and its pipe has closed; the worker waits for gone
		if info, err := os.Stat(planned); err == nil && info.Size() > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if _, err := lake.Forget(t.Context(), lakehouse.Person{Tenant: "acme", Users: []string{mine.UserID}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(gone, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.err != nil || got.text != "n\n9\n" {
		t.Errorf("got %q, %v, want 9", got.text, got.err)
	}
}

func TestAQueryOfThePastSeesItsRows(t *testing.T) {
	lake, log, w := lakeOf(t)
	log.Append(laketest.Records("acme", 0, 10)...)
	flush(t, w)
	then := time.Now()
	time.Sleep(5 * time.Millisecond) // snapshots are told apart by milliseconds
	log.Append(laketest.Records("acme", 10, 15)...)
	flush(t, w)
	log.Append(laketest.Records("acme", 15, 16)...)
	for _, c := range []struct {
		name string
		opts lakehouse.QueryOptions
		want int64
	}{
		{"now", lakehouse.QueryOptions{}, 16},
		{"committed", lakehouse.QueryOptions{CommittedOnly: true}, 15},
		{"then", lakehouse.QueryOptions{AsOf: then}, 10},
		{"before anything", lakehouse.QueryOptions{AsOf: then.Add(-time.Hour)}, 0},
	} {
		rows, err := lake.Query(t.Context(), "acme", "SELECT message_id FROM events", c.opts)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if rows.Count != c.want {
			t.Errorf("%s: got %d rows, want %d", c.name, rows.Count, c.want)
		}
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestAStateThatIsNotKeptIsAnErrorAndNotEmpty asks for what was before the
// oldest snapshot that expiry has left.
func TestAStateThatIsNotKeptIsAnErrorAndNotEmpty(t *testing.T) {
	lake, log, w := lakeOf(t, func(c *lakehouse.Config) { c.Maintenance.KeepSnapshots = time.Nanosecond })
	began := time.Now()
	time.Sleep(5 * time.Millisecond) // snapshots are told apart by milliseconds
	commit := func(from int) time.Time {
		log.Append(laketest.Records("acme", from, from+1)...)
		flush(t, w)
		then := time.Now()
		time.Sleep(5 * time.Millisecond)
		return then
	}
	first := commit(0)
	var last time.Time
	for n := range 8 {
		last = commit(n + 1)
	}
	log.Append(laketest.RejectedRecord(headlessly.Rejected{Tenant: "acme", ReceivedAt: laketest.Noon, Reason: "x"}))
	flush(t, w)
	if n, err := lake.Expire(t.Context()); err != nil || n == 0 {
		t.Fatalf("expired %d, %v", n, err)
	}
	for _, c := range []struct {
		name, sql string
		asOf      time.Time
		want      string // "" for an error
	}{
		{"what is kept", "SELECT count(*) AS n FROM events", last, "n\n9\n"},
		{"what is not", "SELECT count(*) AS n FROM events", first, ""},
		{"nor was before anything, which is not known any more", "SELECT event FROM events", began, ""},
		{"through a view", "SELECT path FROM pageviews LIMIT 1", first, ""},
		{"with a filter", "SELECT event FROM events WHERE event = 'x' AND user_id IS NOT NULL AND 1 < 2", first, ""},
		{"for what is null", "SELECT count(*) FROM events WHERE event IS NULL AND revenue IS NOT NULL AND message_id IS NULL", first, ""},
		{"for whether there is anything", "SELECT EXISTS (FROM events WHERE user_id = 'x')", first, ""},
		{"counted by a group", "SELECT event, count(*) FROM events WHERE timestamp > '2020-01-01' GROUP BY 1 HAVING count(*) > 1 ORDER BY 2 LIMIT 3", first, ""},
		{"by a name in pieces", "SELECT count(*) AS n FROM query_table('ev' || 'ents')", first, ""},
		{"a table that came later", "SELECT count(*) AS n FROM rejected", first, "n\n0\n"},
		{"none of them", "SELECT 1 AS n", first, "n\n1\n"},
		{"what columns there are", "SELECT count(*) > 60 AS n FROM information_schema.columns WHERE table_name = 'events'", first, "n\ntrue\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows, err := lake.Query(t.Context(), "acme", c.sql, lakehouse.QueryOptions{AsOf: c.asOf})
			var bad *lakehouse.QueryError
			if c.want == "" {
				if !errors.As(err, &bad) || bad.Code != lakehouse.CodeInvalid || !strings.Contains(bad.Message, "the table events is not kept as it was") {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			if err := errors.Join(rows.Write(t.Context(), &out, lakehouse.FormatCSV), rows.Close()); err != nil || out.String() != c.want {
				t.Errorf("got %q, %v, want %q", out.String(), err, c.want)
			}
		})
	}
}

func TestTheViewsAnswer(t *testing.T) {
	lake, log, w := lakeOf(t)
	e := laketest.Event("acme", 3)
	var records []headlessly.Record
	add := func(typ, session, path, anonymous, user, previous string, at int64) {
		e.MessageID = laketest.Event("acme", 1000+len(records)).MessageID
		e.Type, e.SessionID, e.Path, e.AnonymousID, e.UserID, e.PreviousID, e.Timestamp = typ, session, path, anonymous, user, previous, laketest.Noon+at*1_000_000
		e.VitalName, e.VitalValue = "", 0
		records = append(records, laketest.Record(e))
	}
	add("page", "s1", "/", "anon", "", "", 0)
	add("page", "s1", "/cart", "anon", "", "", 40)
	add("error", "s1", "/cart", "anon", "", "", 41)
	add("identify", "s1", "/cart", "anon", "ada", "", 42)
	add("page", "s2", "/only", "other", "", "", 50)
	add("alias", "s2", "/only", "other", "ada", "old-ada", 51)
	add("vital", "s2", "/only", "other", "", "", 52)
	half := len(records) / 2
	log.Append(records[:half]...)
	flush(t, w)
	log.Append(records[half:]...)
	for sql, want := range map[string]string{
		"SELECT path FROM pageviews ORDER BY timestamp": "path\n/\n/cart\n/only\n",
		"SELECT session_id, duration_seconds, pageviews, errors, bounced, entry_path, exit_path, user_id FROM sessions ORDER BY 1": "session_id,duration_seconds,pageviews,errors,bounced,entry_path,exit_path,user_id\ns1,42,2,1,false,/,/cart,ada\ns2,2,1,0,true,/only,/only,ada\n",
		"SELECT path FROM errors":                                 "path\n/cart\n",
		"SELECT count(*) AS n FROM vitals":                        "n\n1\n",
		"SELECT anonymous_id, user_id FROM identities ORDER BY 1": "anonymous_id,user_id\nanon,ada\nold-ada,ada\nother,ada\n",
	} {
		if got := ask(t, lake, "acme", sql, lakehouse.FormatCSV); got != want {
			t.Errorf("%s\ngot  %q\nwant %q", sql, got, want)
		}
	}
	if got := ask(t, lake, "acme", "DESCRIBE events", lakehouse.FormatCSV); strings.Count(got, "\n") != 67 || !strings.Contains(got, "revenue,\"DECIMAL(18,4)\"") {
		t.Errorf("DESCRIBE events: got %s", got)
	}
}

func TestRejectedInputIsQueryable(t *testing.T) {
	lake, log, w := lakeOf(t)
	log.Append(laketest.RejectedRecord(headlessly.Rejected{Tenant: "acme", ReceivedAt: laketest.Noon, Reason: "invalid_json", Raw: []byte(`{"a":`)}))
	flush(t, w)
	log.Append(laketest.RejectedRecord(headlessly.Rejected{Tenant: "acme", ReceivedAt: laketest.Noon + 1, Reason: "too_large", Raw: []byte{0xff}}))
	got := ask(t, lake, "acme", "SELECT reason, raw, truncated FROM rejected ORDER BY received_at", lakehouse.FormatCSV)
	if want := "reason,raw,truncated\ninvalid_json,\"{\"\"a\"\":\",false\ntoo_large,\\xff,false\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestViewsAreThereHoweverAQueryNamesThem has queries that name a view where the
// text shows it, where it does not, and ones that list what there is.
func TestViewsAreThereHoweverAQueryNamesThem(t *testing.T) {
	lake, _, _ := lakeOf(t)
	for _, c := range []struct{ name, sql, want string }{
		{"by its name", "SELECT count(*) AS n FROM pageviews", "n\n0\n"},
		{"in capitals", `SELECT count(*) AS n FROM "PageViews"`, "n\n0\n"},
		{"in pieces", "SELECT count(*) AS n FROM query_table('page' || 'views')", "n\n0\n"},
		{"two, one of them in pieces", "SELECT count(*) AS n FROM sessions, query_table('vit' || 'als')", "n\n0\n"},
		{"in a list of all", "SELECT count(*) AS n FROM information_schema.tables WHERE table_name IN ('pageviews', 'sessions', 'errors', 'vitals', 'identities', 'events')", "n\n6\n"},
		{"a table in pieces", "SELECT count(*) AS n FROM query_table('rej' || 'ected')", "n\n0\n"},
		{"a table by a query in pieces", "SELECT n FROM query('SELECT count(*) AS n FROM deli' || 'veries')", "n\n0\n"},
		{"a table in capitals", `SELECT count(*) AS n FROM "REJECTED"`, "n\n0\n"},
		{"a table through a schema", "SELECT count(*) AS n FROM headlessly.main.metric_snapshots", "n\n0\n"},
		{"two tables", "SELECT count(*) AS n FROM rejected FULL JOIN deliveries USING (tenant)", "n\n0\n"},
		{"a view and a table", "SELECT count(*) AS n FROM pageviews FULL JOIN entity_events USING (tenant)", "n\n0\n"},
		{"none", "SELECT 1 AS n", "n\n1\n"},
		{"all of SHOW", "SELECT count(*) AS n FROM (SHOW TABLES)", "n\n11\n"},
		{"all of information_schema", "SELECT count(*) AS n FROM information_schema.tables", "n\n11\n"},
		{"the columns of all", "SELECT count(DISTINCT table_name) AS n FROM information_schema.columns", "n\n11\n"},
		{"in DuckDB's own list", "SELECT count(*) AS n FROM duckdb_views() WHERE view_name = 'page' || 'views'", "n\n1\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := ask(t, lake, "", c.sql, lakehouse.FormatCSV); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestAnErrorShowsNoPathOfTheMachine damages and removes a tenant's file.
func TestAnErrorShowsNoPathOfTheMachine(t *testing.T) {
	for name, harm := range map[string]func(path string) error{
		"damaged": func(path string) error {
			return os.WriteFile(path, []byte("no Parquet at all, but long enough"), 0o600)
		},
		"emptied": func(path string) error { return os.Truncate(path, 0) },
		"removed": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			lake, log, w := lakeOf(t)
			log.Append(laketest.Records("acme", 0, 10)...)
			flush(t, w)
			path := fileOf(t, lake, "acme")
			if err := harm(path); err != nil {
				t.Fatal(err)
			}
			for _, sql := range []string{"SELECT * FROM events", "SELECT count(*) FROM pageviews", "EXPLAIN ANALYZE SELECT count(DISTINCT user_id) FROM events"} {
				rows, err := lake.Query(t.Context(), "acme", sql, lakehouse.QueryOptions{})
				if err == nil {
					t.Errorf("%s was answered", sql)
					_ = rows.Close()
					continue
				}
				if root, _, _ := strings.Cut(path, "/warehouse/"); strings.Contains(err.Error(), root) || strings.Contains(err.Error(), "'/") {
					t.Errorf("%s: the error shows a folder: %v", sql, err)
				}
			}
		})
	}
}
