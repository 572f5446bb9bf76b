// Package headlessly holds the domain types that every part of the gateway
// shares: events and their binary form, log records, error kinds, limits,
// tenants and secrets.
//
// It imports the standard library only. The collector, the forwarders, the
// lakehouse and the connectors import this package and never each other; only
// cmd wires them together.
//
// The two things to know first:
//
//   - [Event] is one fact as it stands after validation and enrichment. Its
//     binary form ([Event.AppendBinary], described by event.proto) is what the
//     log stores.
//   - [LogReader] is how a projection (forwarder, lakehouse, live tail) reads
//     that log, each from a cursor of its own.
//
// The package keeps no state, starts no goroutine and does no I/O.
package headlessly

// Version is the product's version.
const Version = "0.1.0"
