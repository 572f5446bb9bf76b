package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// ask calls the control plane with the tenant's key and notes the answer,
// whatever it is.
func (r *resident) ask(t *testing.T, g *gateway, face, method, path, body string, own bool, headers ...string) answer {
	t.Helper()
	a, err := g.do(t.Context(), r.key, method, path, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	if own && a.status/100 != 2 {
		t.Errorf("%s: got %d %.500s", face, a.status, a.raw)
	}
	var header strings.Builder
	_ = a.header.Write(&header)
	r.note(face, header.String()+a.raw, own)
	return a
}

// rest asks everything that REST shows, of its own and by what it could know of
// the other tenant.
func (r *resident) rest(t *testing.T, g *gateway, other *resident) {
	t.Helper()
	for _, own := range []string{
		"/Contact", "/Contact/" + r.contact, "/Contact/" + r.contact + "/events", "/Contact?asOf=99999999", "/Deal?include=contact", "/Ticket", "/Campaign", "/Metric", "/Project", "/Event", "/Integration", "/ApiKey", "/Handler",
		"/events?after=0&limit=1000", "/export", "/keys", "/keys/" + r.keyN, "/webhooks",
		"/deliveries?limit=1000", "/replays", "/replays/" + r.replay, "/events/" + r.message + "/trace",
		"/Contact?filter=" + url.QueryEscape(`{"$or":[{"name":{"$regex":"canary"}},{"email":{"$exists":true}}]}`),
	} {
		r.ask(t, g, "GET "+own, "GET", r.path("%s", own), "", true)
	}
	for _, plain := range []string{"/status", "/metrics", "/hooks", "/handlers", "/handlers/" + r.handler + "/runs", "/openapi.json", "/forget/" + r.forgotten, "/webhooks/" + r.hook, "/webhooks/" + r.hook + "/deliveries", "/webhooks/" + r.hook + "/secret", "/Contact/count"} {
		r.ask(t, g, "GET "+plain, "GET", r.path("%s", plain), "", false)
	}
	r.ask(t, g, "POST find", "POST", r.path("/Contact/find"), `{"filter":{"name":{"$ne":"x"}},"limit":100}`, true)
	// What is the other's, by its ids.
	for _, route := range []string{
		"GET /Contact/" + other.contact, "GET /Contact/" + other.contact + "/events", "GET /Contact/" + other.contact + "?asOf=99999999", "PATCH /Contact/" + other.contact, "DELETE /Contact/" + other.contact,
		"POST /Contact/" + other.contact + "/qualify", "POST /Contact/" + other.contact + "/rollback", "GET /events?entity=" + other.contact, "GET /Integration/" + other.hook,
		"GET /webhooks/" + other.hook, "PUT /webhooks/" + other.hook, "GET /webhooks/" + other.hook + "/deliveries", "GET /webhooks/" + other.hook + "/secret", "POST /webhooks/" + other.hook + "/rotate", "POST /webhooks/" + other.hook + "/test",
		"POST /webhooks/" + other.hook + "/replay", "GET /handlers/" + other.handler + "/runs", "GET /Handler/" + other.handler, "GET /keys/" + other.keyN, "POST /keys/" + other.keyN + "/rotate", "DELETE /keys/" + other.keyN, "GET /ApiKey/" + other.keyN,
		"GET /replays/" + other.replay, "POST /replays/" + other.replay + "/resume", "GET /forget/" + other.forgotten, "GET /events/" + other.message + "/trace", "GET /deliveries?messageId=" + other.message,
	} {
		method, path, _ := strings.Cut(route, " ")
		body := ""
		if method == "PATCH" || method == "PUT" || method == "POST" {
			body = "{}"
		}
		a := r.ask(t, g, "the other's: "+route, method, r.path("%s", path), body, false)
		// A list may be empty; there is nothing else that it can be.
		if a.status/100 == 2 && !strings.Contains(a.raw, `"results":[]`) {
			t.Errorf("%s asks for what is %s's, %s: got %d %.300s", r.tenant, other.tenant, route, a.status, a.raw)
		}
	}
	r.ask(t, g, "a batch on the other's", "POST", r.path("/batch"), fmt.Sprintf(`[{"type":"Contact","verb":"update","id":%q,"data":{"phone":"1"}},{"type":"Contact","verb":"qualify","id":%q}]`, other.contact, other.contact), false)
	r.ask(t, g, "a reference to the other's", "POST", r.path("/Deal"), fmt.Sprintf(`{"name":"refers","contact":%q}`, other.contact), false)
	r.ask(t, g, "a reference to the other's, included", "GET", r.path("/Deal?include=contact"), "", true)
	// The other tenant's paths with this tenant's key.
	for _, path := range []string{"/Contact", "/export", "/events", "/status", "/keys", "/webhooks", "/hooks", "/handlers", "/deliveries", "/replays", "/events/stream", "/events/live", "/metrics"} {
		if a := r.ask(t, g, "the other's path "+path, "GET", other.path("%s", path), "", false); a.status != http.StatusForbidden {
			t.Errorf("%s reads %s: got %d %.300s, want 403", r.tenant, other.path("%s", path), a.status, a.raw)
		}
	}
	for _, path := range []string{"/iceberg/v1/config", "/iceberg/v1/namespaces", "/iceberg/v1/namespaces/headlessly/tables", "/iceberg/v1/namespaces/headlessly/tables/events", "/~/keys", "/~/sql", "/debug/pprof/heap", "/openapi.json"} {
		r.ask(t, g, "GET "+path, "GET", path, "", false)
	}
}

// sql asks what a curious tenant would ask.
func (r *resident) sql(t *testing.T, g *gateway, other *resident) {
	t.Helper()
	ask := func(query string, own bool) {
		t.Helper()
		body, err := json.Marshal(map[string]any{"sql": query})
		if err != nil {
			t.Fatal(err)
		}
		a := r.ask(t, g, "SQL: "+query, "POST", r.path("/sql"), string(body), own)
		if !own { // an error may repeat the query
			r.seen["SQL: "+query] = strings.ReplaceAll(a.raw, query, "…")
		}
	}
	for _, table := range []string{"events", "deliveries", "entity_events"} {
		ask("select * from "+table, table != "deliveries")
	}
	for _, query := range []string{
		"select table_name, column_name from information_schema.columns", "select * from events where tenant = '" + other.tenant + "' or true", "select decode(raw) from rejected",
		"select * from duckdb_tables()", "select * from read_parquet('**/*.parquet')",
	} {
		ask(query, false)
	}
}

// agent asks over MCP, where also the sandbox is.
func (r *resident) agent(t *testing.T, g *gateway, other *resident) {
	t.Helper()
	tool := func(face, name, args string, own bool) {
		t.Helper()
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, name, args)
		r.ask(t, g, "MCP "+face, "POST", r.path("/mcp"), body, own, "Accept", "application/json, text/event-stream")
	}
	code := func(face, source string, own bool) {
		t.Helper()
		raw, err := json.Marshal(map[string]string{"code": source})
		if err != nil {
			t.Fatal(err)
		}
		tool(face, "do", string(raw), own)
	}
	tool("search", "search", `{"type":"Contact"}`, true)
	tool("search by a text", "search", `{"type":"Contact","query":"canary"}`, false)
	tool("fetch", "fetch", fmt.Sprintf(`{"type":"Contact","id":%q}`, r.contact), true)
	tool("fetch the other's", "fetch", fmt.Sprintf(`{"type":"Contact","id":%q}`, other.contact), false)
	tool("the status", "fetch", `{"type":"Status"}`, false)
	code("do: everything", `const out = []; for (const t of ['Contact', 'Deal', 'Ticket', 'Project', 'Integration', 'Handler']) out.push(await $[t].find({}, { limit: 100 })); out.push(await $.events({ after: 0, forward: true, limit: 500 }), await $.status()); JSON.stringify(out).slice(0, 200000)`, true)
	code("do: SQL", "JSON.stringify(await $.sql`select * from events`)", true)
	code("do: the other's by id", fmt.Sprintf("let out = ''; for (const f of [() => $.Contact.get(%q), () => $.Contact.update(%q, { phone: '1' }), () => $.Contact.history(%q), () => $.Contact.rollback(%q)]) { try { out += JSON.stringify(await f()) } catch (e) { out += e.message } } out", other.contact, other.contact, other.contact, other.contact), false)
	for _, method := range []string{"tools/list", "resources/list", "resources/templates/list", "prompts/list"} {
		r.ask(t, g, "MCP "+method, "POST", r.path("/mcp"), fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q}`, method), false, "Accept", "application/json, text/event-stream")
	}
	if a := r.ask(t, g, "MCP at the other's path", "POST", other.path("/mcp"), `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, false, "Accept", "application/json, text/event-stream"); a.status != http.StatusForbidden {
		t.Errorf("MCP at the other's path: got %d", a.status)
	}
}

