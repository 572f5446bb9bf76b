// Package tee reads what other vendors' browser SDKs send to a tunnel: gtag's
// /g/collect, Sentry's envelopes, PostHog's capture, flags and asset requests.
//
//	kind, ok := tee.Match("/api/42/envelope/")
//	read, err := tee.Read(kind, &tee.Request{…})
//
// It finds out two things: whose request it is (every key in it, for a
// headlessly.TunnelClaim), and which events are in it, in the gateway's native
// JSON form. The events carry "integrations": {"All": false}, because the page
// sends them to their provider itself, through the tunnel: no destination gets
// them a second time.
//
// Session recordings, profiles, attachments, logs, spans, client reports and
// session updates are passed on and are no events; see the lists in sentry.go
// and posthog.go.
package tee
