package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// block is one fenced block of a document.
type block struct {
	line     int
	language string
	text     string
}

var fence = regexp.MustCompile("^```([a-z]*)$")

// blocks reads a document's fenced blocks.
func blocks(t testing.TB, path string) []block {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []block
	var open *block
	n := 0
	for line := range strings.Lines(string(raw)) {
		n++
		bare := strings.TrimRight(line, "\r\n")
		switch m := fence.FindStringSubmatch(bare); {
		case open == nil && m != nil:
			if m[1] == "" {
				t.Errorf("%s:%d: the block names no language", path, n)
			}
			open = &block{line: n, language: m[1]}
		case open != nil && bare == "```":
			out = append(out, *open)
			open = nil
		case open != nil:
			open.text += line
		}
	}
	if open != nil {
		t.Errorf("%s:%d: the block has no end", path, open.line)
	}
	return out
}

// reader follows a document, block by block, as its reader does.
type reader struct {
	g   *gateway
	dir string
	env []string
	// local turns the addresses of the document into those of this run.
	local *strings.Replacer
}

// outputs are languages of blocks that show what a command prints, or what a
// provider sends.
var outputs = map[string]bool{"text": true, "json": true} //nolint:gochecknoglobals // a constant table

// do carries a block out.
func (r *reader) do(t testing.TB, b block) (string, error) {
	t.Helper()
	text := r.local.Replace(b.text)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	switch b.language {
	case "sh":
		return r.run(exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", text))
	case "sql":
		return r.run(exec.CommandContext(ctx, binary, "sql", text))
	case "ts":
		cmd := program(t, r.g, text)
		bounded := exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...)
		bounded.Dir = cmd.Dir
		return r.run(bounded)
	case "yaml":
		file := filepath.Join(r.dir, "headlessly.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return "", err
		}
		return r.run(exec.CommandContext(ctx, binary, "config", "check", file))
	case "python":
		cmd := exec.CommandContext(ctx, python(t), "-c", text)
		return r.run(cmd)
	case "html":
		return "", r.open(ctx, t, text)
	case "js": // in a page that has the script
		return "", r.open(ctx, t, `<script src="http://`+r.g.listen+`/v1" data-tenant="default"></script><script>addEventListener('load', () => {`+text+`})</script>`)
	}
	return "", fmt.Errorf("nobody knows how to run a block of language %q", b.language)
}

func (r *reader) run(cmd *exec.Cmd) (string, error) {
	if cmd.Dir == "" {
		cmd.Dir = r.dir
	}
	cmd.Env = r.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// open shows a page with the block in its head to a browser, and waits until
// an event of the page is in the table.
func (r *reader) open(ctx context.Context, t testing.TB, head string) error {
	t.Helper()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html><title>doc</title>"+head+"<h1>A page</h1>")
	}))
	defer page.Close()
	cmd := exec.CommandContext(ctx, browser(t), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(), "--virtual-time-budget=4000", "--dump-dom", page.URL)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("browser: %w\n%.2000s", err, out)
	}
	if !poll(func() bool {
		out, err := r.g.try("sql", "--format", "csv", "select count(*) as n from events where url like '"+page.URL+"%'")
		return err == nil && !strings.Contains(out, "n\n0")
	}) {
		return fmt.Errorf("no event of %s arrived", page.URL)
	}
	return nil
}

// python is the interpreter that the tests' packages are installed for.
func python(t testing.TB) string {
	t.Helper()
	for _, p := range []string{"../../.venv/bin/python", "../../.ci/venv/bin/python", "../../.cache/venv/bin/python"} {
		if abs, err := filepath.Abs(p); err == nil {
			if _, err := os.Stat(abs); err == nil {
				return abs
			}
		}
	}
	t.Fatal("no Python environment: run make deps")
	return ""
}

// follow runs every block of a document in order.
func follow(t *testing.T, r *reader, path string) {
	t.Helper()
	list := blocks(t, path)
	ran := 0
	for _, b := range list {
		if outputs[b.language] || aside(b) {
			continue
		}
		ran++
		if out, err := r.do(t, b); err != nil {
			t.Fatalf("%s:%d: %v\n%s\nprinted\n%s", path, b.line, err, b.text, out)
		}
	}
	if ran == 0 {
		t.Errorf("%s has no block that runs", path)
	}
}

