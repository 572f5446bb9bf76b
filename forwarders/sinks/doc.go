// Package sinks holds strict local stand-ins for Google Analytics 4, Sentry and
// PostHog, for tests and for anyone who wants to see what would be sent.
//
//	s := sinks.New(sinks.Config{})
//	server := httptest.NewServer(s) // or headlessly sinks --listen ADDR
//	...
//	for _, e := range s.Events(sinks.PostHog) { ... }
//
// Each stand-in answers as the provider does and refuses what the provider
// refuses. Google answers 2xx to everything, so its stand-in writes down what
// Google would have dropped or cut: [Sinks.Violations] must be empty in a test.
// Faults ([Sinks.Fail]) make a stand-in answer any status, drip, hang, or cut
// the connection. `/` is a page for people, `/_/received` is JSON.
//
// Routes: /mp/collect, /debug/mp/collect and /g/collect (Google),
// /api/{project}/envelope/ (Sentry), /batch/, /capture/, /e/, /i/v0/e/ and
// /i/v1/analytics/events (PostHog; also in the forms of posthog-js), with /flags/,
// /array/ and /static/ that posthog-js asks for, and /hook/… (anything, for
// generic HTTP destinations).
//
// Sinks keep a bounded number of events in memory and nothing on disk.
package sinks
