package e2e_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collectmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collecttraces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// otlp is an OpenTelemetry collector that keeps the names of what it gets.
type otlp struct {
	mu             sync.Mutex
	spans, metrics map[string]bool
}

func (o *otlp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(raw)); err == nil {
			raw, err = io.ReadAll(z)
		}
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	var traces collecttraces.ExportTraceServiceRequest
	var metrics collectmetrics.ExportMetricsServiceRequest
	if r.URL.Path == "/v1/traces" {
		err = proto.Unmarshal(raw, &traces)
	} else {
		err = proto.Unmarshal(raw, &metrics)
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for _, res := range traces.GetResourceSpans() {
		for _, s := range res.GetScopeSpans() {
			for _, span := range s.GetSpans() {
				o.spans[span.GetName()] = true
			}
		}
	}
	for _, res := range metrics.GetResourceMetrics() {
		for _, s := range res.GetScopeMetrics() {
			for _, m := range s.GetMetrics() {
				o.metrics[m.GetName()] = true
			}
		}
	}
}

func TestTelemetryLeavesTheGatewayWhereItIsAskedFor(t *testing.T) {
	o := &otlp{spans: map[string]bool{}, metrics: map[string]bool{}}
	sink := httptest.NewServer(o)
	defer sink.Close()
	g := newGateway(t, "telemetry: {endpoint: '"+sink.URL+"', sample: 1, metricsInterval: 1s}")
	if status, body := g.post(t, "/e?t=default", `{"event":"x"}`); status != 202 {
		t.Fatalf("got %d %s", status, body)
	}
	has := func(of map[string]bool, name string) func() bool {
		return func() bool {
			o.mu.Lock()
			defer o.mu.Unlock()
			return of[name]
		}
	}
	wait(t, "the request's span", has(o.spans, "POST /e"))
	wait(t, "its append's", has(o.spans, "append"))
	wait(t, "a metric of the collector", has(o.metrics, "headlessly_events_accepted_total"))
	wait(t, "a metric of the log", has(o.metrics, "headlessly_log_frames_total"))
	g.stop(t)
}

// TestMetricsNameEachSeriesOnce: Prometheus refuses a page that does not.
func TestMetricsNameEachSeriesOnce(t *testing.T) {
	g := newGateway(t, "")
	g.post(t, "/e?t=default", `{"event":"x"}`)
	res, err := http.Get("http://" + g.listen + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		series := line[:strings.LastIndexByte(line, ' ')]
		if seen[series] {
			t.Errorf("%s is there twice", series)
		}
		seen[series] = true
	}
	if len(seen) < 20 {
		t.Errorf("only %d series:\n%s", len(seen), raw)
	}
}
