//go:build interop

package sqlworker_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// TestOtherEnginesAgreeWithOurSQL needs Python with lakehouse/interop's
// requirements, named by HEADLESSLY_PYTHON, and is built with the tag interop.
func TestOtherEnginesAgreeWithOurSQL(t *testing.T) {
	python := os.Getenv("HEADLESSLY_PYTHON")
	if python == "" {
		t.Fatal("HEADLESSLY_PYTHON names no Python with the packages of lakehouse/interop/requirements.txt")
	}
	nextDay := func() time.Time { return time.UnixMicro(laketest.Noon).Add(26 * time.Hour) }
	lake, log, w := lakeOf(t, func(c *lakehouse.Config) { c.Clock, c.Maintenance.KeepSnapshots = nextDay, time.Nanosecond })
	server := httptest.NewServer(lake.RESTCatalog(func(r *http.Request) (bool, int, string) {
		return r.Header.Get("Authorization") == "Bearer admin", http.StatusUnauthorized, "no key"
	}))
	t.Cleanup(server.Close)
	type answer struct {
		Tables  []string `json:"tables"`
		Rows    int      `json:"rows"`
		DuckDB  int      `json:"duckdb"`
		Same    bool     `json:"same"`
		Same2   bool     `json:"duckdbSame"`
		Columns bool     `json:"columns"`
		Acme    int      `json:"acme"`
	}
	compare := func(when string, rows map[string]int, acme map[string]int) {
		t.Helper()
		for table, n := range rows {
			path := filepath.Join(t.TempDir(), "answer.parquet")
			if err := os.WriteFile(path, []byte(ask(t, lake, "", "SELECT * FROM "+table, lakehouse.FormatParquet)), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), python, filepath.Join("..", "interop", "read.py"), server.URL, "admin", table, path)
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%s, %s: %v", when, table, err)
			}
			var got answer
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatal(err)
			}
			want := answer{[]string{"events", "rejected"}, n, n, true, true, true, acme[table]}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s, %s: got %+v, want %+v", when, table, got, want)
			}
		}
	}
	for i := range 12 {
		log.Append(append(laketest.Records("acme", i*40, i*40+40), laketest.Records("beta", i*7, i*7+7)...)...)
		log.Append(laketest.RejectedRecord(headlessly.Rejected{Tenant: "acme", ReceivedAt: laketest.Noon + int64(i), Reason: "x", Raw: []byte{0, byte(i), 255}}))
		flush(t, w)
	}
	rows, acme := map[string]int{"events": 12 * 47, "rejected": 12}, map[string]int{"events": 480, "rejected": 12}
	compare("after commits", rows, acme)
	if _, err := lake.Compact(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
	compare("after compaction", rows, acme)
	if _, err := lake.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	compare("after expiry", rows, acme)
}
