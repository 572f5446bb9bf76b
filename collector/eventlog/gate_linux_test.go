package eventlog_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The gate lets a test answer a child's disk calls: the child installs a
// seccomp filter that hands each fsync and pwrite to the parent, which lets it
// go on, fails it, or holds it. It works for any code in the child, the
// embedded server's included.

// Shapes of <linux/seccomp.h>.
type seccompNotif struct {
	id    uint64
	pid   uint32
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

type seccompAnswer struct {
	id    uint64
	val   int64
	err   int32
	flags uint32
}

// gated are the system calls that pass through the gate.
var gated = []uint32{unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_PWRITE64}

// installGate runs in the child: it filters all threads and hands the listener
// to the parent through descriptor 3.
func installGate() error {
	var prog []unix.SockFilter
	prog = append(prog, unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}) // the call's number
	for _, nr := range gated {
		prog = append(prog,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: nr},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
	}
	prog = append(prog, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&fprog)))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return unix.Sendmsg(3, []byte{1}, unix.UnixRights(int(fd)), nil, 0)
}

// call is one system call that waits for an answer.
type call struct {
	nr   int32
	path string
}

func (c call) sync() bool  { return c.nr == unix.SYS_FSYNC || c.nr == unix.SYS_FDATASYNC }
func (c call) write() bool { return c.nr == unix.SYS_PWRITE64 }

// block says whether the call is on a block file of the stream.
func (c call) block(stream string) bool {
	return strings.Contains(c.path, "/"+stream+"/msgs/") && strings.HasSuffix(c.path, ".blk")
}

// answer says what becomes of a call.
type gateAnswer struct {
	errno syscall.Errno // 0 lets it go on
	hold  bool          // never answer
}

// gate answers a child's calls until the child ends.
type gate struct {
	fd     int
	decide func(call) gateAnswer
	done   sync.WaitGroup
}

// startGated starts a child behind a gate.
func startGated(t testing.TB, dir string, o childOptions, decide func(call) gateAnswer) (*child, *gate) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "gate")
	o.gate = theirs
	c := startChild(t, dir, o)
	_ = theirs.Close()
	defer func() { _ = unix.Close(pair[0]) }()
	rights := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(pair[0], make([]byte, 1), rights, 0)
	if err != nil || n == 0 {
		t.Fatalf("gate: no listener from the child (%v); it says %q. The kernel must offer seccomp user notification", err, c.next())
	}
	fd := int(binary.NativeEndian.Uint32(rights[unix.CmsgLen(0):]))
	g := &gate{fd: fd, decide: decide}
	g.done.Go(g.serve)
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill()
		g.done.Wait()
		_ = unix.Close(fd)
	})
	return c, g
}

func (g *gate) serve() {
	for {
		poll := []unix.PollFd{{Fd: int32(g.fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil || poll[0].Revents&unix.POLLIN == 0 {
			return // the child has ended
		}
		var n seccompNotif
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(g.fd), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n))); errno != 0 {
			continue // it was killed while it waited
		}
		path, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", n.pid, n.args[0]))
		a := g.decide(call{nr: n.nr, path: path})
		if a.hold {
			continue
		}
		answer := seccompAnswer{id: n.id, err: -int32(a.errno)}
		if a.errno == 0 {
			answer.flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
		}
		_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(g.fd), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&answer)))
	}
}
