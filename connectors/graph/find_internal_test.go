package graph

import (
	"database/sql"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the driver
)

// TestAUniqueValueIsLookedUpByItsIndex pins how SQLite goes about a query: an
// initial sync of a hundred thousand objects asks for a hundred of them by a
// unique field a thousand times, and walked through all entities each time.
func TestAUniqueValueIsLookedUpByItsIndex(t *testing.T) {
	types := BuiltinTypes()
	db, err := sql.Open("sqlite", "file::memory:")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.ExecContext(t.Context(), types.schema()); err != nil {
		t.Fatal(err)
	}
	customer, err := types.Lookup("Customer")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		filter map[string]any
		index  string
	}{
		{"a unique value", map[string]any{"stripeCustomerId": "cus_1"}, "i_Customer_stripeCustomerId"},
		{"a unique value, spelt out", map[string]any{"stripeCustomerId": map[string]any{"$eq": "cus_1"}}, "i_Customer_stripeCustomerId"},
		{"several of them", map[string]any{"stripeCustomerId": map[string]any{"$in": []any{"cus_1", "cus_2", "cus_3"}}}, "i_Customer_stripeCustomerId"},
		{"one among other conditions", map[string]any{"stripeCustomerId": "cus_1", "currency": "EUR"}, "i_Customer_stripeCustomerId"},
		{"nothing", nil, "i_Customer_created"},
		{"all but one value", map[string]any{"stripeCustomerId": map[string]any{"$ne": "cus_1"}}, "i_Customer_created"},
	} {
		q := Query{Type: "Customer", Filter: c.filter, Limit: 25}
		comp, keys, where, err := compileQuery(customer, &q)
		if err != nil {
			t.Fatal(err)
		}
		args := append([]any{1}, comp.args...)
		order, _ := comp.orderBy(keys)
		plan := explain(t, db, "select id from "+customer.table()+" where tenant = ? and "+where+" order by "+order+" limit 26", args...)
		if !strings.Contains(plan, c.index+" ") {
			t.Errorf("%s: the plan is %swant %s", c.name, plan, c.index)
		}
	}
}

// explain is SQLite's plan for a query.
func explain(t *testing.T, db *sql.DB, query string, args ...any) (plan string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "explain query plan "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan += detail + "\n"
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan
}
