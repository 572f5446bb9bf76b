// Package imports reads events out of files of other programs: NDJSON, CSV,
// TSV and Parquet, as Segment, RudderStack, Snowplow and PostHog export them or
// with columns that a mapping names, and sends them to a gateway.
//
// The calls to know:
//
//   - [Open] opens a file and [Source.Next] gives its rows as native events.
//   - [Run] sends them, a chunk at a time, through a [Gateway].
//
// # What it promises
//
// A row is counted once: taken, known before, or bad. Events go in by the
// gateway's public door, the log, as all others do; a chunk that was cut off is
// sent again, and what is in the tables or in the log already is not stored a
// second time, because every event has an id: the source's own, or one that is
// made from the row's content. After each chunk a [State] says where the file
// stands, so that a killed import goes on.
//
// Bad rows are written to a file of their own as they came, with their line
// and what is wrong with them.
//
// # What it does not do
//
// It validates no more than it must to convert: the gateway judges every event.
package imports
