// Package housekeeping does work that can wait while there is no crowd: merging
// the lakehouse's files takes a processor and hundreds of megabytes, which the
// collector needs while it refuses events for want of both.
//
//	housekeeping.Run(ctx, collector.Overflows, lake.Maintain)
//
// The work is stopped by its context when a crowd comes, and begun anew behind
// it or, if it stays, a quarter of an hour later.
package housekeeping
