// Package revenue computes the financial metrics from the Billing entities: mrr,
// arr, arpu, ltv, churn, net revenue retention, and what moved mrr, for any past
// instant.
//
//	report, err := revenue.At(ctx, scope, revenue.Query{At: at, From: at.AddDate(0, -1, 0)})
//
// # What counts
//
// mrr sums the items of subscriptions that are Active or PastDue, normalised to
// a month: a year is 12 months, a week 12/52 of one, a day 12/365. Discounts
// that come again (coupons of duration forever or repeating, while they last)
// are taken off, those for one invoice are not; tax is never in it. A trial, a
// pause and what is Incomplete, Unpaid or Cancelled count nothing, and neither
// do prices by usage, whose amount nobody knows before. Prorations and refunds
// are corrections of what was paid, and change no rate. A tiered price counts
// what its tiers ask for the quantity.
//
// Amounts are exact fractions until they are shown: then each is rounded to the
// minor unit, half away from zero. Currencies stand apart. Subscriptions of
// Stripe's test mode are left out unless asked for.
//
// # The past
//
// The state at an instant is the graph's as of then. Of a subscription that the
// graph did not know yet, the first state that it knew counts from its start
// (startedAt, or trialEnd) to its end. When the graph learned of an end late,
// the end counts from when it was.
//
// # Rates
//
// A customer is lost who had mrr at the start of the period and none at its end.
// churnRate is lost customers / customers at the start; revenueChurnRate the mrr
// of losses and contractions / mrr at the start; nrr the mrr now of those who
// were there at the start / mrr at the start; ltv arpu × gross margin /
// churnRate. What has nothing to divide by is left out.
package revenue
