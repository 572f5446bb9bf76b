// Package graph is the typed entity graph: entities with verbs, hooks, events
// and a history, for every tenant.
//
// [Open] it once over JetStream; a [Scope] is what one actor of one tenant may
// see and do:
//
//	store, err := graph.Open(ctx, graph.DefaultConfig(js, dir))
//	acme, err := store.Scope("acme", "apikey_…")
//	e, err := acme.Create(ctx, "Contact", map[string]any{"name": "Ada"})
//	page, err := acme.Find(ctx, graph.Query{Type: "Contact", Filter: map[string]any{"stage": "Lead"}})
//
// # How it works
//
// types.yaml declares every entity type; a user's file adds more. A mutation is
// validated, shown to before hooks ([Store.Before]) and to the verb's handler
// ([Store.Handle]), and published to the stream "graph": one message on the
// entity's own subject, which names the sequence that it expects there. That
// is a compare-and-set, also between processes. Unique values are reservations
// on subjects of their own, in the same atomic batch. What a type calls secret
// reaches hooks only, and is stored nowhere.
//
// SQLite holds a projection of the stream in Config.Dir. It answers all reads
// and can be deleted at any time while the graph is closed.
//
// # Promises
//
//   - When a mutation returns without an error it is in the log, synced as the
//     server is configured, and every read of this process shows it.
//   - An error of code "unavailable" means that the outcome may be unknown.
//   - Every process over one log comes to the same state, the same history and
//     the same answer for a past moment ([AsOf]).
//   - No mutation overwrites another that it has not seen. Those of one process
//     wait for each other; those of several are tried again after a conflict.
//   - An event's time never falls along the log, whatever the clocks do.
//   - A message that cannot be read is counted, logged and passed over.
//
// # What it does not do
//
// It does not authenticate, and a reference to an entity that is not there is
// taken unless Config.StrictReferences is set. It makes no check that the
// server of an external JetStream syncs its writes.
package graph
