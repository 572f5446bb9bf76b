// Package payload reads the parts of an event that destinations share: the
// JSON texts (properties, traits, context), the error stack, and ids that are
// derived from an event so that sending it again gives the same bytes.
//
// Everything here is lenient: what a client sent in a wrong type is left out,
// never an error, because the event was already accepted.
package payload
