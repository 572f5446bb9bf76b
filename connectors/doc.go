// Package connectors is the contract between the product and the services that
// a tenant connects: Stripe, GitHub, Slack, webhooks, analytics.
//
// A [Connector] speaks one provider's protocol and keeps nothing in memory
// between calls. What it works with comes in a [Link]: the integration, its
// credentials, the tenant's graph, a guarded HTTP client, a clock. Package
// lifecycle does the rest, once for all: it handles Integration.connect,
// disconnect and sync, seals credentials, runs syncs and resumes them, keeps
// inbound receipts until they are mapped, and turns errors into statuses.
//
// # What a connector implements
//
//   - [Connector]: say what you are, validate a credential, tear down.
//   - [Registrar]: register a webhook at the provider.
//   - [Syncer]: bring the provider's objects, page by page, from a cursor.
//   - [Receiver]: verify an inbound request and map it to changes.
//   - [Pusher]: carry a mutation of an entity to the provider.
//   - [Attacher]: work while the integration is connected (sinks of events).
//
// The last five are optional; what a connector can do is what it implements. A
// new one touches three files: its code, a test that calls connectortest, and
// one line in connectors/all.
//
// # How a change comes in
//
// Sync and Receiver give [Change] values: "the object that stripeCustomerId
// cus_1 names has these fields, as of this moment". Lifecycle finds the entity
// by that unique field and makes the mutation that is left to make, by the
// integration as the actor: a create, an update, or one of the type's verbs. A
// change that changes nothing makes no event, so duplicates and echoes of our
// own calls end there. The entity remembers in syncedAt as of when its state
// is; an older change is dropped, and where the order is unclear (the
// provider's clock is coarse) the object is read again ([Change.Again]).
//
// An entity's id is derived from the integration and the object's id, so that
// a reference can be set before the entity that it names is there, and two
// nodes never make two entities of one object.
//
// # How a change goes out
//
// Lifecycle is the handler of every verb that a connector lists in
// [Kind.Verbs]. The provider is called first, with an idempotency key made of
// [graph.Draft].EventID, which stays the same when the mutation is tried again;
// then the event is stored, with what the provider answered. A refusal stops
// the mutation: 422 when it names a field ([RefusedError]), 502 otherwise. What
// came from the provider is never carried back to it ([Own]).
//
// A crash between the call and the event leaves an object that only the
// provider knows. Its webhook, or the next sync, brings it. An object that
// carries the id of one of our events ([Change.Origin]) is given a while before
// that, so that the webhook does not overtake the mutation that caused it.
//
// # Errors
//
// Validate and the others return [CredentialError] for a refused credential,
// [RefusedError] for a refused mutation, *headlessly.FieldError for input at
// fault, *headlessly.Temporary for what is worth a retry,
// *headlessly.Permanent for what is not. Anything else counts as temporary.
package connectors
