// Package tail lets people watch events as they become durable.
//
// The collector calls [Tap.Publish] after each append; a viewer calls
// [Tap.Subscribe] and reads [Subscription.C]. While nobody looks, publishing is
// one atomic load. A viewer who is slow loses events, and is told how many: the
// collector never waits for one. Nothing is remembered; what was before the
// subscription is in the log.
package tail
