//go:build openbsd

package sqlworker

import "syscall"

const rlimitAS = syscall.RLIMIT_DATA
