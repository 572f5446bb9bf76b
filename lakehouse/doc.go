// Package lakehouse projects the log into Apache Iceberg tables and answers
// SQL over them.
//
// The calls to know:
//
//   - [Open] opens (or makes) the catalog and the tables in a folder.
//   - [NewWriter] and [Writer.Run] follow the log and commit its records, each
//     exactly once.
//   - [Lake.Query] answers one SELECT, of one tenant or of all.
//
// # Tables
//
// "events" holds accepted events, "rejected" what could not be taken. Both are
// Iceberg v2, partitioned by tenant and day of receipt, sorted by tenant, event
// and time within each file. Column ids are fixed for ever; see columns.go.
//
// # Exactly once
//
// Every commit carries the range of log frames it covers, in the snapshot's
// summary (headlessly.log.<shard> = <first>-<last>) and, in the same atomic
// change, as a table property that no snapshot expiry can lose. A writer that
// starts, loses a race or gets no answer reads it back before it writes
// anything, and takes only the frames behind it. A commit is conditional on the
// table not having changed since it was read, so two writers of one shard can't
// both add the same frames. The log's cursor moves after the tables have
// committed.
//
// An event whose message id was written before (a client's retry) is dropped
// and counted. The memory for that is bounded to [Config.DedupeWindow] ids and
// refilled from the newest files at start; a copy that comes later than that
// many events is written again.
//
// # Files that nothing names
//
// A process that is killed between writing a file and committing it leaves the
// file. A deletion removes those of its tenant at once, also of other gateways on
// the same table, by beginning an era of the table (see era.go): who still means
// to commit such a file is refused, and writes anew. The rest go after
// [Maintenance].OrphanAge. All gateways on one table must be of a version that
// knows eras, or files of the older ones wait for that age.
//
// # Queries
//
// Iceberg plans the files of the tenant, a worker process (package sqlworker)
// runs DuckDB over those files alone, and the events not yet committed reach
// it as small Parquet files, so an event can be queried as soon as it was
// acknowledged. This package itself needs no cgo.
//
// # What it does not do
//
// It does not validate or enrich (the collector does) and never decides what
// is accepted. It keeps no event in memory beyond the open batch.
package lakehouse
