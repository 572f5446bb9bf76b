package sqlworker_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// python is the interpreter that .ci/deps made, with other engines in it.
func python(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", ".ci", "venv", "bin", "python"))
	if named := os.Getenv("HEADLESSLY_PYTHON"); named != "" {
		path, err = named, nil
	}
	if err == nil {
		_, err = os.Stat(path)
	}
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") != "":
		t.Fatalf("no Python with other engines: %v", err)
	}
	t.Skip("no Python with other engines: make deps installs it")
	return ""
}

// every makes a frame with a row of each table, for two tenants.
func every(n int) (out []headlessly.Record) {
	for _, tenant := range []string{"acme", "beta"} {
		e := laketest.Event(tenant, n)
		e.Properties = `{"total":` + []string{"12.5", `"twelve"`, "null"}[n%3] + `}`
		at := int64(laketest.Noon + n)
		out = append(out, laketest.Record(e),
			laketest.RejectedRecord(headlessly.Rejected{Tenant: tenant, ReceivedAt: at, Reason: "x", Raw: []byte{0, byte(n), 255}}),
			laketest.Encode(headlessly.RecordDelivery, &headlessly.Delivery{ID: uuid.NewSHA1(uuid.NameSpaceURL, []byte(e.MessageID)).String(), Tenant: tenant, Destination: "ga4", MessageID: e.MessageID, At: at, Outcome: "delivered", Status: 204}),
			laketest.Encode(headlessly.RecordEntityEvent, &headlessly.EntityEvent{ID: "evt", Tenant: tenant, Event: "Deal.Closed", Type: "Deal", Time: at, Version: int64(n), Data: `{"é":1}`}),
			laketest.Encode(headlessly.RecordReceipt, &headlessly.Receipt{Tenant: tenant, Provider: "stripe", ReceivedAt: at, Body: []byte(`{"id":1}`)}),
			laketest.Encode(headlessly.RecordMetricSnapshot, &headlessly.MetricSnapshot{Tenant: tenant, Name: "mrr", Time: at, Amount: int64(n), Currency: "EUR"}))
	}
	return out
}

// TestOtherEnginesAgreeWithOurSQL has PyIceberg, ClickHouse and DuckDB's own
// iceberg extension read every table, through our REST catalog and from the
// files that it names, after each thing that changes files.
func TestOtherEnginesAgreeWithOurSQL(t *testing.T) {
	interpreter := python(t)
	script, err := filepath.Abs(filepath.Join("..", "interop", "read.py"))
	if err != nil {
		t.Fatal(err)
	}
	dir, log := t.TempDir(), laketest.NewLog()
	change := func(more ...lakehouse.Promotion) func(c *lakehouse.Config) {
		return func(c *lakehouse.Config) {
			c.Clock = func() time.Time { return time.UnixMicro(laketest.Noon).Add(26 * time.Hour) }
			c.Maintenance.KeepSnapshots, c.Promote = time.Nanosecond, more
		}
	}
	lake, w, stop := reopen(t, dir, log, change())
	compare := func(when string, events int) {
		t.Helper()
		server := httptest.NewServer(lake.RESTCatalog(func(r *http.Request) (bool, int, string) {
			return r.Header.Get("Authorization") == "Bearer admin", http.StatusUnauthorized, "no key"
		}))
		defer server.Close()
		answers := t.TempDir()
		for _, name := range lakehouse.Tables() {
			if err := os.WriteFile(filepath.Join(answers, name+".parquet"), []byte(ask(t, lake, "", "SELECT * FROM "+name, lakehouse.FormatParquet)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), interpreter, script, server.URL, "admin", answers)
		cmd.Dir = dir // the only folder that ClickHouse reads from
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		type answer struct {
			Rows   int
			Digest string
		}
		var got map[string]map[string]answer
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		for _, name := range lakehouse.Tables() {
			if len(got[name]) != 6 {
				t.Errorf("%s: %s was read in %d ways, want 6", when, name, len(got[name]))
			}
			for who, a := range got[name] {
				if a != got[name]["ours"] {
					t.Errorf("%s: %s reads %s as %+v, our SQL as %+v", when, who, name, a, got[name]["ours"])
				}
			}
		}
		if n := got[lakehouse.TableEvents]["ours"].Rows; n != events {
			t.Errorf("%s: %d events, want %d", when, n, events)
		}
	}
	write := func(from, to int) {
		for n := from; n < to; n++ {
			log.Append(every(n)...)
			flush(t, w)
		}
	}
	write(0, 4)
	stop()
	lake, w, stop = reopen(t, dir, log, change(lakehouse.Promotion{Property: "total", Type: "double"})) // an evolved schema
	write(4, 9)
	compare("after commits and a new column", 18)
	if _, err := lake.Compact(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := lake.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := lake.Forget(t.Context(), lakehouse.Person{Tenant: "acme", Visitors: []string{laketest.Event("acme", 1).AnonymousID}, Users: []string{laketest.Event("acme", 3).UserID}}, nil); err != nil {
		t.Fatal(err)
	}
	compare("after compaction, expiry and a deletion", 16)
	log.Append(every(9)...)
	flush(t, w)
	stop()
	log.Forget() // as after a crash between the commit and the cursor
	lake, w, _ = reopen(t, dir, log, change(lakehouse.Promotion{Property: "total", Type: "double"}))
	write(10, 11)
	compare("after a crash", 20)
}

// reopen opens a lake and runs its writer until stop is called or the test
// ends.
func reopen(t testing.TB, dir string, log *laketest.Log, change func(*lakehouse.Config)) (*lakehouse.Lake, *lakehouse.Writer, func()) {
	t.Helper()
	cfg := lakehouse.Default(dir)
	cfg.CommitInterval = time.Hour
	change(&cfg)
	lake, err := lakehouse.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	w, err := lakehouse.NewWriter(lake, log)
	if err != nil {
		t.Fatal(err)
	}
	stop := runWriter(w)
	stopped := false
	end := func() {
		if stopped {
			return
		}
		stopped = true
		if err := errors.Join(stop(), lake.Close()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(end)
	return lake, w, end
}
