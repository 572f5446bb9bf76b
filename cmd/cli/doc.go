// Package cli is the headlessly command line.
//
// [Run] executes one command and gives its exit code: 0 for success, 1 for a
// fault while working, 2 for a wrong call. Everything it reads and writes is
// passed in, so that tests run it as a person would.
package cli
