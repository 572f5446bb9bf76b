// Package stripetest is a stand-in for Stripe that has a state: what is created
// is there afterwards, in lists with pages, in events, and in signed webhooks.
// It refuses what Stripe refuses as far as the connector meets it: unknown keys,
// missing permissions, a second use of an idempotency key for something else,
// references to nothing, price changes, second refunds. Outages, rate limits,
// and webhooks that are lost, doubled or out of order are set by the test.
package stripetest
