package mcp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/graph/graphtest"
	"github.com/headlessly/headlessly/connectors/mcp"
	"github.com/headlessly/headlessly/connectors/sandbox"
	"github.com/headlessly/headlessly/connectors/sandbox/worker"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.WorkerArgument { // this binary is the worker, too
		if err := worker.Main(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

type fields = map[string]any

// setting is a server whose callers are named by the header Authorization:
// all, or reads (a key with the scope read).
type setting struct {
	t     testing.TB
	store *graph.Store
	acme  *graph.Scope
	url   string
}

func start(t testing.TB) *setting {
	t.Helper()
	store := graphtest.Start(t).Open(t, nil)
	box := sandbox.New(sandbox.Default())
	t.Cleanup(box.Close)
	s, err := mcp.New(mcp.Config{
		Store: store, Sandbox: box, Version: "1", Docs: fstest.MapFS{"README.md": {Data: []byte("# The product\n\nText.\n")}, "x.go": {}},
		Logger: slog.New(untold{t}),
		Status: func(_ context.Context, tenant string) (any, error) {
			return fields{"tenant": tenant, "ready": true}, nil
		},
		SQL: func(_ context.Context, tenant, sql string) ([]json.RawMessage, error) {
			return []json.RawMessage{json.RawMessage(fmt.Sprintf(`{"tenant":%q,"sql":%q}`, tenant, sql))}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tenant, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/~"), "/")
		c := mcp.Caller{Scope: graphtest.Scope(t, store, tenant)}
		if r.Header.Get("Authorization") == "reads" {
			c.Permit = func(kind, typ string) error {
				if kind == sandbox.AccessRead && typ != "Contact" {
					return nil
				}
				return &graph.Error{Code: graph.CodeForbidden, Field: "key", Message: "the key's scopes do not allow this; it needs " + kind}
			}
		}
		s.Serve(w, r, c)
	}))
	t.Cleanup(srv.Close)
	return &setting{t: t, store: store, acme: graphtest.Scope(t, store, "acme"), url: srv.URL}
}

// untold is a log that wants no line: calls are counted, not logged.
type untold struct{ t testing.TB }

func (u untold) Enabled(context.Context, slog.Level) bool { return true }
func (u untold) Handle(_ context.Context, r slog.Record) error {
	u.t.Errorf("a call was logged: %s", r.Message)
	return nil
}
func (u untold) WithAttrs([]slog.Attr) slog.Handler { return u }
func (u untold) WithGroup(string) slog.Handler      { return u }

type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// connect is an agent of a tenant.
func (s *setting) connect(tenant, key string) *sdk.ClientSession {
	s.t.Helper()
	c := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, nil)
	session, err := c.Connect(s.t.Context(), &sdk.StreamableClientTransport{Endpoint: s.url + "/~" + tenant + "/mcp", HTTPClient: &http.Client{Transport: bearer(key)}, DisableStandaloneSSE: true}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = session.Close() })
	return session
}

// call calls a tool with arguments as JSON and gives its structured answer.
func call(t testing.TB, c *sdk.ClientSession, tool, args string) (out fields, failed bool) {
	t.Helper()
	r, err := c.CallTool(t.Context(), &sdk.CallToolParams{Name: tool, Arguments: json.RawMessage(args)})
	if err != nil {
		t.Fatalf("%s %s: %v", tool, args, err)
	}
	raw, err := json.Marshal(r.StructuredContent)
	if err != nil || json.Unmarshal(raw, &out) != nil {
		t.Fatalf("%s %s: got %s, %v", tool, args, raw, err)
	}
	var text fields
	if len(r.Content) != 1 || json.Unmarshal([]byte(r.Content[0].(*sdk.TextContent).Text), &text) != nil || len(text) != len(out) {
		t.Errorf("%s %s: the text is not the structured content: %v", tool, args, r.Content)
	}
	return out, r.IsError
}

func TestThereAreExactlyThreeToolsWithinFiveHundredTokens(t *testing.T) {
	c := start(t).connect("acme", "all")
	list, err := c.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
		if tool.OutputSchema != nil {
			t.Errorf("%s has an output schema", tool.Name)
		}
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got != "do fetch search" {
		t.Errorf("got %s", got)
	}
	raw, err := json.Marshal(list.Tools)
	if err != nil {
		t.Fatal(err)
	}
	if n := tokens(string(raw)); n >= 500 {
		t.Errorf("the definitions have %d tokens: %s", n, raw)
	} else {
		t.Logf("%d tokens, counted high, in %d bytes", n, len(raw))
	}
}

