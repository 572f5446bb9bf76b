// Package dedupe remembers the message ids of a day, exactly, so that an event
// that a client sends again is stored once.
//
// The two calls to know are [Index.Begin], which starts a request's [Batch],
// and [Batch.Add], which says whether an id is new. A new id belongs to the
// batch until [Batch.Done] tells how its append to the log went: then it is
// remembered, or free again. A batch that holds an id which another request is
// appending just now learns that request's outcome from [Batch.Wait].
//
// # How it works
//
// New ids go into a set in memory. When the set is large or old it is written
// as a sorted file (a run) with a filter, and small runs are merged into larger
// ones, all in the background. A lookup asks the set, then each run's filter,
// and reads a run only when its filter says "perhaps". Memory is bounded: the
// set by [Config.MaxKeys], the filters by [Config.MaxFilterBytes]; a filter
// that does not fit is read from its file instead, which is slower and just as
// exact. Runs are deleted once their youngest id is older than [Config.Window],
// so an id is remembered for at least that long and at most a twelfth longer.
//
// The log is the truth. The index notes up to which frame the log's ids are in
// its files; [Open] reads the rest of the log again. A lost index is rebuilt
// from what the log still holds.
//
// # What it does not do
//
// Two gateways that share a log on a cluster do not see each other's ids until
// they restart.
package dedupe
