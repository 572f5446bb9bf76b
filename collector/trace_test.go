package collector_test

import (
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/headlessly/headlessly/collector"
)

func TestARequestIsASpanOfItsClientsTrace(t *testing.T) {
	kept := tracetest.NewInMemoryExporter()
	traces := sdktrace.NewTracerProvider(sdktrace.WithSyncer(kept))
	g := start(t, withInbound, func(c *collector.Config) { c.Tracer = traces.Tracer("test") })
	for _, c := range []struct {
		name, path, body, span string
		status                 int
		append                 bool
	}{
		{"a batch", "/e?t=acme&key=" + publicKey, `{"event":"x"}`, "POST /e", 202, true},
		{"lines", "/e/ndjson?t=acme", "{\"event\":\"x\"}\n", "POST /e/ndjson", 202, true},
		{"a Segment call", "/v1/track?t=acme", `{"event":"x","userId":"u"}`, "POST /v1/track", 200, true},
		{"a refusal", "/e", `{"event":"x"}`, "POST /e", 400, false},
		{"a receipt", "/~acme/in/github/integration_1", `{}`, "POST /~{tenant}/in/{provider}/{integration}", 401, false},
	} {
		kept.Reset()
		g.post(t, c.path, []byte(c.body), "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		spans := map[string]tracetest.SpanStub{}
		for _, s := range kept.GetSpans() {
			spans[s.Name] = s
		}
		s, ok := spans[c.span]
		if !ok {
			t.Errorf("%s: no span %q in %v", c.name, c.span, kept.GetSpans())
			continue
		}
		if got := s.SpanContext.TraceID().String(); got != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("%s: the trace is %s, not the client's", c.name, got)
		}
		attrs := attribute.NewSet(s.Attributes...)
		if v, _ := attrs.Value("http.response.status_code"); v.AsInt64() != int64(c.status) {
			t.Errorf("%s: the status is %v, want %d", c.name, v.AsInt64(), c.status)
		}
		if v, _ := attrs.Value("url.path"); v.AsString() == "" || len(v.AsString()) > len(c.path) {
			t.Errorf("%s: the path is %q", c.name, v.AsString())
		}
		a, ok := spans["append"]
		if ok != c.append || ok && a.Parent.SpanID() != s.SpanContext.SpanID() {
			t.Errorf("%s: append is %v below %v", c.name, a, s.SpanContext)
		}
	}
}
