package laketest

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The account of [StartS3]'s store and its one bucket.
const (
	S3Key    = "lakekey"
	S3Secret = "lakesecret"
	S3Region = "us-east-1"
	S3Bucket = "lake"
)

// versitygw builds the object store, a module of its own so that what it needs
// is not what the product needs.
var versitygw = sync.OnceValues(func() (string, error) { //nolint:gochecknoglobals // built once
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "tool", "-modfile=.ci/versitygw/go.mod", "-n", "versitygw") //nolint:gosec,noctx // a constant; go test has its own deadline
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", errors.Join(err, errors.New(string(out)))
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1], nil
})

// StartS3 runs an object store (versitygw) over a folder with one bucket. The
// test's package must lie two folders below the module's.
func StartS3(t testing.TB) (endpoint string) {
	t.Helper()
	binary, err := versitygw()
	if err != nil {
		t.Fatalf("build versitygw: %v", err)
	}
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, S3Bucket), 0o700); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary, "--port", address, "--access", S3Key, "--secret", S3Secret, "--region", S3Region, "posix", root) //nolint:gosec // built above
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		_ = cmd.Wait() // killed
	})
	for {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err == nil {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			return "http://" + address
		}
		if t.Context().Err() != nil || cmd.ProcessState != nil {
			t.Fatal("versitygw does not answer")
		}
		time.Sleep(10 * time.Millisecond)
	}
}
