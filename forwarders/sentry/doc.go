// Package sentry sends errors and messages to Sentry, one envelope each.
//
// [Kind] is the registry's entry. Payloads are sentry-go's Event; the sending
// is ours, because that library neither says what became of an event nor leaves
// its platform alone. The event id is the message id without dashes, the same
// on every try: Sentry keeps the first of two with the same id.
//
// X-Sentry-Rate-Limits is read on every answer and kept per project; while a
// limit holds nothing is sent and items are temporary until it ends, so the
// router holds or parks them instead of losing them.
//
// A session that begins and names its release is sent as one, so that Sentry
// can count the release's sessions; a rate limit on sessions leaves errors
// alone. Page views are not sent on their own: they reach Sentry as the
// breadcrumbs of an error.
package sentry
