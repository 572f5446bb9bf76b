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

func TestADescribedStatementTellsItsColumnsAndParameters(t *testing.T) {
	lake, log, w := lakeOf(t)
	log.Append(laketest.Records("acme", 0, 10)...)
	flush(t, w)
	for _, c := range []struct{ name, sql, columns, parameters string }{
		{"a query", "SELECT event, count(*) AS n FROM events GROUP BY 1;", "event VARCHAR, n BIGINT", ""},
		{"parameters of columns' types", "SELECT user_id FROM events WHERE user_id = ? AND screen_width > ? AND timestamp >= ?", "user_id VARCHAR", "VARCHAR, INTEGER, TIMESTAMP WITH TIME ZONE"},
		{"a parameter of any type", "SELECT 1 AS a WHERE ? IS NOT NULL", "a INTEGER", "any"},
		{"what would take for ever", "SELECT sum(a.range * b.range) AS s FROM range(10000000) a, range(10000000) b", "s HUGEINT", ""},
		{"a plan", "EXPLAIN ANALYZE SELECT sum(a.range) FROM range(10000000) a, range(10000000) b", "plan VARCHAR", ""},
	} {
		rows, err := lake.Query(t.Context(), "acme", c.sql, lakehouse.QueryOptions{Describe: true})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var columns, parameters []string
		for _, col := range rows.Columns {
			columns = append(columns, col.Name+" "+col.Type)
		}
		for _, p := range rows.Parameters {
			if p == "" {
				p = "any"
			}
			parameters = append(parameters, p)
		}
		if got := strings.Join(columns, ", "); got != c.columns || rows.Count != 0 {
			t.Errorf("%s: got %q with %d rows, want %q with none", c.name, got, rows.Count, c.columns)
		}
		if got := strings.Join(parameters, ", "); got != c.parameters {
			t.Errorf("%s: got parameters %q, want %q", c.name, got, c.parameters)
		}
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	}
	for name, sql := range map[string]string{"no query": "DROP VIEW events", "a column that is not there": "SELECT nothing FROM events WHERE user_id = ?"} {
		if _, err := lake.Query(t.Context(), "acme", sql, lakehouse.QueryOptions{Describe: true}); err == nil {
			t.Errorf("%s was described", name)
		}
	}
}
