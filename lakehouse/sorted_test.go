package lakehouse_test

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// TestFilesOfManyTenantsAreSorted commits 50 tenants' interleaved rows twice,
// each row later than its neighbour by arrival and not by time.
func TestFilesOfManyTenantsAreSorted(t *testing.T) {
	const tenants, rows = 50, 2000
	log := laketest.NewLog()
	lake := openLake(t, t.TempDir())
	w, stop := startWriter(t, lake, log)
	for part := range 2 {
		var records []headlessly.Record
		for n := part * rows / 2; n < (part+1)*rows/2; n++ {
			e := laketest.Event(fmt.Sprintf("tenant-%d", n%tenants), n)
			e.Timestamp -= int64(n*7919%rows) * 1_000_000
			records = append(records, laketest.Record(e))
		}
		log.Append(records...)
		flush(t, w)
	}
	stop()
	if n := sortedFiles(t, lake, rows); n != 2*tenants {
		t.Errorf("two commits of %d tenants made %d files", tenants, n)
	}
	if _, err := lake.Compact(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
	if n := sortedFiles(t, lake, rows); n != tenants {
		t.Errorf("%d tenants have %d files when compacted", tenants, n)
	}
}

// sortedFiles checks that each file holds one tenant's rows in the table's order,
// and counts the files.
func sortedFiles(t *testing.T, lake *lakehouse.Lake, rows int) int {
	t.Helper()
	tbl, err := lake.Table(t.Context(), lakehouse.TableEvents)
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := tbl.Scan().PlanFiles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	type key struct {
		event   string
		at, seq int64
	}
	seen := map[string]bool{}
	found := 0
	for _, task := range tasks {
		path := strings.TrimPrefix(task.File.FilePath(), "file://")
		if seen[path] {
			continue
		}
		seen[path] = true
		f, err := file.OpenParquetFile(path, false)
		if err != nil {
			t.Fatal(err)
		}
		r, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		data, err := r.ReadTable(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		owners, events := column(t, data, "tenant").(*array.String), column(t, data, "event").(*array.String)
		times, seqs := column(t, data, "timestamp").(*array.Timestamp), column(t, data, "log_seq").(*array.Int64)
		var last key
		for i := range owners.Len() {
			found++
			if dir := "tenant=" + owners.Value(i); filepath.Base(filepath.Dir(filepath.Dir(path))) != dir {
				t.Fatalf("a row of %s is in %s", dir, path)
			}
			this := key{at: int64(times.Value(i)), seq: seqs.Value(i)}
			if !events.IsNull(i) {
				this.event = events.Value(i)
			}
			if i > 0 && cmp.Or(strings.Compare(last.event, this.event), cmp.Compare(last.at, this.at), cmp.Compare(last.seq, this.seq)) >= 0 {
				t.Fatalf("%s: row %d %v stands behind %v", path, i, this, last)
			}
			last = this
		}
		data.Release()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if found != rows {
		t.Errorf("the files hold %d rows, want %d", found, rows)
	}
	return len(seen)
}
