// Package forwardertest holds what tests of forwarders share: in-memory
// versions of the log, the parked store and the source of destinations, sample
// events, and the conformance suite that every destination runs.
package forwardertest
