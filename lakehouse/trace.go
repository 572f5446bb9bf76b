package lakehouse

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// span begins a span, below the one of ctx where there is one; end ends it. No
// text of a query and no tenant is in it.
func (l *Lake) span(ctx context.Context, name string, attrs ...attribute.KeyValue) (_ context.Context, end func(error, ...attribute.KeyValue)) {
	if l.cfg.Tracer == nil {
		return ctx, func(error, ...attribute.KeyValue) {}
	}
	ctx, span := l.cfg.Tracer.Start(ctx, name, trace.WithAttributes(attrs...))
	return ctx, func(err error, attrs ...attribute.KeyValue) {
		span.SetAttributes(attrs...)
		if err != nil {
			span.SetStatus(codes.Error, outcome(err))
		}
		span.End()
	}
}

// outcome names an error without what a user wrote.
func outcome(err error) string {
	var q *QueryError
	switch {
	case errors.As(err, &q):
		return q.Code
	case errors.Is(err, context.Canceled):
		return "cancelled"
	}
	return "failed"
}
