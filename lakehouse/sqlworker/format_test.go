package sqlworker_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// values is one row of every kind of value: SQL, its text and its JSON.
var values = []struct{ name, sql, text, json string }{
	{"boolean", "true", "true", "true"},
	{"tinyint", "(-128)::TINYINT", "-128", "-128"},
	{"bigint", "9223372036854775807", "9223372036854775807", "9223372036854775807"},
	{"ubigint", "18446744073709551615::UBIGINT", "18446744073709551615", "18446744073709551615"},
	{"hugeint", "12345678901234567890123456789::HUGEINT", "12345678901234567890123456789", "12345678901234567890123456789"},
	{"a sum of integers", "sum(9007199254740993)", "9007199254740993", "9007199254740993"},
	{"double", "0.1::DOUBLE", "0.1", "0.1"},
	{"float", "0.1::FLOAT", "0.1", "0.1"},
	{"small double", "1e-300::DOUBLE", "1e-300", "1e-300"},
	{"not a number", "'nan'::DOUBLE", "NaN", `"NaN"`},
	{"infinite", "'-inf'::DOUBLE", "-Infinity", `"-Infinity"`},
	{"decimal", "12.5000::DECIMAL(18,4)", "12.5000", "12.5000"},
	{"wide decimal", "(-0.01)::DECIMAL(38,2)", "-0.01", "-0.01"},
	{"text", `'a "quoted", über
line'`, "a \"quoted\", über\nline", `"a \"quoted\", über\nline"`},
	{"blob", `'\x00\xFF'::BLOB`, `\x00ff`, `"AP8="`},
	{"uuid", "'0190f0c4-7b1e-7abc-8def-0123456789ab'::UUID", "0190f0c4-7b1e-7abc-8def-0123456789ab", `"0190f0c4-7b1e-7abc-8def-0123456789ab"`},
	{"date", "DATE '2024-02-29'", "2024-02-29", `"2024-02-29"`},
	{"time", "TIME '23:59:59.5'", "23:59:59.5", `"23:59:59.5"`},
	{"timestamp", "TIMESTAMP '1969-12-31 23:59:59.999999'", "1969-12-31T23:59:59.999999", `"1969-12-31T23:59:59.999999"`},
	{"timestamptz", "TIMESTAMPTZ '2025-10-09 14:00:00+02'", "2025-10-09T12:00:00Z", `"2025-10-09T12:00:00Z"`},
	{"interval", "INTERVAL 3 DAY", "3 days", `"3 days"`},
	{"list", "[1, NULL, 3]", "[1,null,3]", "[1,null,3]"},
	{"struct", "{'a': 1, 'b': ['x']}", `{"a":1,"b":["x"]}`, `{"a":1,"b":["x"]}`},
	{"map", "MAP {'k': 1.5}", `{"k":1.5}`, `{"k":1.5}`},
	{"json", `'{"a": [1, 2]}'::JSON`, `{"a": [1, 2]}`, `{"a": [1, 2]}`},
	{"enum", "'b'::ENUM('a', 'b')", "b", `"b"`},
	{"null", "NULL", "", "null"},
}

func valuesQuery() string {
	cols := make([]string, len(values))
	for i, v := range values {
		cols[i] = v.sql + ` AS "` + v.name + `"`
	}
	return "SELECT " + strings.Join(cols, ", ")
}

func TestEveryTypeHasATextAndAJSONForm(t *testing.T) {
	lake, _, _ := lakeOf(t)
	rows, err := csv.NewReader(strings.NewReader(ask(t, lake, "acme", valuesQuery(), lakehouse.FormatCSV))).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("CSV has %d lines, %v", len(rows), err)
	}
	var object map[string]json.RawMessage
	line := ask(t, lake, "acme", valuesQuery(), lakehouse.FormatNDJSON)
	if err := json.Unmarshal([]byte(line), &object); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	for i, v := range values {
		if rows[0][i] != v.name || rows[1][i] != v.text {
			t.Errorf("%s as CSV: got %q, want %q", v.name, rows[1][i], v.text)
		}
		if got := string(object[v.name]); got != v.json {
			t.Errorf("%s as JSON: got %s, want %s", v.name, got, v.json)
		}
	}
}

func TestAnswersAsJSONDescribeThemselves(t *testing.T) {
	lake, _, _ := lakeOf(t)
	got := ask(t, lake, "acme", "SELECT 1::BIGINT AS n, 1 AS N, 'x' AS \"a\"\"b\" UNION ALL SELECT 2, 2, NULL ORDER BY 1", lakehouse.FormatJSON)
	want := `{"columns":[{"name":"n","type":"BIGINT"},{"name":"N_1","type":"INTEGER"},{"name":"a\"b","type":"VARCHAR"}],"rows":[
{"n":1,"N_1":1,"a\"b":"x"},
{"n":2,"N_1":2,"a\"b":null}
],"rowCount":2,"truncated":false,"elapsedMs":0}
`
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got, want := ask(t, lake, "acme", "SELECT 1 AS n WHERE false", lakehouse.FormatJSON), "{\"columns\":[{\"name\":\"n\",\"type\":\"INTEGER\"}],\"rows\":[\n],\"rowCount\":0,\"truncated\":false,\"elapsedMs\":0}\n"; got != want {
		t.Errorf("no rows: got %s, want %s", got, want)
	}
}

