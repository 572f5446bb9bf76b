// Package egress makes the HTTP client with which the gateway talks to hosts
// that users name: a Sentry DSN, a PostHog host, a webhook's URL.
//
// Make one with [New] and use it for everything that leaves:
//
//	client := egress.New(egress.Config{})
//
// What it promises: the address that a name resolved to is checked when the
// connection is made, so a name cannot change its mind between check and use;
// loopback, private, link-local, CGNAT, multicast, metadata and documentation
// ranges are refused; only https, no credentials in URLs, no redirects, no
// proxy from the environment; answers are never decompressed and end after 64
// KiB; every request has a deadline. With AllowPrivate the operator opens
// loopback and private ranges, there also for http; link-local addresses, where
// clouds keep their metadata service, stay closed.
//
// What it does not do: retry, log, or limit rates.
package egress