// tokens counts high: every mark is one, and so is every four letters begun of
// a word. Tokenizers join marks and know longer words.
func tokens(s string) (n int) {
	letters := 0
	for _, r := range s {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			if letters++; letters%4 == 1 {
				n++
			}
		default:
			letters = 0
			if r != ' ' {
				n++
			}
		}
	}
	return n
}

func TestWhatTheDocumentationShows(t *testing.T) {
	s := start(t)
	c := s.connect("acme", "all")
	if got, failed := call(t, c, "do", `{"code":"await $.Integration.connect({\n  provider: 'stripe',\n  apiKey: 'sk_test',\n})"}`); failed || got["value"].(fields)["status"] != "Connected" || got["changes"] != 1.0 {
		t.Fatalf("got %v", got)
	}
	got, failed := call(t, c, "search", `{ "type": "Integration", "filter": { "status": "Active" } }`)
	if failed || got["total"] != 1.0 {
		t.Fatalf("got %v", got)
	}
	id := got["results"].([]any)[0].(fields)["$id"].(string)
	// How it ends, the provider's connector would say; here is none.
	if got, failed := call(t, c, "do", `{"code":"await $.Integration.sync({ id: '`+id+`' })"}`); failed || got["value"].(fields)["status"] != "Syncing" {
		t.Errorf("got %v", got)
	}
	if got, failed := call(t, c, "fetch", `{"id":"`+id+`"}`); failed || got["status"] != "Syncing" || got["$type"] != "Integration" {
		t.Errorf("got %v", got)
	}
}

