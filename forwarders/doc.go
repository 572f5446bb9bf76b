// Package forwarders takes the log's events to where each tenant wants them:
// Google Analytics 4, Sentry, PostHog.
//
// Two calls matter. [NewRouter] puts a router together and [Router.Run] runs
// it until its context is done:
//
//	router, err := forwarders.NewRouter(forwarders.Config{
//		Log: log, Parked: parked, Destinations: source,
//		Client: client, Registry: all.Registry(),
//	})
//	err = router.Run(ctx)
//
// # How it works
//
// One reader takes frames from the log in order, decides per event and
// destination whether it may go there (consent, bots, rules) and hands it to a
// lane. There is one lane per tenant and destination, made on demand and
// dropped when idle, each with its own bounded queue, pace, rate limit and
// breaker. A lane delivers batches through a [Destination] and decides from
// the type of each result alone:
//
//	nil                    delivered
//	*Skipped               the destination has no use for the event
//	*headlessly.Permanent  parked as dead, with the provider's answer
//	*headlessly.Unknown    retried where the provider deduplicates, else parked as unknown
//	anything else          a few retries in memory, then parked and retried on schedule
//
// A frame is committed when each of its events is delivered, skipped or parked
// for each destination. A full lane or an open breaker parks; it never makes
// the reader wait while the router is up to date.
//
// # Promises
//
//   - At least once: after a crash events may be sent again, always with the
//     same ids and timestamps, so that Sentry and PostHog drop the duplicate.
//     GA4 cannot; what may have reached it is parked as unknown and not sent
//     again unless the tenant asks for it.
//   - Conservation, in [Stat]: Accepted + Carried = Delivered + Skipped +
//     Pending + Parked + Dead + Unknown + Removed, at every moment.
//   - A destination that is dead, slow or throttled harms only its own lane.
//   - Credentials appear in no log line, error or parked reason.
//
// It does not enrich events, keep credentials or decide who may connect what.
package forwarders
