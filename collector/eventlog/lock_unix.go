//go:build unix

package eventlog

import (
	"os"
	"syscall"
)

const errWouldBlock = syscall.EWOULDBLOCK

// flock takes an exclusive lock that goes with the open file.
func flock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) //nolint:gosec // a descriptor fits
}