func TestSearchFetchAndDo(t *testing.T) {
	s := start(t)
	c := s.connect("acme", "all")
	ctx := t.Context()
	deal, err := s.acme.Create(ctx, "Deal", fields{"name": "Enterprise (A+)", "value": 50000})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []fields{{"name": "mrr", "value": 100}, {"name": "mrr", "value": 120}, {"name": "nrr", "value": 1}} {
		if _, err := s.acme.Create(ctx, "Metric", f); err != nil {
			t.Fatal(err)
		}
	}
	many := make([]graph.Op, 0, 150) // values of one name, newer than those of the other
	for i := range cap(many) {
		many = append(many, graph.Op{Type: "Metric", Verb: graph.VerbCreate, Args: fields{"name": "signups", "value": i}})
	}
	if _, err := s.acme.Batch(ctx, many); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		if _, err := s.acme.Create(ctx, "Contact", fields{"name": fmt.Sprintf("enterprise user %d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range []struct {
		name, tool, args string
		check            func(fields) bool
	}{
		{"a filter", "search", `{"type":"Deal","filter":{"value":{"$gt":1}}}`, func(f fields) bool { return f["total"] == 1.0 }},
		{"a text everywhere", "search", `{"query":"enterprise"}`, func(f fields) bool {
			return f["total"] == 31.0 && len(f["results"].([]any)) == 25 && f["hasMore"] == true && strings.Contains(f["next"].(string), "type")
		}},
		{"a text that is no pattern", "search", `{"query":"(a+)"}`, func(f fields) bool { return f["total"] == 1.0 }},
		{"a text in one type", "search", `{"type":"Contact","query":"USER 7","filter":{"name":{"$exists":true}}}`, func(f fields) bool { return f["total"] == 1.0 }},
		{"a page", "search", `{"type":"Contact","limit":2,"sort":"name","fields":["name"]}`, func(f fields) bool { return f["hasMore"] == true && f["cursor"] != "" }},
		{"the types", "fetch", `{"type":"Schema"}`, func(f fields) bool { return len(f["types"].([]any)) >= 19 }},
		{"a type", "fetch", `{"type":"Schema","id":"Deal"}`, func(f fields) bool {
			return f["fields"].(fields)["name"] == "string!" && f["verbs"].(fields)["win"] == "Deal.Won"
		}},
		{"the status", "fetch", `{"type":"Status"}`, func(f fields) bool { return f["tenant"] == "acme" }},
		{"a metric", "fetch", `{"type":"Metric","id":"mrr"}`, func(f fields) bool { return f["value"] == 120.0 }},
		{"the metrics", "fetch", `{"type":"Metric"}`, func(f fields) bool { return len(f["metrics"].([]any)) == 3 && f["hasMore"] == false }},
		{"an entity by type and id", "fetch", `{"type":"Deal","id":"` + deal.ID + `","fields":["value"]}`, func(f fields) bool { return f["value"] == 50000.0 && f["name"] == nil }},
		{"sql", "do", "{\"code\":\"(await $.sql`select ${1}`)[0]\"}", func(f fields) bool {
			return f["value"].(fields)["sql"] == "select 1" && f["value"].(fields)["tenant"] == "acme"
		}},
		{"console", "do", `{"code":"console.log('here'); 7"}`, func(f fields) bool {
			return f["value"] == 7.0 && f["console"].([]any)[0].(fields)["text"] == "here"
		}},
	} {
		if got, failed := call(t, c, q.tool, q.args); failed || !q.check(got) {
			t.Errorf("%s: got %v", q.name, got)
		}
	}
	if got, failed := call(t, s.connect("other", "all"), "search", `{"query":"enterprise"}`); failed || got["total"] != 0.0 {
		t.Errorf("another tenant sees %v", got)
	}
	if got, failed := call(t, s.connect("other", "all"), "fetch", `{"id":"`+deal.ID+`"}`); !failed || got["error"] != "not_found" {
		t.Errorf("another tenant sees %v", got)
	}
}

func TestAnErrorSaysWhatToDo(t *testing.T) {
	s := start(t)
	all, reads := s.connect("acme", "all"), s.connect("acme", "reads")
	for _, q := range []struct {
		name, tool, args  string
		c                 *sdk.ClientSession
		code, field, part string
	}{
		{"no type", "search", `{}`, all, "validation_failed", "type", `{"type":"Contact"`},
		{"an unknown type", "search", `{"type":"Deel"}`, all, "not_found", "", `did you mean "Deal"`},
		{"an unknown argument", "search", `{"type":"Deal","where":{}}`, all, "invalid_json", "", "known are type, filter"},
		{"an argument of the wrong kind", "search", `{"type":"Deal","filter":"x"}`, all, "validation_failed", "filter", "filter: want"},
		{"an unknown operator", "search", `{"type":"Deal","filter":{"name":{"$like":"x"}}}`, all, "invalid_filter", "name", "$regex"},
		{"a limit beyond the most", "search", `{"query":"x","limit":101}`, all, "invalid_filter", "limit", "1 to 100"},
		{"no id", "fetch", `{}`, all, "validation_failed", "id", `{"type":"Status"}`},
		{"no such id", "fetch", `{"id":"deal_AAAAAAAA"}`, all, "not_found", "", "no such Deal"},
		{"no id at all", "fetch", `{"id":"x"}`, all, "not_found", "id", "search"},
		{"no such metric", "fetch", `{"type":"Metric","id":"mrr"}`, all, "not_found", "id", "connect a provider"},
		{"an odd time", "fetch", `{"id":"deal_AAAAAAAA","asOf":"yesterday"}`, all, "validation_failed", "asOf", "RFC 3339"},
		{"no code", "do", `{}`, all, "validation_failed", "code", "TypeScript"},
		{"bad code", "do", `{"code":"const ="}`, all, "syntax_error", "", "line 1"},
		{"bad data", "do", `{"code":"await $.Deal.create({ name: 7 })"}`, all, "validation_failed", "name", "name"},
		{"a scope to read", "do", `{"code":"await $.Deal.create({ name: 'A' })"}`, reads, "forbidden", "key", "needs write"},
		{"a scope without SQL", "do", "{\"code\":\"await $.sql`select 1`\"}", reads, "forbidden", "key", "needs sql"},
		{"a scope without a type", "search", `{"type":"Contact"}`, reads, "forbidden", "key", "needs read"},
	} {
		got, failed := call(t, q.c, q.tool, q.args)
		if field, _ := got["field"].(string); !failed || got["error"] != q.code || field != q.field || !strings.Contains(fmt.Sprint(got["message"]), q.part) {
			t.Errorf("%s: got %v", q.name, got)
		}
	}
	if got, failed := call(t, all, "do", `{"code":"await $.Deal.create({ name: 'A' }); console.log('made'); throw new Error('then')"}`); !failed || got["changes"] != 1.0 || len(got["console"].([]any)) != 1 || got["message"] != "then" {
		t.Errorf("what was done before a fault: got %v", got)
	}
}

func TestResourcesAndPrompts(t *testing.T) {
	c := start(t).connect("acme", "all")
	list, err := c.ListResources(t.Context(), nil)
	if err != nil || len(list.Resources) != 1 || list.Resources[0].Title != "The product" {
		t.Fatalf("got %+v, %v", list, err)
	}
	for uri, part := range map[string]string{list.Resources[0].URI: "Text.", "headlessly://schema/Deal": `"win": "Deal.Won"`} {
		r, err := c.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: uri})
		if err != nil || !strings.Contains(r.Contents[0].Text, part) {
			t.Errorf("%s: got %+v, %v", uri, r, err)
		}
	}
	if _, err := c.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: "headlessly://schema/Deel"}); err == nil {
		t.Error("a schema of no type was read")
	}
	ps, err := c.ListPrompts(t.Context(), nil)
	if err != nil || len(ps.Prompts) != 5 {
		t.Fatalf("got %+v, %v", ps, err)
	}
	for _, p := range ps.Prompts {
		args := map[string]string{}
		for _, a := range p.Arguments {
			args[a.Name] = "given-" + a.Name
		}
		got, err := c.GetPrompt(t.Context(), &sdk.GetPromptParams{Name: p.Name, Arguments: args})
		if err != nil {
			t.Errorf("%s: %v", p.Name, err)
			continue
		}
		text := got.Messages[0].Content.(*sdk.TextContent).Text
		for _, a := range p.Arguments {
			if !strings.Contains(text, "given-"+a.Name) || strings.Contains(text, "{"+a.Name+"}") {
				t.Errorf("%s: the argument %s is not filled in: %s", p.Name, a.Name, text)
			}
		}
	}
	if _, err := c.GetPrompt(t.Context(), &sdk.GetPromptParams{Name: "connect-provider"}); err == nil || !strings.Contains(err.Error(), "provider") {
		t.Errorf("a missing argument: got %v", err)
	}
}

