package store

import (
	"database/sql"
	"log/slog"
	"testing"

	"github.com/headlessly/headlessly"
)

// TestARotationKnowsEverySealedColumn keeps a table that is added later from
// being forgotten.
func TestARotationKnowsEverySealedColumn(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir(), Clock: headlessly.SystemClock, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	known := map[string]bool{}
	for _, table := range sealedTables() {
		known[table.name] = true
	}
	found := 0
	err = s.query(t.Context(), func(r *sql.Rows) error {
		var table string
		if err := r.Scan(&table); err != nil {
			return err
		}
		if found++; !known[table] {
			t.Errorf("the table %s has sealed values that a rotation would leave behind", table)
		}
		return nil
	}, `select m.name from sqlite_master m, pragma_table_info(m.name) c where m.type = 'table' and c.name = 'sealed'`)
	if err != nil || found < 3 {
		t.Errorf("found %d tables, %v", found, err)
	}
}
