package telemetry_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collectmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collecttraces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/cmd/config"
	"github.com/headlessly/headlessly/cmd/telemetry"
	"github.com/headlessly/headlessly/forwarders"
)

// receiver is an OTLP/HTTP collector.
type receiver struct {
	*httptest.Server

	mu      sync.Mutex
	token   string
	spans   []*tracepb.Span
	metrics map[string]*metricspb.Metric
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{metrics: map[string]*metricspb.Metric{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if err := r.take(q); err != nil {
			t.Error(err)
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) take(q *http.Request) error {
	var body io.Reader = q.Body
	if q.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			return err
		}
		body = z
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.token = q.Header.Get("Authorization")
	switch q.URL.Path {
	case "/v1/traces":
		var m collecttraces.ExportTraceServiceRequest
		if err := proto.Unmarshal(raw, &m); err != nil {
			return err
		}
		for _, res := range m.GetResourceSpans() {
			for _, s := range res.GetScopeSpans() {
				r.spans = append(r.spans, s.GetSpans()...)
			}
		}
	case "/v1/metrics":
		var m collectmetrics.ExportMetricsServiceRequest
		if err := proto.Unmarshal(raw, &m); err != nil {
			return err
		}
		for _, res := range m.GetResourceMetrics() {
			for _, s := range res.GetScopeMetrics() {
				for _, metric := range s.GetMetrics() {
					r.metrics[metric.GetName()] = metric
				}
			}
		}
	default:
		return fmt.Errorf("nothing is exported to %s", q.URL.Path)
	}
	return nil
}

func text(w io.Writer) {
	_, _ = io.WriteString(w, `# HELP a_total said
a_total 7
held{reader="router",note="a \"b\", c"} 2.5
held{reader="lake"} 3
broken{
`)
}

func start(t *testing.T, c config.Telemetry) *telemetry.Telemetry {
	t.Helper()
	tel, err := telemetry.Start(t.Context(), c, false, text, headlessly.SystemClock, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return tel
}

func TestTracesAndMetricsReachTheCollector(t *testing.T) {
	r := newReceiver(t)
	var token headlessly.Secret
	if err := token.UnmarshalText([]byte("Bearer s3cret")); err != nil {
		t.Fatal(err)
	}
	tel := start(t, config.Telemetry{Endpoint: r.URL + "/", Service: "gateway", Sample: 1, MetricsInterval: time.Hour, Headers: map[string]headlessly.Secret{"Authorization": token}})
	_, span := tel.Tracer().Start(t.Context(), "POST /e")
	span.End()
	tel.Attempts([]forwarders.Attempt{{Tenant: "acme", Destination: "ga4", MessageID: "m1", Outcome: forwarders.OutcomeDead, Error: "refused", At: time.Unix(100, 0), Took: time.Second}})
	h := httptest.NewServer(tel.Handler(http.NotFoundHandler()))
	defer h.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL+"/~acme/Contact?key=hidden", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := h.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if err := tel.Stop(t.Context()); err != nil { // sends what is left
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.token != "Bearer s3cret" {
		t.Errorf("the token that arrived is %q", r.token)
	}
	got := map[string]*tracepb.Span{}
	for _, s := range r.spans {
		got[s.GetName()] = s
		if strings.Contains(s.String(), "acme\"") && s.GetName() != "GET control" {
			t.Errorf("a tenant is named without being asked for: %s", s)
		}
	}
	for _, want := range []string{"POST /e", "deliver ga4", "GET control"} {
		if got[want] == nil {
			t.Errorf("no span %q in %v", want, r.spans)
		}
	}
	if s := got["deliver ga4"]; s != nil && (s.GetEndTimeUnixNano()-s.GetStartTimeUnixNano() != uint64(time.Second) || s.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR) {
		t.Errorf("the delivery's span is %v", s)
	}
	if sum := r.metrics["a_total"].GetSum(); !sum.GetIsMonotonic() || len(sum.GetDataPoints()) != 1 || sum.GetDataPoints()[0].GetAsDouble() != 7 {
		t.Errorf("a_total is %v", r.metrics["a_total"])
	}
	points := r.metrics["held"].GetGauge().GetDataPoints()
	if len(points) != 2 || points[0].GetAsDouble() != 2.5 || points[0].GetAttributes()[0].GetValue().GetStringValue() != `a "b", c` {
		t.Errorf("held is %v", points)
	}
}

func TestWithoutAnEndpointNothingIsSent(t *testing.T) {
	tel := start(t, config.Default().Telemetry)
	if tel != nil || tel.Tracer() != nil {
		t.Fatalf("got %v, want nothing", tel)
	}
	tel.Attempts([]forwarders.Attempt{{}})
	if h := http.NotFoundHandler(); fmt.Sprint(tel.Handler(h)) != fmt.Sprint(h) {
		t.Error("the handler is wrapped")
	}
	if err := tel.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestACollectorThatIsDownHoldsNobodyUp(t *testing.T) {
	r := newReceiver(t)
	r.Close()
	tel := start(t, config.Telemetry{Endpoint: r.URL, Sample: 1})
	for range 10_000 { // far more than wait to be sent
		_, span := tel.Tracer().Start(t.Context(), "x")
		span.End()
	}
}
