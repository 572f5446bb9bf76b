//go:build !linux

package eventlog_test

import "errors"

// installGate needs Linux; the tests that use it are built there only.
func installGate() error { return errors.New("needs Linux") }
