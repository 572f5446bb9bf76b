// Package hooks lets clients run hooks of the graph in their own processes,
// over a WebSocket. The protocol is connectors/graph/HOOKS.md.
//
//	s := hooks.New(hooks.Config{Store: store, Authenticate: auth})
//	s.WebSocket(w, r, "acme")          // GET /~acme/hooks/ws
//	s.REST(w, r, "acme", "")           // GET /~acme/hooks
//
// A before hook's client has a deadline; without an answer the mutation goes on
// or is refused, as the hook's registration says. An after hook with a name has
// a durable cursor: its events come at least once, in order per entity, also
// after a restart of either side. Everything is bound to the connection's tenant.
package hooks