// commandLine runs the commands that speak REST.
func (r *resident) commandLine(t *testing.T, g *gateway, other *resident) {
	t.Helper()
	for _, c := range []struct {
		line string
		own  bool
	}{
		{"Contact.find", true},
		{"graph export", true},
		{"search Contact", true},
		{"sql select@*@from@events", true},
		{"status", false},
		{"Contact.get " + other.contact, false},
		{"Contact.find --tenant " + other.tenant, false},
		{"graph export --tenant " + other.tenant, false},
		{"tail --tenant " + other.tenant, false},
	} {
		args := strings.Fields(c.line)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "@", " ")
		}
		r.note("headlessly "+c.line, r.try(g, args...), c.own)
	}
}

// strange tries the other tenant's doors.
func (r *resident) strange(t *testing.T, g *gateway, other *resident) {
	t.Helper()
	for name, path := range map[string]string{
		"the other's inbound webhook at one's own path": r.path("/in/webhook/%s", other.inbound),
		"the other's inbound webhook unsigned":          other.path("/in/webhook/%s", other.inbound),
	} {
		status, raw := g.post(t, path, `{"name":"forged"}`)
		if status/100 == 2 {
			t.Errorf("%s: got %d %s", name, status, raw)
		}
		r.note(name, raw, false)
	}
	for name, path := range map[string]string{"the script": "/v1?t=" + r.tenant, "the public health": "/healthz", "the public metrics": "/metrics"} {
		res, err := http.Get("http://" + g.listen + path)
		if err != nil {
			t.Fatal(err)
		}
		raw := make([]byte, 1<<20)
		n, _ := readFull(res, raw)
		r.note(name, string(raw[:n]), false)
	}
	for _, path := range []string{"/hooks/ws", "/events/ws"} {
		a, err := g.do(t.Context(), r.key, "GET", other.path("%s", path), "", "Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
		if err == nil && a.status != http.StatusForbidden {
			t.Errorf("%s's socket %s: got %d", other.tenant, path, a.status)
		}
		r.note("the other's socket "+path, a.raw, false)
	}
}
