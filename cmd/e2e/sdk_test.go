package e2e_test

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// packages builds the TypeScript packages once.
var packages = sync.OnceValues(func() (string, error) {
	root, err := filepath.Abs("../../jsclient")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("node", "packages/build.mjs")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	return string(out), err
})

// environment is what a client's program finds in its environment.
func (g *gateway) environment(t testing.TB) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(g.dir, "credentials.json"))
	if err != nil {
		t.Fatal(err)
	}
	var c struct{ URL, Tenant, SecretKey string }
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	return append(os.Environ(), "HEADLESSLY_URL="+c.URL, "HEADLESSLY_TENANT="+c.Tenant, "HEADLESSLY_API_KEY="+c.SecretKey, "NO_COLOR=1",
		"XDG_CONFIG_HOME="+t.TempDir()) // what commands keep stays in the test
}

// script is a TypeScript program beside the packages, as users run theirs.
func script(t testing.TB, g *gateway, name string) *exec.Cmd {
	t.Helper()
	if out, err := packages(); err != nil {
		t.Fatalf("build the packages: %v\n%s", err, out)
	}
	raw, err := os.ReadFile(filepath.Join("testdata/sdk", name))
	if err != nil {
		t.Fatal(err)
	}
	return program(t, g, string(raw))
}

// program runs TypeScript where the packages are installed.
func program(t testing.TB, g *gateway, text string) *exec.Cmd {
	t.Helper()
	root, err := filepath.Abs("../../jsclient")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(root, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "program.mts")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "--import", "tsx", file) // not the tsx command: a kill would leave its child
	cmd.Dir, cmd.Env = dir, g.environment(t)
	cmd.WaitDelay = 5 * time.Second // a killed program's compiler service holds its output open
	return cmd
}

func TestTheTypeScriptPackagesCallEveryKindOfThing(t *testing.T) {
	g := newGateway(t, "")
	out, err := script(t, g, "calls.mts").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "all as promised") {
		t.Errorf("got %v\n%s", err, out)
	}
}

// hooked is a running program with hooks.
type hooked struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *output
}

func startHooked(t testing.TB, cmd *exec.Cmd) *hooked {
	t.Helper()
	h := &hooked{cmd: cmd, out: new(output)}
	h.cmd.Stdout, h.cmd.Stderr = h.out, h.out
	var err error
	if h.in, err = h.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the program with hooks printed:\n%s", h.out)
		}
		if h.cmd.ProcessState == nil {
			_ = h.cmd.Process.Kill()
			_ = h.cmd.Wait()
		}
	})
	h.waitFor(t, "ready")
	return h
}

func (h *hooked) waitFor(t testing.TB, line string) {
	t.Helper()
	wait(t, "the program says "+line, func() bool { return strings.Contains(h.out.String(), line) })
}

// closeDeal makes a deal and closes it.
func closeDeal(t testing.TB, g *gateway, name string) {
	t.Helper()
	var deal struct {
		ID string `json:"$id"`
	}
	if err := json.Unmarshal([]byte(g.run(t, "Deal.create", "--name", name)), &deal); err != nil {
		t.Fatal(err)
	}
	g.run(t, "Deal.close", deal.ID)
}

// through is up to which event a program's after hook has taken them.
func (g *gateway) through(t testing.TB, hook string) int {
	t.Helper()
	list, _ := g.rest(t, g.credentials(t).SecretKey, "GET", "/~default/hooks", "", 200).object["results"].([]any)
	for _, one := range list {
		if h, _ := one.(map[string]any); h["hook"] == hook {
			n, _ := h["through"].(float64)
			return int(n)
		}
	}
	return 0
}

// lastEvent is the sequence of the newest event of a name.
func (g *gateway) lastEvent(t testing.TB, name string) (seq int) {
	t.Helper()
	list, _ := g.rest(t, g.credentials(t).SecretKey, "GET", "/~default/events?limit=1000", "", 200).object["results"].([]any)
	for _, one := range list {
		if e, _ := one.(map[string]any); e["type"] == name {
			n, _ := e["seq"].(float64)
			seq = int(n)
		}
	}
	if seq == 0 {
		t.Fatalf("there is no event %s", name)
	}
	return seq
}

func TestHooksOfAProgramSeeWhatIsDoneElsewhereAndSurviveARestart(t *testing.T) {
	g := newGateway(t, "")
	h := startHooked(t, script(t, g, "hooks.mts"))

	out := g.run(t, "Contact.create", "--name", "Ada", "--organization", "acme")
	if !strings.Contains(out, `"source": "hooked"`) {
		t.Errorf("a before hook's change is missing from what the command line got: %s", out)
	}
	var ada struct {
		ID string `json:"$id"`
	}
	if err := json.Unmarshal([]byte(out), &ada); err != nil {
		t.Fatal(err)
	}
	if out := g.run(t, "Contact.update", ada.ID, "--organization", "analytical engines"); !strings.Contains(out, `"organization": "ANALYTICAL ENGINES"`) {
		t.Errorf("what a before hook gives back is missing: %s", out)
	}
	if out, err := g.try("Contact.create", "--name", "Mallory"); err == nil || !strings.Contains(out, "Mallory is not welcome") {
		t.Errorf("got %v %s, want the hook's veto", err, out)
	}

	buyers := func(name string) int {
		return strings.Count(g.run(t, "Contact.find", "--name", "Buyer of "+name, "--json"), "Buyer of "+name)
	}
	closeDeal(t, g, "first")
	h.waitFor(t, "closed first Deal.Closed")
	wait(t, "the hook's own call was made", func() bool { return buyers("first") == 1 })

	// The program is gone once its word has arrived, and comes back: what
	// happened meanwhile reaches it.
	wait(t, "the first event is acknowledged", func() bool { return g.through(t, "Deal.closed") >= g.lastEvent(t, "Deal.Closed") })
	if err := h.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = h.cmd.Wait()
	closeDeal(t, g, "second")
	if out := g.run(t, "Contact.create", "--name", "Mallory"); strings.Contains(out, "hooked") {
		t.Errorf("a hook of a program that is gone still changes things: %s", out)
	}
	h = startHooked(t, script(t, g, "hooks.mts"))
	h.waitFor(t, "closed second Deal.Closed")
	wait(t, "the second hook's call was made", func() bool { return buyers("second") == 1 })
	if strings.Contains(h.out.String(), "closed first") {
		t.Error("an event that was acknowledged came again after the restart")
	}

	// The gateway restarts under the program.
	g.kill(t)
	g.start(t)
	wait(t, "the hooks are registered again", func() bool {
		out, err := g.try("Contact.create", "--name", "Mallory")
		return err != nil && strings.Contains(out, "not welcome")
	})
	closeDeal(t, g, "third")
	h.waitFor(t, "closed third Deal.Closed")

	if _, err := io.WriteString(h.in, "remove\n"); err != nil {
		t.Fatal(err)
	}
	h.waitFor(t, "removed")
	g.run(t, "Contact.create", "--name", "Mallory")
	if _, err := io.WriteString(h.in, "end\n"); err != nil {
		t.Fatal(err)
	}
	if err := h.in.Close(); err != nil { // an open input keeps a program alive as well
		t.Fatal(err)
	}
	if err := h.cmd.Wait(); err != nil {
		t.Errorf("the program ended with %v, want 0: nothing may hold it", err)
	}
}