func TestArgumentsAreCompleted(t *testing.T) {
	c := start(t).connect("acme", "all")
	if c.InitializeResult().Capabilities.Completions == nil {
		t.Error("the server does not say that it completes")
	}
	prompt := func(name string) *sdk.CompleteReference {
		return &sdk.CompleteReference{Type: "ref/prompt", Name: name}
	}
	schema := &sdk.CompleteReference{Type: "ref/resource", URI: "headlessly://schema/{type}"}
	for _, q := range []struct {
		name            string
		ref             *sdk.CompleteReference
		argument, typed string
		want            string
	}{
		{"a provider", prompt("connect-provider"), "provider", "s", "slack stripe"},
		{"a destination, in any case", prompt("missing-event"), "destination", "PO", "posthog"},
		{"a hook", prompt("write-handler"), "hook", "Deal.w", "Deal.winning Deal.won"},
		{"a type", schema, "type", "Co", "Comment Contact"},
		{"nothing fits", schema, "type", "Zz", ""},
		{"any text", prompt("write-handler"), "reaction", "", ""},
	} {
		got, err := c.Complete(t.Context(), &sdk.CompleteParams{Ref: q.ref, Argument: sdk.CompleteParamsArgument{Name: q.argument, Value: q.typed}})
		if err != nil {
			t.Errorf("%s: %v", q.name, err)
			continue
		}
		values := slices.Sorted(slices.Values(got.Completion.Values))
		if strings.Join(values, " ") != q.want || got.Completion.Total != len(values) || got.Completion.HasMore {
			t.Errorf("%s: got %+v, want %s", q.name, got.Completion, q.want)
		}
	}
	got, err := c.Complete(t.Context(), &sdk.CompleteParams{Ref: prompt("write-handler"), Argument: sdk.CompleteParamsArgument{Name: "hook"}})
	if err != nil || len(got.Completion.Values) != 100 || !got.Completion.HasMore || got.Completion.Total <= 100 {
		t.Errorf("every hook: got %+v, %v, want the first hundred", got, err)
	}
	for name, p := range map[string]*sdk.CompleteParams{
		"an unknown prompt":   {Ref: prompt("sing"), Argument: sdk.CompleteParamsArgument{Name: "hook"}},
		"an unknown argument": {Ref: prompt("health"), Argument: sdk.CompleteParamsArgument{Name: "hook"}},
		"an unknown resource": {Ref: &sdk.CompleteReference{Type: "ref/resource", URI: "headlessly://docs/{name}"}, Argument: sdk.CompleteParamsArgument{Name: "name"}},
	} {
		var fault *jsonrpc.Error
		if _, err := c.Complete(t.Context(), p); !errors.As(err, &fault) || fault.Code != jsonrpc.CodeInvalidParams {
			t.Errorf("%s: got %v, want invalid parameters", name, err)
		}
	}
}

func TestAHostThatIsNotThisMachineIsRefusedOnLoopback(t *testing.T) {
	s := start(t)
	for host, want := range map[string]int{"evil.example.com": http.StatusForbidden, strings.TrimPrefix(s.url, "http://"): http.StatusOK} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/~acme/mcp", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("host %s: got %d, want %d", host, res.StatusCode, want)
		}
	}
}
