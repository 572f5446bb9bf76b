//go:build unix && !openbsd

package sqlworker

import "syscall"

const rlimitAS = syscall.RLIMIT_AS
