// Package eventlog is the durable log between the collector and everything that
// reads events: group-committed frames in NATS JetStream, inside this process or
// on a cluster.
//
// The two calls to know:
//
//	log, err := eventlog.Open(ctx, eventlog.DefaultConfig(dir))
//	_, err = log.Append(ctx, headlessly.Record{Kind: headlessly.RecordEvent, Data: event})
//
// Calls of Append that come while an fsync is under way share the next one: they
// join one frame, which is one JetStream message. [Log] is also the
// [headlessly.LogReader] of all projections and stores what destinations have
// [headlessly.Parked].
//
// # Promises
//
//   - When Append returns nil, the records are on disk and synced (embedded), or
//     held by a quorum (cluster). The server's SyncAlways is set here and read
//     back; Open fails without it.
//   - A failed write or fsync ends writing until a restart ([headlessly.ErrLogFailed]);
//     it is never retried. Reading goes on.
//   - A full disk or budget is answered before anything is taken
//     ([headlessly.ErrLogFull]), while a reserve still lets cursors and parked
//     items be written.
//   - A frame goes only when every reader has finished it.
//   - A missing or damaged frame is reported to each reader once it gets there,
//     counted, and passed over; damaged bytes are kept in the quarantine folder.
//   - Two processes cannot open one folder: the second gets a [*LockedError].
//
// # What it does not do
//
// It does not look into records, does not deduplicate, and has one shard so far.
// The removal of parked items is kept in memory too, so one process at a time
// should retry them, also on a cluster.
//
// The stored forms are described in FORMAT.md.
package eventlog
