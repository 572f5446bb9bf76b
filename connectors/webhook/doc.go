// Package webhook is the provider "webhook": it posts the events that match an
// endpoint's patterns to a URL of the tenant's, signed.
//
//	c := webhook.New(box, checkURL)
//
// Package outbox keeps what is to be delivered and when; this one says how a
// request looks. The body is
//
//	{"id":"evt_…","event":"Deal.Closed","timestamp":"…Z","tenant":"acme","data":{…},"previous":{…}}
//
// with the entity after the event, and the changed fields as they were before
// it (null for one that was not there). With a batch, the body is
// {"events":[…]} of such objects. Package signature says how requests are
// signed and verifies them.
//
// With the argument inbound, an integration also takes requests at its inbound
// URL: verified by Standard Webhooks, by an HMAC in a header of any name, or by
// a shared secret in a header, and turned into an Event, or into an entity of
// another type, by expressions over body, headers and query:
//
//	{"verify":"hmac","header":"X-Signature","event":{"type":"'order.' + body.status","userId":"body.customer.id","data":"body"}}
//
// A secret that is connected over another one rotates: for a day, or
// overlapHours, requests carry a signature for each.
package webhook
