// Package durable writes small files that survive a power cut: whole, as they
// were before or as they are now. Every part of the gateway keeps its own state
// with it.
package durable
