package lakehouse_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/headlessly/headlessly/lakehouse"
)

// TestFieldIDsNeverChange compares the tables as made today with the golden
// text: an id, a name or a type that changes makes old files unreadable. Lines
// may be added at the end of a table, nothing else.
func TestFieldIDsNeverChange(t *testing.T) {
	lake := openLake(t, t.TempDir())
	var b strings.Builder
	for _, name := range lakehouse.Tables() {
		tbl, err := lake.Table(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s v%d\n", name, tbl.Metadata().Version())
		for _, f := range tbl.Schema().Fields() {
			need := "optional"
			if f.Required {
				need = "required"
			}
			fmt.Fprintf(&b, "  %d %s %s %s\n", f.ID, f.Name, f.Type, need)
		}
		spec := tbl.Spec()
		for _, f := range spec.Fields() {
			fmt.Fprintf(&b, "  partition %d %s %s(%d)\n", f.FieldID, f.Name, f.Transform, f.SourceIDs[0])
		}
		for _, f := range tbl.SortOrder().Fields() {
			fmt.Fprintf(&b, "  sort %s(%d) %s\n", f.Transform, f.SourceIDs[0], f.Direction)
		}
	}
	golden := filepath.Join("testdata", "tables.golden")
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("HEADLESSLY_GOLDEN") != "" { // after a look at what it adds
		if err := os.WriteFile(golden, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.String(); got != string(want) {
		t.Errorf("tables are\n%s\nwant\n%s", got, want)
	}
}