// documents are the pages whose blocks run, each row with a gateway of its own
// that forwards to stand-ins.
var documents = map[string][]string{ //nolint:gochecknoglobals // a constant table
	"README":         {"README.md"},
	"paste a script": {"jsclient/README.md"},
	"connectors":     {"connectors/README.md"},
	"forwarders":     {"forwarders/README.md"},
	"lakehouse":      {"lakehouse/README.md", "lakehouse/WAREHOUSES.md", "collector/README.md"},
	"packages": {
		"jsclient/packages/sdk/README.md", "jsclient/packages/analytics/README.md", "jsclient/packages/billing/README.md", "jsclient/packages/crm/README.md",
		"jsclient/packages/marketing/README.md", "jsclient/packages/platform/README.md", "jsclient/packages/projects/README.md", "jsclient/packages/node/README.md", "jsclient/packages/cli/README.md",
	},
}

// apart are the blocks that no test follows as they stand, by how they begin,
// and why.
var apart = map[string]string{ //nolint:gochecknoglobals // a constant table
	"go run ./cmd/headlessly serve\n":        "the gateway of the test is this one",
	"go run ./cmd/headlessly serve --config": "likewise, with the file that the block before checks",
	"go run ./cmd/headlessly sinks":          "runs until it is stopped; TestADayOfTrafficIsStoredExactlyOnce uses these stand-ins",
	"go run ./cmd/headlessly tail":           "runs until it is stopped; forwarders/README.md has the rest",
	"posthog.init(":                          "TestVendorSDKsThroughTheTunnel runs the vendors' SDKs",
	"call() {":                               "its stream of events has no end; connectors/README.md has the rest",
	"make test":                              "runs this test",
}

func aside(b block) bool {
	for begin := range apart {
		if strings.HasPrefix(b.text, begin) {
			return true
		}
	}
	return false
}

func TestEveryBlockThatIsAsideIsInADocument(t *testing.T) {
	for begin, why := range apart {
		found := slices.ContainsFunc(blocks(t, "../../README.md"), func(b block) bool { return strings.HasPrefix(b.text, begin) })
		if !found || why == "" {
			t.Errorf("no block begins with %q, or nothing says why it is aside: %q", begin, why)
		}
	}
}

func TestEveryBlockOfTheDocumentsRuns(t *testing.T) {
	for name, docs := range documents {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			out := w.g.run(t, "Integration.connect", "--provider", "analytics", "--destinations", `{"posthog":{"apiKey":"phc_doc"}}`)
			if !strings.Contains(out, `"status": "Connected"`) {
				t.Fatalf("connect: %s", out)
			}
			r := w.reader(t)
			for _, doc := range docs {
				follow(t, r, filepath.Join("../..", doc))
			}
		})
	}
}

// reader is somebody who reads beside a world: what stands in the documents is
// turned into what is here.
func (w *world) reader(t testing.TB) *reader {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(w.g.dir, "credentials.json"))
	if err != nil {
		t.Fatal(err)
	}
	var keys struct{ AdminKey string }
	if err := json.Unmarshal(raw, &keys); err != nil {
		t.Fatal(err)
	}
	cli, err := filepath.Abs("../../jsclient/packages/cli/bin/headlessly.js")
	if err != nil {
		t.Fatal(err)
	}
	dsn := strings.Replace(w.sinks, "http://", "http://public@", 1) + "/2"
	return &reader{
		g: w.g, dir: t.TempDir(),
		env: append(w.env, "PATH="+filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"),
			"R2_TOKEN=token", "R2_KEY_ID=id", "R2_SECRET=secret", "GA_API_SECRET=secret"),
		local: strings.NewReplacer("http://localhost:8080", "http://"+w.g.listen, "http://localhost:8081", "http://"+w.g.control, "http://127.0.0.1:8081", "http://"+w.g.control,
			"https://public@o1.ingest.sentry.io/2", dsn, "https://key@o1.ingest.sentry.io/2", dsn, "https://eu.i.posthog.com", w.sinks,
			"hly_admin_…", keys.AdminKey, "contact_fX9bL5nRd", w.ids["contact_fX9bL5nRd"],
			"go run ./cmd/headlessly", "headlessly", "npx @headlessly/cli", "node "+cli),
	}
}
