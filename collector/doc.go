// Package collector is the public door: it serves the browser script and takes
// events over HTTP (fasthttp).
//
// Make one with [New] and run it with [Collector.Serve]; [Collector.Shutdown]
// drains it. Requests are decompressed within bounds, parsed, checked and
// enriched event by event, appended to the log and answered 202 only when the
// log says that they are durable. One bad event never costs its neighbours,
// and what cannot be parsed is kept in the log as a rejected record.
//
// The collector does not forward, store tables or manage anything: readers of
// the log do.
package collector
