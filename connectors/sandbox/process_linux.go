package sandbox

import (
	"os/exec"
	"syscall"
)

// alone has the kernel kill the worker should this process die first, and
// keeps a terminal's signals from it.
func alone(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
