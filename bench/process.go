package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a server under test.
type process struct {
	cmd  *exec.Cmd
	addr string
	out  *bytes.Buffer
}

// freeAddr gives a loopback address that nobody listens on.
func freeAddr(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close() //nolint:errcheck // only its address was wanted
	return l.Addr().String(), nil
}

// startGateway builds nothing: bin is the product as a user would run it.
func startGateway(ctx context.Context, bin, dir string, flags ...string) (*process, error) {
	return startGatewayOn(ctx, nil, bin, dir, flags...)
}

// startGatewayOn is startGateway on some of the machine's processors.
func startGatewayOn(ctx context.Context, on processors, bin, dir string, flags ...string) (*process, error) {
	listen, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	control, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	args := append([]string{"serve", "--data", filepath.Join(dir, "data"), "--listen", listen, "--control", control}, flags...)
	return start(ctx, exec.CommandContext(ctx, bin, args...), on, listen, "/readyz") //nolint:gosec // our own binary
}

// startEcho is the yardstick: a bare fasthttp server that sends the body back.
func startEcho(ctx context.Context) (*process, error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(ctx, exec.CommandContext(ctx, self, "echo", addr), nil, addr, "/") //nolint:gosec // this program itself
}

func start(ctx context.Context, cmd *exec.Cmd, on processors, addr, ready string) (*process, error) {
	p := &process{cmd: cmd, addr: addr, out: new(bytes.Buffer)}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	if err := on.run(cmd.Start); err != nil {
		return nil, err
	}
	for range 300 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+ready, http.NoBody)
		if err != nil {
			return nil, err
		}
		if res, err := new(http.Client).Do(req); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return p, nil
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil, errors.Join(fmt.Errorf("%s did not get ready: %s", cmd.Path, p.out), p.stop())
}

// memory gives the process's resident memory and its peak, in bytes.
func (p *process) memory() (now, peak int64) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(raw)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.ParseInt(f[1], 10, 64)
		switch f[0] {
		case "VmRSS:":
			now = n << 10
		case "VmHWM:":
			peak = n << 10
		}
	}
	return now, peak
}

// ticksPerSecond is the unit of processor time in /proc (USER_HZ), the same on
// every Linux.
const ticksPerSecond = 100

// cpu gives the processor time that the process has used. Unlike rates, it
// hardly depends on what else the machine does.
func (p *process) cpu() time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * time.Second / ticksPerSecond
}

// stop ends the process and waits for it.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && p.cmd.Args[1] == "echo" {
		return nil
	}
	return err
}
