package lakehouse

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the worker should this process die first.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
