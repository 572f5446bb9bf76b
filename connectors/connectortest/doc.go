// Package connectortest is the conformance suite of connectors, and a bench to
// test them on: a graph over a JetStream of its own, a store, and the lifecycle
// over both, with a clock that tests set.
package connectortest
