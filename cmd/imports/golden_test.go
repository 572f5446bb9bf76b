package imports_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/headlessly/headlessly/cmd/imports"
)

// files are exports as their programs write them.
var files = []struct {
	file       string
	opts       imports.Options
	good, bad  int
	badOnLines []int64
}{
	{"native.ndjson", imports.Options{}, 3, 1, []int64{5}},
	{"segment.ndjson", imports.Options{From: imports.FromSegment}, 2, 2, []int64{3, 4}},
	{"rudderstack.ndjson", imports.Options{From: imports.FromRudderStack}, 1, 0, nil},
	{"snowplow.tsv", imports.Options{From: imports.FromSnowplow}, 4, 1, []int64{5}},
	{"posthog.jsonl", imports.Options{From: imports.FromPostHog}, 4, 1, []int64{5}},
	{"orders.csv", imports.Options{
		Map: []string{"buyer=userId", "paid_at=timestamp", "total=properties.revenue", "order_id=messageId", "note=context.shop.note"},
		Set: []string{"event=Order Completed", "properties.currency=EUR"},
	}, 3, 2, []int64{5, 6}},
}

// read gives a file's events and the lines of its bad rows.
func read(t testing.TB, path string, opts imports.Options) (events [][]byte, bad []int64) {
	t.Helper()
	s, err := imports.Open(t.Context(), path, nil, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for {
		row, err := s.Next()
		if errors.Is(err, io.EOF) {
			return events, bad
		}
		if err != nil {
			t.Fatal(err)
		}
		if row.Fault != nil {
			bad = append(bad, row.Line)
			continue
		}
		raw, err := json.Marshal(row.Event)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, raw)
	}
}

func TestExportsBecomeEvents(t *testing.T) {
	for _, c := range files {
		t.Run(c.file, func(t *testing.T) {
			events, bad := read(t, filepath.Join("testdata", c.file), c.opts)
			if len(events) != c.good || fmt.Sprint(bad) != fmt.Sprint(c.badOnLines) {
				t.Errorf("got %d events and bad lines %v, want %d and %v", len(events), bad, c.good, c.badOnLines)
			}
			got := append(bytes.Join(events, []byte("\n")), '\n')
			golden := filepath.Join("testdata", c.file+".golden")
			if os.Getenv("UPDATE") != "" {
				if err := os.WriteFile(golden, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}
