// Package enrich completes an event at the edge: clock skew, IP truncation,
// user agent, campaign, click ids and channel. It makes no network call and
// keeps no state but a bounded cache of parsed user agents.
//
// Make one [Enricher] with [New] and call [Enricher.Apply] for each event. The
// stages run in the order of the events specification; each fills only columns
// that the client left empty. The IP address is truncated before the event
// goes anywhere unless the tenant keeps it.
package enrich
