package stripetest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// MockKey is a key that stripe-mock takes.
const MockKey = "sk_test_123"

var listening = regexp.MustCompile(`Listening for HTTP at address: (127\.0\.0\.1:\d+)`)

// StartMock runs Stripe's own stripe-mock until the test ends, and gives its
// URL. Without both addresses it would listen on every interface. It keeps nothing, but it knows Stripe's OpenAPI description: it refuses a
// request that the description does not allow, and answers with Stripe's own
// examples. root is the folder of the repository.
func StartMock(t testing.TB, root string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "stripe-mock")
	build := exec.CommandContext(t.Context(), "go", "build", "-modfile=.ci/stripe-mock/go.mod", "-o", program, "github.com/stripe/stripe-mock") //nolint:gosec // a constant
	build.Dir, build.Stderr = root, os.Stderr
	if err := build.Run(); err != nil {
		t.Fatalf("build stripe-mock: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0") //nolint:gosec // just built
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return "http://" + m[1]
		}
	}
	t.Fatal(errors.Join(errors.New("stripe-mock did not start"), lines.Err()))
	return ""
}
