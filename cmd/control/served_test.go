package control_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/cmd/control/openapi"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/handlers"
	"github.com/headlessly/headlessly/connectors/hooks"
	"github.com/headlessly/headlessly/connectors/mcp"
	"github.com/headlessly/headlessly/forwarders/replays"
)

var filledIn = regexp.MustCompile(`\{[^}]*\}`)

// documented are the operations of the OpenAPI document as "GET /keys/{}".
func documented(t testing.TB, types *graph.Types) map[string]bool {
	t.Helper()
	raw, err := openapi.Document(types, "1", "acme")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]any
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for path, methods := range doc.Paths {
		for method := range methods {
			out[strings.ToUpper(method)+" "+filledIn.ReplaceAllString(path, "{}")] = true
		}
	}
	return out
}

// ofType says whether an operation is one of an entity type.
func ofType(operation string) bool {
	_, path, _ := strings.Cut(operation, " /")
	return path != "" && path[0] >= 'A' && path[0] <= 'Z'
}

// differ reports what only one of the two has.
func differ(t testing.TB, served, documented map[string]bool) {
	t.Helper()
	var bare, empty []string
	for s := range served {
		if !documented[s] {
			bare = append(bare, s)
		}
	}
	for d := range documented {
		if !served[d] {
			empty = append(empty, d)
		}
	}
	slices.Sort(bare)
	slices.Sort(empty)
	if len(bare) > 0 {
		t.Errorf("served and not in the document: %s", strings.Join(bare, ", "))
	}
	if len(empty) > 0 {
		t.Errorf("in the document and not served: %s", strings.Join(empty, ", "))
	}
}

// TestWhatIsServedIsInTheDocumentAndTheOtherWayRound compares the table that
// requests are answered by with the document, where every part is there.
func TestWhatIsServedIsInTheDocumentAndTheOtherWayRound(t *testing.T) {
	jobs, err := replays.Open(replays.Config{Dir: t.TempDir(), Clock: headlessly.SystemClock, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	p := control.New(control.Config{
		Graph: new(graph.Store), Hooks: new(hooks.Server), Handlers: new(handlers.Handlers), MCP: new(mcp.Server), Webhooks: new(control.Webhooks),
		Forwarding: &told{jobs: jobs}, Forgetting: struct{ control.Forgetting }{}, Logger: slog.New(slog.DiscardHandler),
	})
	served, inDocument := map[string]bool{}, map[string]bool{}
	for _, r := range p.Routes() {
		served[filledIn.ReplaceAllString(r, "{}")] = true
	}
	for d := range documented(t, graph.BuiltinTypes()) {
		if !ofType(d) {
			inDocument[d] = true
		}
	}
	if len(served) < 50 {
		t.Errorf("the table has %d routes only", len(served))
	}
	differ(t, served, inDocument)
}

// TestEveryPathOfAnEntityIsInTheDocumentAndTheOtherWayRound tries each method on
// each path that an entity could have.
func TestEveryPathOfAnEntityIsInTheDocumentAndTheOtherWayRound(t *testing.T) {
	p := start(t)
	served, inDocument := map[string]bool{}, map[string]bool{}
	for d := range documented(t, p.graph.Types()) {
		if ofType(d) {
			inDocument[d] = true
		}
	}
	for _, typ := range p.graph.Types().All() {
		id := typ.IDPrefix() + "aaaaaaaa"
		paths := []string{"", "/find", "/count", "/get", "/{}", "/{}/events", "/{}/nothing", "/nothing", "/{}/events/more", "/{}/get", "/{}/find", "/{}/count", "/{}/create"}
		for _, v := range typ.Verbs {
			paths = append(paths, "/"+v.Name)
			if v.Name != graph.VerbCreate {
				paths = append(paths, "/{}/"+v.Name)
			}
		}
		for _, path := range paths {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
				status, _, raw := p.call(t, p.secret, method, "/~acme/"+typ.Name+strings.ReplaceAll(path, "{}", id), "")
				nothing := status == http.StatusMethodNotAllowed || status == http.StatusNotFound && (strings.Contains(raw, "nothing at this path") || strings.Contains(raw, "has no verb") || path == "/nothing")
				if !nothing {
					served[method+" /"+typ.Name+path] = true
				}
			}
		}
	}
	differ(t, served, inDocument)
}
