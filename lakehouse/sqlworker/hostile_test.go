package sqlworker_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// TestHostileQueriesAreRefusedOrContained runs what an attacker would, and
// after each the same honest query.
func TestHostileQueriesAreRefusedOrContained(t *testing.T) {
	lake, log, w := lakeOf(t, func(c *lakehouse.Config) {
		c.Query.MemoryBytes, c.Query.TempBytes, c.Query.ResultBytes, c.Query.MaxRows = 128<<20, 32<<20, 8<<20, 1000
	})
	log.Append(laketest.Records("acme", 0, 30)...)
	log.Append(laketest.Records("beta", 0, 7)...)
	flush(t, w)
	secret := filepath.Join(t.TempDir(), "secret.csv")
	if err := os.WriteFile(secret, []byte("canary,1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	betaFile := fileOf(t, lake, "beta")
	t.Setenv("HEADLESSLY_CANARY", "canary-in-environment")
	q := func(s string) string { return "'" + s + "'" }

	refused := map[string]string{ // query: code, or codes apart by |
		"COPY (SELECT 1) TO " + q(out):                            "not_a_select|denied",
		"COPY events FROM " + q(secret):                           "not_a_select|denied|invalid_sql",
		"ATTACH " + q(out) + " AS x":                              lakehouse.CodeNotSelect,
		"DETACH memory":                                           lakehouse.CodeNotSelect,
		"INSTALL httpfs":                                          lakehouse.CodeNotSelect,
		"LOAD httpfs":                                             lakehouse.CodeNotSelect,
		"SET enable_external_access = true":                       lakehouse.CodeNotSelect,
		"SET memory_limit = '100GB'":                              lakehouse.CodeNotSelect,
		"RESET lock_configuration":                                lakehouse.CodeNotSelect,
		"PRAGMA database_list":                                    "not_a_select|invalid_sql",
		"CREATE TABLE t AS SELECT 1":                              lakehouse.CodeNotSelect,
		"CREATE OR REPLACE VIEW events AS SELECT 1":               lakehouse.CodeNotSelect,
		"DROP VIEW events":                                        lakehouse.CodeNotSelect,
		"INSERT INTO events SELECT * FROM events":                 "not_a_select|invalid_sql",
		"DELETE FROM events":                                      "not_a_select|invalid_sql",
		"EXPORT DATABASE " + q(out):                               "not_a_select|denied",
		"CALL pragma_version()":                                   lakehouse.CodeNotSelect,
		"CREATE SECRET (TYPE s3)":                                 "not_a_select|invalid_sql|denied",
		"BEGIN":                                                   lakehouse.CodeNotSelect,
		"SELECT 1; SELECT 2":                                      lakehouse.CodeNotSelect,
		"SELECT 1; COPY (SELECT 1) TO " + q(out):                  lakehouse.CodeNotSelect,
		"SELECT 1) TO " + q(out) + " --":                          lakehouse.CodeInvalid,
		"SELECT 1\n) AS q(c0)) TO " + q(out) + " (FORMAT csv) --": lakehouse.CodeInvalid,
		"SELECT * FROM read_csv('/etc/passwd')":                   lakehouse.CodeDenied,
		"SELECT * FROM '/etc/passwd'":                             "denied|invalid_sql",
		"SELECT * FROM read_text(" + q(secret) + ")":              lakehouse.CodeDenied,
		"SELECT * FROM read_blob('/proc/self/environ')":           lakehouse.CodeDenied,
		"SELECT * FROM read_json('/proc/self/status')":            lakehouse.CodeDenied,
		"SELECT * FROM glob('/**')":                               lakehouse.CodeDenied,
		"SELECT * FROM read_parquet(" + q(betaFile) + ")":         lakehouse.CodeDenied,
		"SELECT * FROM read_parquet('" + filepath.Dir(betaFile) + "/*.parquet')":                  lakehouse.CodeDenied,
		"SELECT * FROM parquet_metadata(" + q(betaFile) + ")":                                     lakehouse.CodeDenied,
		"SELECT * FROM parquet_file_metadata(" + q(betaFile) + ")":                                lakehouse.CodeDenied,
		"SELECT * FROM query('COPY (SELECT 1) TO " + strings.ReplaceAll(q(out), "'", "''") + "')": "invalid_sql|not_a_select|denied",
		"SELECT * FROM read_parquet('http://127.0.0.1:1/x.parquet')":                              "denied|invalid_sql|failed",
		"SELECT * FROM read_parquet('s3://bucket/x.parquet')":                                     "denied|invalid_sql|failed",
		"SELECT * FROM sqlite_scan(" + q(secret) + ", 'x')":                                       "denied|invalid_sql",
		"SELECT * FROM iceberg_scan(" + q(secret) + ")":                                           "denied|invalid_sql",
		"SELECT getenv('HEADLESSLY_CANARY')":                                                      lakehouse.CodeInvalid,
		"SELECT " + strings.Repeat("(", 20_000) + "1" + strings.Repeat(")", 20_000):               "invalid_sql|worker_failed|failed",
		"SELECT ":                           lakehouse.CodeInvalid,
		"":                                  lakehouse.CodeInvalid,
		"-- nothing":                        lakehouse.CodeInvalid,
		"SELECT 'a\x00b'":                   lakehouse.CodeInvalid,
		"SELEKT 1":                          lakehouse.CodeInvalid,
		"SELECT * FROM nix":                 lakehouse.CodeInvalid,
		"SELECT repeat('x', 1000000000000)": "too_large|failed|worker_failed|invalid_sql",
		"SELECT string_agg(repeat('x', 100000000), '') FROM range(1000)":                                     "too_large|failed|worker_failed|timeout",
		"SELECT sum(a.range * b.range % 7) FROM range(1000000000000) a, range(1000000000000) b":              "timeout|worker_failed|too_large",
		"WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r":           "timeout|too_large|worker_failed",
		"SELECT a.range, b.range FROM range(100000000) a, range(10) b ORDER BY md5((a.range+b.range)::TEXT)": "too_large|timeout|worker_failed",
		"SELECT list(range) FROM range(1000000000)":                                                          "too_large|timeout|worker_failed",
	}
	for sql, codes := range refused {
		name := sql
		if len(name) > 60 {
			name = name[:60]
		}
		t.Run(name, func(t *testing.T) {
			var opts lakehouse.QueryOptions
			if strings.Contains(codes, lakehouse.CodeTimeout) {
				opts.Timeout = 2 * time.Second // the rest are refused, however long a busy machine takes to say so
			}
			rows, err := lake.Query(t.Context(), "acme", sql, opts)
			if err == nil {
				t.Errorf("was answered with %d rows", rows.Count)
				_ = rows.Close()
			}
			var fault *lakehouse.QueryError
			if err != nil && (!errors.As(err, &fault) || !strings.Contains("|"+codes+"|", "|"+fault.Code+"|")) {
				t.Errorf("got %v (%+v), want code %s", err, fault, codes)
			}
			if got := ask(t, lake, "acme", "SELECT count(*) AS n FROM events", lakehouse.FormatCSV); got != "n\n30\n" {
				t.Errorf("the next query got %q", got)
			}
		})
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a query wrote a file")
	}

	t.Run("answers show no other tenant and no environment", func(t *testing.T) {
		for _, sql := range []string{
			"SELECT * FROM events", "SELECT * FROM duckdb_settings()", "SELECT * FROM duckdb_views()", "SELECT * FROM duckdb_secrets()",
			"FROM sessions", "FROM identities", "FROM information_schema.tables", "SELECT current_setting('temp_directory')",
		} {
			got := ask(t, lake, "acme", sql, lakehouse.FormatCSV)
			for _, canary := range []string{"beta", "canary", betaFile} {
				if strings.Contains(got, canary) {
					t.Errorf("%s shows %q", sql, canary)
				}
			}
		}
	})

	t.Run("more rows than allowed are cut and said so", func(t *testing.T) {
		rows, err := lake.Query(t.Context(), "acme", "SELECT * FROM range(1000000000000)", lakehouse.QueryOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if rows.Count != 1000 || !rows.Truncated {
			t.Errorf("got %d rows, truncated %t; want 1000, true", rows.Count, rows.Truncated)
		}
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	})

	if left, err := os.ReadDir(filepath.Join(filepath.Dir(filepath.Dir(betaFile)))); err != nil || len(left) == 0 {
		t.Errorf("the tables' files are gone: %v", err)
	}
}

// fileOf is a data file of a tenant.
func fileOf(t testing.TB, lake *lakehouse.Lake, tenant string) string {
	t.Helper()
	tbl, err := lake.Table(t.Context(), lakehouse.TableEvents)
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := tbl.Scan().PlanFiles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		if strings.Contains(task.File.FilePath(), "tenant="+tenant+"/") {
			return strings.TrimPrefix(task.File.FilePath(), "file://")
		}
	}
	t.Fatalf("tenant %s has no file", tenant)
	return ""
}
