// Package telemetry sends traces and metrics to an OpenTelemetry collector,
// over OTLP/HTTP. It is off unless the configuration names an endpoint.
//
// Start gives the tracer that the parts are handed. The metrics are those of
// /metrics, read anew for each export, so both ways tell the same. What cannot
// be delivered is dropped and logged once a minute: telemetry never holds up an
// event.
package telemetry
