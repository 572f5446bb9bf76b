//go:build !linux

package sandbox

import "os/exec"

// alone does nothing here: a worker whose parent died sees its input end.
func alone(*exec.Cmd) {}
