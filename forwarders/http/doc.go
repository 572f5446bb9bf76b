// Package http sends events to any HTTP endpoint: the tenant's own service, a
// serverless function, a tool without a destination of its own.
//
// [Kind] is the registry's entry. A request holds one event, or a JSON array of
// several. URL, headers and body may hold placeholders, {{userId}} or
// {{properties.order_id}}: in the body they become JSON (so "{{" needs no quotes
// around it), in the URL they are escaped, in headers they are plain text.
// {{event}} is the event's name, {{.}} the whole event in the native format.
//
// Every request carries Idempotency-Key, the same on every try, by which the
// receiver can drop repeats; an answer that is lost is tried again. With a
// signing secret, webhook-id, webhook-timestamp and webhook-signature follow
// the Standard Webhooks scheme.
package http
