// Package e2e holds the end-to-end tests: the product as a user runs it (the
// built binary, a real browser, the command line), with strict stand-ins where
// the providers are. It has no code of its own.
package e2e
