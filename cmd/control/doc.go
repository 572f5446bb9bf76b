// Package control is the control plane: REST and SQL over net/http, on a
// listener of its own that is bound to loopback unless the operator says
// otherwise.
//
// [New] gives an http.Handler. Every path below /~{tenant}/ wants a secret key
// of that tenant or an admin key. Errors have the bodies of the entities
// specification: a code, a message that says what to do, and the field.
package control
