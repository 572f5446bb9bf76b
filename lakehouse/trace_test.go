package lakehouse_test

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

func TestCommitsAndQueriesAreSpans(t *testing.T) {
	kept := tracetest.NewInMemoryExporter()
	traces := sdktrace.NewTracerProvider(sdktrace.WithSyncer(kept))
	lake := openLake(t, t.TempDir(), func(c *lakehouse.Config) {
		c.Tracer = traces.Tracer("test")
		c.Worker = []string{"/nonexistent"}
	})
	log := laketest.NewLog()
	w, _ := startWriter(t, lake, log)
	log.Append(laketest.Records("acme", 0, 7)...)
	flush(t, w)
	spans := kept.GetSpans()
	if len(spans) != 1 || spans[0].Name != "lakehouse commit" || spans[0].Status.Code == codes.Error {
		t.Fatalf("a commit made the spans %v, want one", spans)
	}
	attrs := attribute.NewSet(spans[0].Attributes...)
	for key, want := range map[attribute.Key]string{"headlessly.table": "events", "headlessly.records": "7", "headlessly.log_frames": "1-1"} {
		if got, _ := attrs.Value(key); got.String() != want {
			t.Errorf("%s is %q, want %q", key, got.String(), want)
		}
	}

	const canary = "a_column_of_a_user"
	for _, c := range []struct{ tenant, why string }{{"Not A Tenant", lakehouse.CodeInvalid}, {"acme", "failed"}} {
		kept.Reset()
		if rows, err := lake.Query(t.Context(), c.tenant, "select "+canary+" from events", lakehouse.QueryOptions{}); err == nil {
			_ = rows.Close()
			t.Fatal("a query went through without a worker")
		}
		spans := kept.GetSpans()
		if len(spans) != 1 || spans[0].Name != "lakehouse query" || spans[0].Status.Code != codes.Error || spans[0].Status.Description != c.why {
			t.Errorf("a query of %q that fails made the spans %v, want one that says %q", c.tenant, spans, c.why)
			continue
		}
		for _, a := range spans[0].Attributes {
			if strings.Contains(a.Value.String(), canary) {
				t.Errorf("%s has the query's text", a.Key)
			}
		}
	}
}
