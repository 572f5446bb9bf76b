// Package enrich completes an event at the edge: clock skew, place, IP
// truncation, user agent, campaign, click ids, channel, session, redaction and
// consent. It makes no network call.
//
// Make one [Enricher] with [New] and call [Enricher.Apply] for each event. The
// stages run in the order of the events specification; each fills only columns
// that the client left empty. The whole address is used for the place and, for
// a visitor that stores nothing, for an id of the day; then it is truncated,
// before the event goes anywhere, unless the tenant keeps it.
//
// It keeps three bounded things in memory: parsed user agents, decoded geo
// records, and the visitors' latest sessions.
package enrich
