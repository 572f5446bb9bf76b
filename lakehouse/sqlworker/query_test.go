package sqlworker_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
	_ "github.com/headlessly/headlessly/lakehouse/sqlworker" // this binary is the worker, too
)

// lakeOf has a lake with events, committed and not, and its writer.
func lakeOf(t testing.TB, change ...func(*lakehouse.Config)) (*lakehouse.Lake, *laketest.Log, *lakehouse.Writer) {
	t.Helper()
	cfg := lakehouse.Default(t.TempDir())
	cfg.CommitInterval = time.Hour
	for _, f := range change {
		f(&cfg)
	}
	lake, err := lakehouse.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	log := laketest.NewLog()
	w, err := lakehouse.NewWriter(lake, log)
	if err != nil {
		t.Fatal(err)
	}
	stop := runWriter(w)
	t.Cleanup(func() {
		if err := errors.Join(stop(), lake.Close()); err != nil {
			t.Error(err)
		}
	})
	return lake, log, w
}

func flush(t testing.TB, w *lakehouse.Writer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := w.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// runWriter runs a writer until the function is called.
func runWriter(w *lakehouse.Writer) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}

// ask runs a query and gives the result in a format.
func ask(t testing.TB, lake *lakehouse.Lake, tenant, sql string, f lakehouse.Format) string {
	t.Helper()
	rows, err := lake.Query(t.Context(), tenant, sql, lakehouse.QueryOptions{})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	defer func() {
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	}()
	rows.Elapsed = 0
	var out bytes.Buffer
	if err := rows.Write(t.Context(), &out, f); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out.String()
}

func TestAQuerySeesCommittedAndUncommittedEvents(t *testing.T) {
	lake, log, w := lakeOf(t)
	const count = "SELECT count(*) AS n, count(DISTINCT message_id) AS ids FROM events"
	if got, want := ask(t, lake, "acme", count, lakehouse.FormatCSV), "n,ids\n0,0\n"; got != want {
		t.Errorf("empty lake: got %q, want %q", got, want)
	}
	log.Append(laketest.Records("acme", 0, 20)...)
	if got, want := ask(t, lake, "acme", count, lakehouse.FormatCSV), "n,ids\n20,20\n"; got != want {
		t.Errorf("before the commit: got %q, want %q", got, want)
	}
	flush(t, w)
	if got, want := ask(t, lake, "acme", count, lakehouse.FormatCSV), "n,ids\n20,20\n"; got != want {
		t.Errorf("after the commit: got %q, want %q", got, want)
	}
	log.Append(laketest.Records("acme", 20, 25)...)
	log.Append(laketest.Records("beta", 0, 3)...)
	if got, want := ask(t, lake, "acme", count, lakehouse.FormatCSV), "n,ids\n25,25\n"; got != want {
		t.Errorf("across the commit: got %q, want %q", got, want)
	}
	if got, want := ask(t, lake, "", "SELECT tenant, count(*) AS n FROM events GROUP BY tenant ORDER BY tenant;", lakehouse.FormatCSV), "tenant,n\nacme,25\nbeta,3\n"; got != want {
		t.Errorf("all tenants: got %q, want %q", got, want)
	}
}
