package e2e_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/headlessly/headlessly/forwarders/sinks"
)

// binary is the product, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "headlessly-e2e-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "headlessly")
	if out, err := exec.Command("go", "build", "-o", binary, "../headlessly").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// output collects what a process prints.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// gateway is the product running on a data folder of its own.
type gateway struct {
	dir, listen, control string
	args                 []string
	cmd                  *exec.Cmd
	out                  *output
	public               string // scheme of the public listener
	client               *http.Client
}

// freeAddr is an address that nobody listens on.
// It is below the ports that the system deals out, so that nobody else is given
// it until a child listens there, or while one that was killed is away.
func freeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 15_000+rand.IntN(15_000))
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// newGateway writes the configuration and starts the product.
func newGateway(t testing.TB, yaml string) *gateway {
	t.Helper()
	dir := t.TempDir()
	g := &gateway{dir: filepath.Join(dir, "data"), listen: freeAddr(t), control: freeAddr(t), out: new(output), public: "http", client: http.DefaultClient}
	if strings.Contains(yaml, "tls:") {
		g.public, g.client = "https", &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	}
	file := filepath.Join(dir, "headlessly.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	g.args = []string{"serve", "--config", file, "--data", g.dir, "--listen", g.listen, "--control", g.control}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the gateway printed:\n%s", g.out)
		}
		if g.cmd != nil && g.cmd.ProcessState == nil {
			_ = g.cmd.Process.Kill()
			_ = g.cmd.Wait()
		}
	})
	g.start(t)
	return g
}

func (g *gateway) start(t testing.TB) {
	t.Helper()
	g.cmd = exec.Command(binary, g.args...)
	g.cmd.Stdout, g.cmd.Stderr = g.out, g.out
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	wait(t, "the gateway is ready", func() bool {
		res, err := g.client.Get(g.public + "://" + g.listen + "/readyz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == 200
	})
}

// kill ends the process as a power cut would end it, but for the page cache.
func (g *gateway) kill(t testing.TB) {
	t.Helper()
	if err := g.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = g.cmd.Wait()
}

// stop asks for a drain and wants exit code 0.
func (g *gateway) stop(t testing.TB) {
	t.Helper()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := g.cmd.Wait(); err != nil {
		t.Fatalf("after SIGTERM: %v, want exit code 0\n%s", err, g.out)
	}
}

// post sends a body to the gateway.
func (g *gateway) post(t testing.TB, path, body string) (int, string) {
	t.Helper()
	res, err := g.client.Post(g.public+"://"+g.listen+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(raw)
}

// run executes a command of the product and gives what it printed.
func (g *gateway) run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := g.try(args...)
	if err != nil {
		t.Fatalf("headlessly %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (g *gateway) try(args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(binary, append(args, "--data", g.dir)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String() + stderr.String(), err
	}
	return stdout.String(), nil
}

// sql asks a query through the command line and decodes its rows.
func (g *gateway) sql(t testing.TB, rows any, query string, args ...string) {
	t.Helper()
	out := g.run(t, append([]string{"sql", "--format", "json", query}, args...)...)
	answer := struct {
		Rows any `json:"rows"`
	}{rows}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatalf("%s: %v in %.500q", query, err, out)
	}
}

// providers runs the strict stand-ins.
func providers(t testing.TB) (*sinks.Sinks, string) {
	t.Helper()
	s := sinks.New(sinks.Config{Keep: 1_000_000})
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return s, strings.TrimPrefix(srv.URL, "http://")
}

// poll waits until done, for at most as long as a slow machine needs.
func poll(done func() bool) bool {
	for until := time.Now().Add(60 * time.Second); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		if done() {
			return true
		}
	}
	return false
}

// wait polls and fails the test when the wait was in vain.
func wait(t testing.TB, what string, done func() bool) {
	t.Helper()
	if !poll(done) {
		t.Fatalf("waited in vain until %s", what)
	}
}

// browser finds Chromium.
func browser(t testing.TB) string {
	t.Helper()
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	t.Fatal("no Chromium found: run make deps, or set CHROMIUM")
	return ""
}

// site serves the pages under jsclient/testdata/site with the script tag of a
// gateway filled in.
func site(t testing.TB, script, tenant string) string {
	t.Helper()
	root, err := os.OpenRoot("../../jsclient/testdata/site")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		if name == "" {
			name = "index.html"
		}
		b, err := root.ReadFile(name)
		if err != nil && filepath.Ext(name) == "" { // the single-page app's own addresses
			b, err = root.ReadFile("app.html")
			name = "app.html"
		}
		if err != nil {
			http.NotFound(w, r)
			return
		}
		b = bytes.ReplaceAll(b, []byte("{{script}}"), []byte(script))
		b = bytes.ReplaceAll(b, []byte("{{tenant}}"), []byte(tenant))
		w.Header().Set("Cache-Control", "no-store")
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(b))
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// visitorLine is one line of the visitor's report.
type visitorLine struct {
	Captured any    `json:"captured"` // a message id; in the last line how many
	Type     string `json:"type"`
	Event    string `json:"event"`
	Acked    any    `json:"acked"` // likewise
	Dropped  string `json:"dropped"`
	Reason   string `json:"reason"`
	Round    int    `json:"round"`
	Done     bool   `json:"done"`
}

// visit lets a real browser browse the site and reports each line as it comes.
func visit(ctx context.Context, t testing.TB, base string, rounds int, each func(visitorLine)) {
	t.Helper()
	cmd := exec.CommandContext(ctx, "node", "e2e/visit.mjs", base, fmt.Sprint(rounds))
	cmd.Dir = "../../jsclient"
	cmd.Env = append(os.Environ(), "CHROMIUM="+browser(t))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(stdout)
	for {
		var l visitorLine
		if err := dec.Decode(&l); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Errorf("the visitor's report: %v", err)
			}
			break
		}
		each(l)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("visitor: %v\n%s", err, stderr.String())
	}
	if stderr.Len() > 0 {
		t.Logf("the visitor says: %s", stderr.String())
	}
}
