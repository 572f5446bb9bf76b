// Package collector is the public door: it serves the browser script and takes
// events over HTTP (fasthttp).
//
// Make one with [New] and run it with [Collector.Serve]; [Collector.Shutdown]
// drains it. Ways in: the native batch (POST /e), the Segment HTTP API
// (/v1/batch, /v1/track, …), uploads of one event a line (POST /e/ndjson), a
// pixel (GET /e.gif) and providers' webhooks (POST /~{tenant}/in/…, with
// [Config.Inbound]).
//
// Requests are decompressed within bounds, parsed, checked, deduplicated (with
// [Config.Dedupe]) and enriched event by event, appended to the log and
// acknowledged only when the log says that they are durable. One bad event
// never costs its neighbours, and what cannot be parsed is kept in the log as a
// rejected record. A crowd is answered 429 or 503 with Retry-After from bounded
// memory; one tenant's flood leaves slots for the others.
//
// An upload is the one case where the status comes before the end: its answer
// is a stream of lines, and each says up to which line everything is durable.
//
// Its own packages: dedupe (ids of a day), enrich (stages), jsontext (valid
// JSON from the parser), listen (TLS, PROXY protocol), tail (live view). The
// collector does not forward, store tables or manage anything: readers of the
// log do.
package collector
