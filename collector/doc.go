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
// rejected record.
//
// # Overload
//
// What comes in beyond what can be served must cost next to nothing, or serving
// breaks down. So a crowd is turned away at the door, with 503 and Retry-After on
// a connection that stays open:
//
//   - Before a large body is read, before any is decompressed or parsed, the
//     door estimates how long the request would take: what is inside already,
//     by its bytes, over how fast that gets out. Beyond two seconds it is
//     refused. A tenant with little inside waits for its fair share only, so
//     one tenant's flood does not shut out the others.
//   - Inside, a few requests for each processor are decompressed, parsed and
//     encoded at once; the rest wait, holding nothing but the body as it was
//     sent. Who used least goes next, and whoever was begun is finished first.
//     A request that waited three seconds after all is dropped unparsed.
//   - While records wait for the disk, only they are held.
//   - All of that memory is counted, and bounded by [Config.MaxBodyMemory]; the
//     number of requests by [Config.MaxInFlight].
//   - A tenant's own rate and quota are answered 429, as is one that fills what
//     is left of the slots.
//
// An upload is the one case where the status comes before the end: its answer
// is a stream of lines, and each says up to which line everything is durable.
//
// Its own packages: dedupe (ids of a day), enrich (stages), jsontext (valid
// JSON from the parser), listen (TLS, PROXY protocol), tail (live view). The
// collector does not forward, store tables or manage anything: readers of the
// log do.
package collector
