// Package outbox delivers what happens in the graph to endpoints outside: each
// matched event to each endpoint at least once, whatever is killed in between.
//
// [Open] it once, tell it the endpoints, and run it:
//
//	box, err := outbox.Open(ctx, outbox.Default(graphStore, dir))
//	err = box.Put(ctx, outbox.Endpoint{Tenant: "acme", ID: "integration_…", Events: []string{"Deal.*"}, Sender: s})
//	err = box.Run(ctx)
//
// # How it works
//
// One reader takes events from the graph in pages and writes a row for each
// event and endpoint that match, together with the endpoint's place, in one
// transaction. Each endpoint has a lane of its own that sends its due rows and
// writes what came of them. A failed delivery is tried again on the endpoint's
// schedule, with jitter, and then parked: it stays, the endpoint's health turns
// bad, the endpoint stays on. A replay sends parked deliveries again, in order.
//
// # Promises
//
//   - An event from behind an endpoint's beginning on is never left out: for
//     each endpoint, taken = pending + delivered + parked + expired, and [Box.Count]
//     recounts it from the rows.
//   - A delivery may happen twice after a crash or a lost answer. Its id is the
//     event's id, always.
//   - A slow or dead endpoint delays no other.
//   - An ordered endpoint gets no event before those before it are delivered or
//     parked.
//
// # What it does not do
//
// It does not build requests: that is the endpoint's [Sender]. It runs in one
// process of a fleet; its rows lie in that process's data folder.
package outbox