func TestTheTableForPeopleIsAlignedAndHarmless(t *testing.T) {
	lake, _, _ := lakeOf(t)
	got := ask(t, lake, "acme", `SELECT * FROM (VALUES ('Übung', 5, TIMESTAMPTZ '2025-10-09 12:00:00.25Z'), ('日本', 12345, NULL), (chr(27) || '[2J' || chr(10), -1, NULL)) AS v(name, n, seen)`, lakehouse.FormatTable)
	want := ` name      │     n │ seen
───────────┼───────┼─────────────────────────
 Übung     │     5 │ 2025-10-09 12:00:00.25Z
 日本      │ 12345 │ ∅
 \x1b[2J\n │    -1 │ ∅
(3 rows, 0s)
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if strings.ContainsRune(got, 27) {
		t.Error("an escape character reached the terminal")
	}
}

func TestParquetAndArrowAnswersHoldTheRows(t *testing.T) {
	lake, log, _ := lakeOf(t)
	log.Append(laketest.Records("acme", 0, 5000)...)
	const sql = "SELECT log_seq, message_id, revenue, timestamp, properties FROM events ORDER BY log_seq"
	lines := strings.Split(strings.TrimSpace(ask(t, lake, "acme", sql, lakehouse.FormatNDJSON)), "\n")
	if len(lines) != 5000 {
		t.Fatalf("got %d lines, want 5000", len(lines))
	}
	pq, err := file.NewParquetReader(bytes.NewReader([]byte(ask(t, lake, "acme", sql, lakehouse.FormatParquet))))
	if err != nil {
		t.Fatal(err)
	}
	r, err := pqarrow.NewFileReader(pq, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	fromParquet, err := r.ReadTable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stream, err := ipc.NewReader(strings.NewReader(ask(t, lake, "acme", sql, lakehouse.FormatArrow)))
	if err != nil {
		t.Fatal(err)
	}
	var seqs []int64
	for stream.Next() {
		col := stream.RecordBatch().Column(0)
		for i := range col.Len() {
			seqs = append(seqs, col.(interface{ Value(int) int64 }).Value(i))
		}
	}
	if stream.Err() != nil || fromParquet.NumRows() != 5000 || len(seqs) != 5000 {
		t.Fatalf("parquet has %d rows, arrow %d (%v), want 5000", fromParquet.NumRows(), len(seqs), stream.Err())
	}
	for i, line := range lines {
		var v struct {
			LogSeq int64 `json:"log_seq"`
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil || v.LogSeq != seqs[i] {
			t.Fatalf("row %d: JSON has %d, arrow %d (%v)", i, v.LogSeq, seqs[i], err)
		}
	}
	var types []arrow.DataType
	for _, f := range stream.Schema().Fields() {
		types = append(types, f.Type)
	}
	want := []arrow.Type{arrow.INT64, arrow.EXTENSION, arrow.DECIMAL128, arrow.TIMESTAMP, arrow.STRING}
	for i, ty := range types {
		if ty.ID() != want[i] {
			t.Errorf("arrow column %d is %s, want %s", i, ty, want[i])
		}
	}
}

// TestGroupingOnAProjectionGivesTheRightColumns is the query that a registered
// Arrow view answers with wrong columns; here data reaches DuckDB as files.
func TestGroupingOnAProjectionGivesTheRightColumns(t *testing.T) {
	lake, log, w := lakeOf(t)
	want := map[string]int{}
	count := func(from, to int) {
		log.Append(laketest.Records("acme", from, to)...)
		for n := from; n < to; n++ {
			want[laketest.Event("acme", n).Country]++
		}
	}
	count(0, 3000)
	flush(t, w)
	count(3000, 4000)
	got := map[string]int{}
	for line := range strings.Lines(ask(t, lake, "acme", "SELECT country, count(*) AS n FROM events WHERE log_seq > 0 GROUP BY country", lakehouse.FormatNDJSON)) {
		var v struct {
			Country string `json:"country"`
			N       int    `json:"n"`
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		got[v.Country] = v.N
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestAParquetFileThatLacksRowsSaysSo as Arrow streams do.
func TestAParquetFileThatLacksRowsSaysSo(t *testing.T) {
	lake, _, _ := lakeOf(t)
	for limit, want := range map[int64]bool{3: false, 2: true} {
		rows, err := lake.Query(t.Context(), "acme", "SELECT unnest([1, 2, 3]) AS n", lakehouse.QueryOptions{MaxRows: limit})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := rows.Write(t.Context(), &out, lakehouse.FormatParquet); err != nil {
			t.Fatal(err)
		}
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
		f, err := file.NewParquetReader(bytes.NewReader(out.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		said := f.MetaData().KeyValueMetadata().FindValue(lakehouse.TruncatedKey)
		if got := said != nil && *said == "true"; got != want || f.NumRows() != limit {
			t.Errorf("%d of 3 rows: got %d, said to be cut %v, want %v", limit, f.NumRows(), got, want)
		}
	}
}
