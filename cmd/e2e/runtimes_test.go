package e2e_test

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// runtimes run the SDK's packages beside Node.
var runtimes = []struct { //nolint:gochecknoglobals // a constant table
	name string
	args []string
}{
	// Nothing is allowed but what a client needs: Deno asks for the rest.
	{"deno", []string{"run", "--quiet", "--no-prompt", "--node-modules-dir=manual", "--allow-net=127.0.0.1", "--allow-env", "--allow-read=."}},
	{"bun", []string{"run"}},
}

// in makes a runtime run what Node would run.
func in(t testing.TB, runtime string, args []string, node *exec.Cmd) *exec.Cmd {
	t.Helper()
	binary, err := filepath.Abs(filepath.Join("../../jsclient/test/runtimes/node_modules/.bin", runtime))
	if err != nil {
		t.Fatal(err)
	}
	file := node.Args[len(node.Args)-1]
	const project = `{"type":"module","dependencies":{"@headlessly/sdk":"*","@headlessly/crm":"*"}}`
	if err := os.WriteFile(filepath.Join(node.Dir, "package.json"), []byte(project), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, binary, append(args[:len(args):len(args)], filepath.Base(file))...)
	cmd.Dir, cmd.WaitDelay = node.Dir, node.WaitDelay
	cmd.Env = append(node.Env, "HOME="+t.TempDir(), "DENO_NO_UPDATE_CHECK=1")
	return cmd
}

func TestTheSDKRunsUnderDenoAndBun(t *testing.T) {
	for _, r := range runtimes {
		t.Run(r.name, func(t *testing.T) {
			g := newGateway(t, "")
			out, err := in(t, r.name, r.args, script(t, g, "calls.mts")).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "all as promised") {
				t.Errorf("calls: got %v\n%s", err, out)
			}
			h := startHooked(t, in(t, r.name, r.args, script(t, g, "hooks.mts")))
			if out := g.run(t, "Contact.create", "--name", "Grace"); !strings.Contains(out, `"source": "hooked"`) {
				t.Errorf("a before hook's change is missing: %s", out)
			}
			if out, err := g.try("Contact.create", "--name", "Mallory"); err == nil || !strings.Contains(out, "Mallory is not welcome") {
				t.Errorf("got %v %s, want the hook's veto", err, out)
			}
			closeDeal(t, g, "first")
			h.waitFor(t, "closed first Deal.Closed")
			if _, err := io.WriteString(h.in, "end\n"); err != nil {
				t.Fatal(err)
			}
			if err := h.in.Close(); err != nil { // an open input keeps a program alive as well
				t.Fatal(err)
			}
			if err := h.cmd.Wait(); err != nil {
				t.Errorf("the program ended with %v, want 0", err)
			}
		})
	}
}

// nodeOnly are what a module cannot use under Deno, Bun and in a page alike.
var nodeOnly = regexp.MustCompile(`\b(require\(|__dirname|__filename|process\.(?:env|argv|on|nextTick|std\w+)|Buffer\b|setImmediate)|from '(?:node:|fs|path|os|crypto|http)`)

func TestTheSDKUsesOnlyWhatEveryRuntimeHas(t *testing.T) {
	if out, err := packages(); err != nil {
		t.Fatalf("build the packages: %v\n%s", err, out)
	}
	files, err := filepath.Glob("../../jsclient/packages/*/dist/esm/*.js")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, file := range files {
		if strings.Contains(file, "packages/cli/") { // a program for Node
			continue
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		read++
		for n, line := range strings.Split(string(raw), "\n") {
			code, _, _ := strings.Cut(line, "//")
			if strings.HasPrefix(strings.TrimSpace(code), "*") {
				continue // a comment
			}
			if what := nodeOnly.FindString(code); what != "" {
				t.Errorf("%s:%d uses %s", file, n+1, what)
			}
		}
	}
	if read < 10 {
		t.Errorf("%d modules were read", read)
	}
}
