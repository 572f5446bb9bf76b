package collector

import (
	"context"
	"strconv"

	"github.com/valyala/fasthttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// spanKey is where a request keeps the context of its span.
type spanKey struct{}

// traced does next within a span, which belongs to the client's trace where a
// traceparent header names one. The span has the path, never the query: keys
// may be in it.
func (c *Collector) traced(ctx *fasthttp.RequestCtx, next func()) {
	if c.cfg.Tracer == nil {
		next()
		return
	}
	parent := propagation.TraceContext{}.Extract(context.Background(), carrier{&ctx.Request.Header})
	method, path := string(ctx.Method()), string(ctx.Path())
	sctx, span := c.cfg.Tracer.Start(parent, method+" "+c.spanPath(path), trace.WithSpanKind(trace.SpanKindServer))
	defer span.End()
	if !span.IsRecording() {
		next()
		return
	}
	ctx.SetUserValue(spanKey{}, sctx)
	next()
	status := ctx.Response.StatusCode()
	span.SetAttributes(attribute.String("http.request.method", method), attribute.String("url.path", path), attribute.Int("http.response.status_code", status))
	if status >= fasthttp.StatusInternalServerError {
		span.SetStatus(codes.Error, strconv.Itoa(status))
	}
}

// spanPath names the route: a name with ids in it would be one of too many.
func (c *Collector) spanPath(path string) string {
	if _, _, _, ok := inboundPath(path); ok {
		return "/~{tenant}/in/{provider}/{integration}"
	}
	return path
}

// spanned is the context of a request's span, or an empty one.
func spanned(ctx *fasthttp.RequestCtx) context.Context {
	if s, ok := ctx.UserValue(spanKey{}).(context.Context); ok {
		return s
	}
	return context.Background()
}

// span begins a span below the one of parent, where there is one; end ends it.
func (c *Collector) span(parent context.Context, name string, attrs ...attribute.KeyValue) (end func(error)) {
	if c.cfg.Tracer == nil || !trace.SpanFromContext(parent).IsRecording() {
		return func(error) {}
	}
	_, span := c.cfg.Tracer.Start(parent, name, trace.WithAttributes(attrs...))
	return func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}

// carrier reads a request's headers.
type carrier struct{ h *fasthttp.RequestHeader }

// Get implements propagation.TextMapCarrier.
func (c carrier) Get(key string) string { return string(c.h.Peek(key)) }

// Set implements propagation.TextMapCarrier; a request is only read.
func (c carrier) Set(string, string) {}

// Keys implements propagation.TextMapCarrier.
func (c carrier) Keys() []string { return nil }
