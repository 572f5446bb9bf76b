package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/cmd/config"
	"github.com/headlessly/headlessly/forwarders"
)

const scope = "github.com/headlessly/headlessly"

// faultPause is how often a failing export is logged.
const faultPause = time.Minute

// Telemetry is what has been started. A nil Telemetry is one that is off.
type Telemetry struct {
	traces  *sdktrace.TracerProvider
	metrics *metric.MeterProvider
	tracer  trace.Tracer
	tenants bool
}

// Start begins to export what write tells, in Prometheus' text format, and the
// spans of the tracer. It gives nil where the configuration names no endpoint.
// Stop it.
func Start(ctx context.Context, c config.Telemetry, tenants bool, write func(io.Writer), clock headlessly.Clock, logger *slog.Logger) (*Telemetry, error) {
	if c.Endpoint == "" {
		return nil, nil //nolint:nilnil // off is no fault
	}
	base := strings.TrimSuffix(c.Endpoint, "/")
	headers := make(map[string]string, len(c.Headers))
	for k, v := range c.Headers {
		headers[k] = v.Reveal()
	}
	version := "devel"
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" {
		version = b.Main.Version
	}
	res := resource.NewSchemaless(attribute.String("service.name", c.Service), attribute.String("service.version", version))
	spans, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(base+"/v1/traces"), otlptracehttp.WithHeaders(headers))
	if err != nil {
		return nil, fmt.Errorf("export traces: %w", err)
	}
	share := sdktrace.TraceIDRatioBased(c.Sample)
	t := &Telemetry{tenants: tenants, traces: sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(spans), sdktrace.WithResource(res),
		sdktrace.WithSampler(sdktrace.ParentBased(share, sdktrace.WithRemoteParentSampled(share))),
	)}
	t.tracer = t.traces.Tracer(scope)
	if c.MetricsInterval > 0 {
		numbers, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(base+"/v1/metrics"), otlpmetrichttp.WithHeaders(headers))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("export metrics: %w", err), t.Stop(ctx))
		}
		p := &producer{write: write, clock: clock, start: clock()}
		t.metrics = metric.NewMeterProvider(metric.WithResource(res),
			metric.WithReader(metric.NewPeriodicReader(numbers, metric.WithInterval(c.MetricsInterval), metric.WithProducer(p))))
	}
	otel.SetErrorHandler(&faults{clock: clock, logger: logger})
	return t, nil
}

// Stop exports what is left. It ends with ctx at the latest.
func (t *Telemetry) Stop(ctx context.Context) error {
	if t == nil {
		return nil
	}
	err := t.traces.Shutdown(ctx)
	if t.metrics != nil {
		err = errors.Join(err, t.metrics.Shutdown(ctx))
	}
	if err != nil {
		return fmt.Errorf("export the last telemetry: %w", err)
	}
	return nil
}

// Tracer makes spans, nil where telemetry is off.
func (t *Telemetry) Tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.tracer
}

// Handler gives each request of h a span.
func (t *Telemetry) Handler(h http.Handler) http.Handler {
	if t == nil {
		return h
	}
	return otelhttp.NewHandler(h, "control", otelhttp.WithTracerProvider(t.traces), otelhttp.WithPropagators(propagation.TraceContext{}),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.Method + " control" }))
}

// Attempts makes a span of each attempt to deliver an event.
func (t *Telemetry) Attempts(list []forwarders.Attempt) {
	if t == nil {
		return
	}
	for _, a := range list {
		_, span := t.tracer.Start(context.Background(), "deliver "+a.Destination, trace.WithSpanKind(trace.SpanKindProducer), trace.WithTimestamp(a.At.Add(-a.Took)))
		if span.IsRecording() {
			span.SetAttributes(
				attribute.String("headlessly.message_id", a.MessageID), attribute.Int64("headlessly.log_seq", a.LogSeq),
				attribute.Int("headlessly.try", a.Try), attribute.String("headlessly.outcome", a.Outcome), attribute.Int("http.response.status_code", a.Status),
			)
			if t.tenants {
				span.SetAttributes(attribute.String("headlessly.tenant", a.Tenant))
			}
			if a.Error != "" {
				span.SetStatus(codes.Error, a.Outcome)
			}
		}
		span.End(trace.WithTimestamp(a.At))
	}
}

// faults logs why nothing can be exported, now and then.
type faults struct {
	clock  headlessly.Clock
	logger *slog.Logger

	mu   sync.Mutex
	last time.Time
}

// Handle implements otel.ErrorHandler.
func (f *faults) Handle(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.clock(); now.Sub(f.last) > faultPause {
		f.last = now
		f.logger.Warn("telemetry.export_failed", slog.Any("error", err))
	}
}
