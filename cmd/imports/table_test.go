package imports_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/headlessly/headlessly/cmd/imports"
)

// parquetFile writes rows, given as JSON, with a schema.
func parquetFile(t testing.TB, schema *arrow.Schema, rows string) string {
	t.Helper()
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(rows))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "rows.parquet")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := pqarrow.NewFileWriter(schema, f, parquet.NewWriterProperties(), pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(rec); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestParquetKeepsTypes(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "uid", Type: arrow.PrimitiveTypes.Int64},
		{Name: "event", Type: arrow.BinaryTypes.String},
		{Name: "occurred_at", Type: arrow.FixedWidthTypes.Timestamp_ms},
		{Name: "code", Type: arrow.BinaryTypes.String},
		{Name: "amount", Type: arrow.PrimitiveTypes.Float64},
		{Name: "day", Type: arrow.FixedWidthTypes.Date32},
		{Name: "tags", Type: arrow.ListOf(arrow.BinaryTypes.String)},
		{Name: "paid", Type: arrow.FixedWidthTypes.Boolean},
		{Name: "gone", Type: arrow.BinaryTypes.String},
	}, nil)
	path := parquetFile(t, schema, `[{"uid":9007199254740993,"event":"Paid","occurred_at":"2024-03-01 10:00:00.250Z","code":"007","amount":1.5,"day":"2024-03-01","tags":["a","b"],"paid":true,"gone":"x"},
		{"uid":2,"occurred_at":"2024-03-01 10:00:01Z"}]`)
	events, bad := read(t, path, imports.Options{Map: []string{"uid=userId", "gone=-"}, LineIDs: true})
	if len(bad) != 0 || len(events) != 2 {
		t.Fatalf("got %d events and bad rows %v, want 2 and none", len(events), bad)
	}
	got := string(events[0])
	for _, want := range []string{
		`"userId":"9007199254740993"`, `"ts":"2024-03-01T10:00:00.25Z"`, `"properties":{"amount":1.5,"code":"007","day":"2024-03-01","paid":true,"tags":["a","b"]}`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %s in it", got, want)
		}
	}
	if bytes.Contains(events[0], []byte("gone")) {
		t.Errorf("got %s, want the column left out", got)
	}
}

func TestPostHogsParquetIsPostHogs(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "uuid", Type: arrow.BinaryTypes.String},
		{Name: "event", Type: arrow.BinaryTypes.String},
		{Name: "distinct_id", Type: arrow.BinaryTypes.String},
		{Name: "properties", Type: arrow.BinaryTypes.String},
		{Name: "timestamp", Type: arrow.FixedWidthTypes.Timestamp_us},
	}, nil)
	path := parquetFile(t, schema, `[{"uuid":"018dd8f0-1c2b-7a4e-9b3f-3a2b1c0d9e01","event":"$pageview","distinct_id":"d1","properties":"{\"$session_id\":\"s1\"}","timestamp":"2024-02-24 09:12:01.000001Z"}]`)
	events, _ := read(t, path, imports.Options{From: imports.FromPostHog})
	want := `{"anonymousId":"d1","event":"$pageview","integrations":{"All":false},"messageId":"018dd8f0-1c2b-7a4e-9b3f-3a2b1c0d9e01","properties":{"$session_id":"s1"},"sessionId":"s1","ts":"2024-02-24T09:12:01.000001Z"}`
	if len(events) != 1 || string(events[0]) != want {
		t.Errorf("got %s, want %s", events, want)
	}
}

func TestIdsAreTheSameEveryTime(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.csv")
	if err := os.WriteFile(path, []byte("event,user_id,n\nseen,ada,1\nseen,ada,1\nseen,ada,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "sorted-otherwise.csv")
	if err := os.WriteFile(copied, []byte("n,event,user_id\n2,seen,ada\n1,seen,ada\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	events, _ := read(t, path, imports.Options{})
	again, _ := read(t, copied, imports.Options{})
	if !bytes.Equal(events[0], events[1]) || bytes.Equal(events[0], events[2]) {
		t.Errorf("rows that are alike must have one id, others not: got %s", bytes.Join(events, []byte("\n")))
	}
	if !bytes.Equal(events[0], again[1]) || !bytes.Equal(events[2], again[0]) {
		t.Errorf("columns in another order give other events: %s", bytes.Join(again, []byte("\n")))
	}
	byLine, _ := read(t, path, imports.Options{LineIDs: true})
	if bytes.Equal(byLine[0], byLine[1]) {
		t.Errorf("by line, rows that are alike must be two: got %s", bytes.Join(byLine, []byte("\n")))
	}
}

func TestWhatCannotBeReadIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		file, text string
		opts       imports.Options
		want       string
	}{
		"an unknown program":        {"a.csv", "", imports.Options{From: "heap"}, "known are native, segment"},
		"an unknown field":          {"a.csv", "", imports.Options{Map: []string{"a=user"}}, `"user" is no field`},
		"a mapping without =":       {"a.csv", "", imports.Options{Map: []string{"a"}}, "must look like column=field"},
		"a mapping of an export":    {"a.csv", "", imports.Options{From: imports.FromSegment, Map: []string{"a=userId"}}, "columns of your own"},
		"a name that tells nothing": {"a.dat", "", imports.Options{}, "use --format"},
		"two columns of one name":   {"a.csv", "x,x\n1,2\n", imports.Options{}, "has no name of its own"},
		"one JSON array":            {"a.json", "[\n{}]\n", imports.Options{}, "one JSON array"},
		"a quote without an end":    {"a.csv", "x,y\n\"" + strings.Repeat("a,b\n", 2_000_000), imports.Options{}, "a quote is not closed"},
		"no Parquet":                {"a.parquet", "PAR2", imports.Options{}, "parquet"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), c.file)
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := imports.Open(t.Context(), path, nil, c.opts)
			if err == nil {
				_, err = s.Next()
				_ = s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}
