// Package stripe connects Stripe: Customer, Product, Price, Subscription,
// Invoice and Payment entities are the account's objects, both ways.
//
// Requests and answers are of one API version, that of stripe-go. What Stripe
// renders in another version (an endpoint that the user made, events of the
// account's default) is read anew in ours. So is what a webhook leaves out, such
// as the coupon behind a discount.
//
// The first sync lists every object, oldest type first, and then the events
// since it began. From then on webhooks bring changes at once, and each further
// sync reads the events since the last one it has: what webhooks lost is there.
// Stripe keeps events for 30 days; after a longer pause everything is listed
// again.
//
// A Stripe key is of one mode and one account. Connect a second one under
// another slug; each entity names its integration, and events of the other mode
// are passed over. With account, a platform's key works for one of its
// connected accounts.
//
// # What Stripe does not have
//
// Plan entities are ours. Price.delete, Payment.delete and Subscription.delete
// are refused: Stripe keeps these objects. A customer without an email address
// gets a placeholder that ends in .invalid, for Customer.email is required.
package stripe
