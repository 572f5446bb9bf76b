// Package lifecycle keeps the integrations of every tenant: it is the handler
// of Integration.connect, disconnect and sync, runs syncs, maps inbound
// receipts and carries mutations to providers, whatever the connector.
//
//	c, err := lifecycle.Open(ctx, cfg) // registers the handlers with the graph
//	go c.Run(ctx)                      // syncs, attached connectors, receipts that wait
//
// The statuses of an integration are Connected, Syncing, Synced, and Errored
// when its credential is refused or its provider does not answer for long; then
// Recovered is recorded with the first sync that works. Disconnect forgets
// credential and cursor, and leaves the entities.
//
// # Promises
//
//   - A refused credential leaves nothing: no credential, no webhook, no sync.
//   - A sync that is killed goes on behind its last page, in any process.
//   - A receipt is done when its changes are in the graph, or when it is stored
//     to be tried again; for three days, then the sync has to bring it.
//   - Mutations by the integration itself are never carried to the provider.
//
// # What it does not do
//
// It elects no leader: one process at a time runs it over one control.db.
package lifecycle
