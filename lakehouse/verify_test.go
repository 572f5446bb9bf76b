package lakehouse_test

import (
	"os"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/parquet/file"

	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// TestVerifyFindsDamageInEveryColumn flips one bit in the values of each column
// in turn: damage is no better for being in a column that identifies nothing.
func TestVerifyFindsDamageInEveryColumn(t *testing.T) {
	lake, log := openLake(t, t.TempDir()), laketest.NewLog()
	w, stop := startWriter(t, lake, log)
	log.Append(laketest.Records("acme", 0, 50)...)
	flush(t, w)
	stop()
	wantSound(t, lake)
	path := filesOf(t, lake)[0]
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, at := range lastBytes(t, path) {
		damaged := append([]byte(nil), whole...)
		damaged[at] ^= 0x10
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := lake.Verify(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Faults) != 1 || !strings.Contains(r.Faults[0], path) {
			t.Errorf("a flipped bit in column %s: got faults %q, want one of %s", name, r.Faults, path)
		}
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	wantSound(t, lake)
}

// lastBytes is where, in a file of one row group, each column's values end.
func lastBytes(t testing.TB, path string) map[string]int64 {
	t.Helper()
	f, err := file.OpenParquetFile(path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	at := map[string]int64{}
	group := f.MetaData().RowGroup(0)
	for i := range group.NumColumns() {
		c, err := group.ColumnChunk(i)
		if err != nil {
			t.Fatal(err)
		}
		from := c.DataPageOffset()
		if c.HasDictionaryPage() {
			from = c.DictionaryPageOffset()
		}
		at[f.MetaData().Schema.Column(i).Name()] = from + c.TotalCompressedSize() - 1
	}
	return at
}

// TestVerifyOutlivesDamageThatTheReaderDoesNot goes through the header of the
// first column's values: some damage there makes the Parquet library panic.
func TestVerifyOutlivesDamageThatTheReaderDoesNot(t *testing.T) {
	lake, log := openLake(t, t.TempDir()), laketest.NewLog()
	w, stop := startWriter(t, lake, log)
	log.Append(laketest.Records("acme", 0, 50)...)
	flush(t, w)
	stop()
	path := filesOf(t, lake)[0]
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for i := range 30 * 3 {
		damaged := append([]byte(nil), whole...)
		damaged[4+i/3] ^= []byte{0x01, 0x04, 0x10}[i%3]
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := lake.Verify(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		found += len(r.Faults)
	}
	if found == 0 {
		t.Error("no damage was found at all")
	}
}
