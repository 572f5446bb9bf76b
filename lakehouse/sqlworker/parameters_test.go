package sqlworker_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

func csvOf(t testing.TB, lake *lakehouse.Lake, sql string, args ...any) (string, error) {
	t.Helper()
	rows, err := lake.Query(t.Context(), "acme", sql, lakehouse.QueryOptions{Args: args})
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var b bytes.Buffer
	if err := rows.Write(t.Context(), &b, lakehouse.FormatCSV); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(b.String()), nil
}

func TestValuesStandForParametersAndAreNeverText(t *testing.T) {
	lake, log, _ := lakeOf(t)
	log.Append(laketest.Records("acme", 0, 10)...)
	for _, c := range []struct {
		name, sql string
		args      []any
		want      string
	}{
		{"text", "SELECT ? || '!' AS a", []any{"x'; DROP TABLE events; --"}, "a\nx'; DROP TABLE events; --!"},
		{"a number that is whole", "SELECT $1 + 1 AS a", []any{float64(41)}, "a\n42"},
		{"a fraction", "SELECT $1 * 2 AS a", []any{1.25}, "a\n2.5"},
		{"the same one twice", "SELECT $1 = $1 AS a", []any{"x"}, "a\ntrue"},
		{"truth and null", "SELECT ? AS a, ? IS NULL AS b", []any{true, nil}, "a,b\ntrue,true"},
		{"a filter over a table", "SELECT count(*) AS n FROM events WHERE tenant = ? AND received_at < now()", []any{"acme"}, "n\n10"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := csvOf(t, lake, c.sql, c.args...); err != nil || got != c.want {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
	for name, args := range map[string][]any{"too few": {}, "too many": {"a", "b"}, "of a kind that can't be": {map[string]any{}}} {
		_, err := csvOf(t, lake, "SELECT ?", args...)
		var fault *lakehouse.QueryError
		if !errors.As(err, &fault) || fault.Code != lakehouse.CodeInvalid || !strings.Contains(fault.Message, "parameter") {
			t.Errorf("%s values: got %v", name, err)
		}
	}
}

func TestExplainShowsThePlan(t *testing.T) {
	lake, log, _ := lakeOf(t)
	log.Append(laketest.Records("acme", 0, 10)...)
	for _, sql := range []string{"EXPLAIN SELECT event, count(*) FROM events GROUP BY 1", "EXPLAIN ANALYZE SELECT event, count(*) FROM events GROUP BY 1"} {
		got, err := csvOf(t, lake, sql)
		if err != nil || !strings.Contains(got, "GROUP_BY") && !strings.Contains(got, "AGGREGATE") {
			t.Errorf("%s: got %v\n%s", sql, err, got)
		}
	}
	if got, err := csvOf(t, lake, "EXPLAIN SELECT * FROM events WHERE event = ?", "x"); err != nil || got == "" {
		t.Errorf("with a parameter: got %q, %v", got, err)
	}
	for _, sql := range []string{"EXPLAIN COPY (SELECT 1) TO '/tmp/x'", "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/x'", "EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1", "EXPLAIN DELETE FROM events", "EXPLAIN (ANALYZE) DELETE FROM events", "EXPLAIN EXPLAIN SELECT 1", "EXPLAIN ANALYZE SELECT 1; DROP VIEW events"} {
		if got, err := csvOf(t, lake, sql); err == nil {
			t.Errorf("%s was answered: %s", sql, got)
		}
	}
}
