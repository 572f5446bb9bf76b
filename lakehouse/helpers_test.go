package lakehouse_test

import (
	"context"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/lakehouse"
)

// openLake opens a lake that commits only when asked.
func openLake(t testing.TB, dir string, change ...func(*lakehouse.Config)) *lakehouse.Lake {
	t.Helper()
	cfg := lakehouse.Default(dir)
	cfg.CommitInterval = time.Hour
	for _, f := range change {
		f(&cfg)
	}
	lake, err := lakehouse.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lake.Close(); err != nil {
			t.Error(err)
		}
	})
	return lake
}

// startWriter runs a writer until the test ends or stop is called.
func startWriter(t testing.TB, lake *lakehouse.Lake, log headlessly.LogReader, opts ...lakehouse.WriterOption) (w *lakehouse.Writer, stop func()) {
	t.Helper()
	w, err := lakehouse.NewWriter(lake, log, opts...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // stopped before the lake closes
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("writer: %v", err)
		}
	}
	t.Cleanup(stop)
	return w, stop
}

func flush(t testing.TB, w *lakehouse.Writer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := w.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// scan reads a whole table with Iceberg's own scanner.
func scan(t testing.TB, lake *lakehouse.Lake, name string) arrow.Table {
	t.Helper()
	tbl, err := lake.Table(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	data, err := tbl.Scan().ToArrowTable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(data.Release)
	return data
}

// column gives a table's column as one array.
func column(t testing.TB, data arrow.Table, name string) arrow.Array {
	t.Helper()
	i := data.Schema().FieldIndices(name)
	if len(i) != 1 {
		t.Fatalf("table has no column %s", name)
	}
	chunks := data.Column(i[0]).Data().Chunks()
	if len(chunks) == 0 {
		return array.MakeArrayOfNull(memory.DefaultAllocator, data.Schema().Field(i[0]).Type, 0)
	}
	all, err := array.Concatenate(chunks, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// countIDs tells how often each message id is in the events table.
func countIDs(t testing.TB, lake *lakehouse.Lake) map[string]int {
	t.Helper()
	ids := column(t, scan(t, lake, lakehouse.TableEvents), "message_id")
	n := map[string]int{}
	for i := range ids.Len() {
		n[ids.ValueStr(i)]++
	}
	return n
}
