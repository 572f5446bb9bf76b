package control_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// python is the interpreter with the tools that .ci/deps installs.
func python(t testing.TB, tool string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", ".ci", "venv", "bin", tool))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v (run make deps)", err)
	}
	return path
}

// run runs a tool and fails with what it wrote.
func run(t testing.TB, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		text := string(out)
		t.Fatalf("%s: %v\n%s", filepath.Base(name), err, text[:min(len(text), 20_000)])
	}
}

func TestTheOpenAPIDocumentIsValid(t *testing.T) {
	p := start(t)
	status, doc, raw := p.call(t, "", "GET", "/openapi.json", "")
	if status != 200 || doc["openapi"] != "3.1.0" {
		t.Fatalf("got %d %.200s", status, raw)
	}
	paths := doc["paths"].(map[string]any)
	for _, typ := range p.graph.Types().All() {
		for _, path := range []string{"/" + typ.Name, "/" + typ.Name + "/{id}", "/" + typ.Name + "/find"} {
			if paths[path] == nil {
				t.Errorf("%s is missing", path)
			}
		}
		for _, v := range typ.Verbs {
			if path := "/" + typ.Name + "/{id}/" + v.Name; !v.Builtin && paths[path] == nil {
				t.Errorf("%s is missing", path)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "openapi.json")
	if err := os.WriteFile(file, []byte(raw), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, python(t, "openapi-spec-validator"), file)
	if _, mine, _ := p.call(t, p.secret, "GET", "/~acme/openapi.json", ""); !strings.Contains(mine["servers"].([]any)[0].(map[string]any)["url"].(string), "{tenant}") {
		t.Error("a tenant's own document has no server")
	}
}

// TestTheAPIKeepsItsDocument has Schemathesis try requests made from the
// document, good and bad ones: no answer may be a fault of ours, or one that
// the document does not have. Left out are streams, which have no end, NDJSON,
// which it cannot make, and what would stop the test's own key.
func TestTheAPIKeepsItsDocument(t *testing.T) {
	p := start(t)
	config := ""
	for typ, body := range map[string]string{"Contact": `{"name":"Ada","email":"ada@example.com"}`, "Deal": `{"name":"Big"}`, "Subscription": `{"plan":"pro"}`, "Event": `{"type":"tested"}`, "ApiKey": `{"name":"k"}`} {
		status, e, raw := p.call(t, p.secret, "POST", "/~acme/"+typ, body)
		if status != 201 {
			t.Fatalf("create %s: %d %s", typ, status, raw)
		}
		config += "[[operations]]\ninclude-path-regex = \"^/" + typ + "/\"\nparameters = { \"path.id\" = \"" + e["$id"].(string) + "\" }\n"
	}
	file := filepath.Join(t.TempDir(), "schemathesis.toml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	examples, only := "3", []string{"--include-path-regex", "^/(Contact|Deal|Event|Subscription|ApiKey|batch|keys|export|status|events$)"}
	if os.Getenv("HEADLESSLY_SOAK") != "" {
		examples, only = "60", nil
	}
	args := []string{
		"--config-file", file, "run", p.url + "/~acme/openapi.json", "--url", p.url + "/~acme", "--header", "Authorization: Bearer " + p.secret, "--max-examples", examples, "--seed", "7", "--workers", "1",
		"--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance",
		"--phases", "examples,fuzzing", "--exclude-path-regex", "/(stream|ws|rotate|revoke)$|^/(sql|import)", "--exclude-method", "DELETE", "--generation-database", "none", "--suppress-health-check", "all",
	}
	run(t, python(t, "schemathesis"), append(args, only...)...)
}
