package control_test

import (
	"net/url"
	"strings"
	"testing"
)

func TestAnEntityLivesThroughREST(t *testing.T) {
	p := start(t)
	status, ada, raw := p.call(t, p.secret, "POST", "/~acme/Contact", `{"name":"Ada","email":"ada@example.com","stage":"Lead","score":7}`)
	if status != 201 || ada["$type"] != "Contact" || ada["$version"] != 1.0 || ada["$context"] != "https://headless.ly/~acme" || ada["score"] != 7.0 {
		t.Fatalf("create: got %d %s", status, raw)
	}
	id := ada["$id"].(string)
	path := "/~acme/Contact/" + id
	for _, step := range []struct {
		name, method, path, body, header string
		status                           int
		want                             string
	}{
		{"get", "GET", path, "", "", 200, `"name":"Ada"`},
		{"get with its ETag", "GET", path, "", `If-None-Match: "1"`, 304, ""},
		{"patch of another version", "PATCH", path, `{"phone":"1"}`, `If-Match: "9"`, 412, `"error":"version_mismatch"`},
		{"patch", "PATCH", path, `{"phone":"1"}`, `If-Match: "1"`, 200, `"$version":2`},
		{"put is patch", "PUT", path, `{"phone":"2"}`, "", 200, `"name":"Ada"`},
		{"verb", "POST", path + "/qualify", "", "", 200, `"stage":"Qualified"`},
		{"verb on the type with an id", "POST", "/~acme/Contact/enrich", `{"id":"` + id + `","phone":"3"}`, "", 200, `"phone":"3"`},
		{"misspelt verb", "POST", path + "/qualfy", "", "", 404, `did you mean \"qualify\"`},
		{"misspelt type", "GET", "/~acme/Contcat", "", "", 404, `did you mean \"Contact\"`},
		{"wrong type of value", "PATCH", path, `{"leadScore":"high"}`, "", 400, `"field":"leadScore"`},
		{"unknown enum value", "PATCH", path, `{"stage":"Hot"}`, "", 400, `"field":"stage"`},
		{"no JSON", "PATCH", path, `{"a"`, "", 400, `"error":"invalid_json"`},
		{"two objects", "PATCH", path, `{} {}`, "", 400, `"error":"invalid_json"`},
		{"unique value", "POST", "/~acme/Contact", `{"name":"Eve","email":"ada@example.com"}`, "", 409, `"error":"conflict"`},
		{"as of the first version", "GET", path + "?asOf=" + url.QueryEscape(ada["$createdAt"].(string)), "", "", 200, `"$version":1`},
		{"fields", "GET", path + "?fields=phone", "", "", 200, `"phone":"3"}`},
		{"rollback", "POST", path + "/rollback", `{"version":1}`, "", 200, `"stage":"Lead"`},
		{"history", "GET", path + "/events?limit=1", "", "", 200, `"type":"Contact.RolledBack"`},
		{"events by type", "GET", "/~acme/events?type=contact.*&limit=2", "", "", 200, `"hasMore":true`},
		{"count", "GET", "/~acme/Contact/count?stage=Lead", "", "", 200, `{"count":1}`},
		{"delete", "DELETE", path, "", "", 200, `"deleted":true`},
		{"get of the deleted", "GET", path, "", "", 404, `"error":"not_found"`},
		{"back with rollback", "POST", path + "/rollback", "", "", 200, `"name":"Ada"`},
		{"immutable type", "POST", "/~acme/Event", `{"type":"tested"}`, "", 201, `"name":"tested"`},
		{"wrong method", "DELETE", "/~acme/Contact", "", "", 405, `use GET or POST`},
		{"post to an id", "POST", path, "{}", "", 405, "use GET"},
	} {
		var headers []string
		if step.header != "" {
			headers = append(headers, step.header)
		}
		status, _, raw := p.call(t, p.secret, step.method, step.path, step.body, headers...)
		if status != step.status || !strings.Contains(raw, step.want) {
			t.Errorf("%s: got %d %s, want %d with %s", step.name, status, raw, step.status, step.want)
		}
	}
	if status, _, raw := p.call(t, p.other, "GET", "/~other/Contact/"+id, ""); status != 404 {
		t.Errorf("another tenant: got %d %s", status, raw)
	}
}

func TestFindOverREST(t *testing.T) {
	p := start(t)
	_, company, _ := p.call(t, p.secret, "POST", "/~acme/Project", `{"name":"P"}`)
	project := company["$id"].(string)
	for _, body := range []string{
		`{"title":"a","priority":"Low","labels":["x","y"],"points":1}`,
		`{"title":"b","priority":"High","labels":["x"],"points":2,"project":"` + project + `"}`,
		`{"title":"c","priority":"High","points":3}`,
	} {
		if status, _, raw := p.call(t, p.secret, "POST", "/~acme/Issue", body); status != 201 {
			t.Fatalf("create: %d %s", status, raw)
		}
	}
	q := url.QueryEscape
	for _, row := range []struct{ name, method, query, body, want string }{
		{"newest first", "GET", "", "", "c b a"},
		{"field", "GET", "?priority=High&sort=title", "", "b c"},
		{"several values", "GET", "?title=a&title=c&sort=title", "", "a c"},
		{"operator", "GET", "?" + q("points[$gte]") + "=2&sort=title", "", "b c"},
		{"operator without dollar", "GET", "?" + q("points[lt]") + "=2", "", "a"},
		{"undeclared number", "GET", "?points=2", "", "b"},
		{"list element", "GET", "?labels=y", "", "a"},
		{"in", "GET", "?" + q("title[in]") + "=a,b&sort=title", "", "a b"},
		{"not equal", "GET", "?" + q("priority[ne]") + "=High", "", "a"},
		{"exists", "GET", "?" + q("labels[exists]") + "=false", "", "c"},
		{"regex", "GET", "?" + q("title[regex]") + "=" + q("^[ab]$") + "&sort=title", "", "a b"},
		{"filter", "GET", "?filter=" + q(`{"$or":[{"title":"a"},{"points":{"$gt":2}}]}`) + "&sort=-title", "", "c a"},
		{"filter and field", "GET", "?priority=High&filter=" + q(`{"points":{"$gt":2}}`), "", "c"},
		{"body", "POST", "/find", `{"filter":{"priority":"High"},"sort":"-title","limit":1}`, "c"},
		{"offset", "GET", "?sort=title&limit=1&offset=1", "", "b"},
	} {
		status, page, raw := p.call(t, p.secret, row.method, "/~acme/Issue"+row.query, row.body)
		var got []string
		if list, ok := page["results"].([]any); ok {
			for _, e := range list {
				got = append(got, e.(map[string]any)["title"].(string))
			}
		}
		if status != 200 || strings.Join(got, " ") != row.want {
			t.Errorf("%s: got %d %s, want %s", row.name, status, raw, row.want)
		}
	}
	_, first, _ := p.call(t, p.secret, "GET", "/~acme/Issue?sort=title&limit=2", "")
	if first["total"] != 3.0 || first["hasMore"] != true {
		t.Errorf("first page: got %v", first)
	}
	_, rest, raw := p.call(t, p.secret, "GET", "/~acme/Issue?sort=title&limit=2&cursor="+q(first["cursor"].(string)), "")
	if rest["hasMore"] != false || !strings.Contains(raw, `"title":"c"`) {
		t.Errorf("second page: got %s", raw)
	}
	_, _, raw = p.call(t, p.secret, "GET", "/~acme/Issue?title=b&include=project", "")
	if !strings.Contains(raw, `"project":{"$id":"`+project) {
		t.Errorf("include: got %s", raw)
	}
	for query, field := range map[string]string{
		"?limit=0": "limit", "?limit=101": "limit", "?limit=x": "limit", "?offset=-1": "offset", "?asOf=yesterday": "asOf", "?sort=$nothing": "sort",
		"?cursor=x": "cursor", "?filter=x": "filter", "?" + q("points[$near]") + "=1": "points", "?include=nothing": "",
		"?limt=5": "limt", "?Limit=5": "Limit", "?lmiit=5": "lmiit", "?limits=5": "limits", "?srot=title": "srot", "?offfset=1": "offfset", "?asof=3": "asof", "?curser=x": "curser",
		"?page=2": "page", "?per_page=5": "per_page", "?perPage=5": "perPage", "?pageSize=5": "pageSize", "?skip=5": "skip", "?starting_after=x": "starting_after",
	} {
		status, body, raw := p.call(t, p.secret, "GET", "/~acme/Issue"+query, "")
		if field != "" && (status != 400 || body["error"] != "invalid_filter" || body["field"] != field) {
			t.Errorf("%s: got %d %s, want 400 with field %s", query, status, raw, field)
		}
	}
	for name, query := range map[string]string{
		"a field of one's own": "Issue?port=443", "one that only filter finds": "Issue?filter=" + q(`{"limt":443,"page":1}`), "a declared one": "Plan?limits=443", "the parameter": "Issue?limit=1",
	} {
		if status, _, raw := p.call(t, p.secret, "GET", "/~acme/"+query, ""); status != 200 {
			t.Errorf("%s: got %d %s", name, status, raw)
		}
	}
}

func TestAnIdThatNamesNothingIsToldApart(t *testing.T) {
	p := start(t)
	_, deal, _ := p.call(t, p.secret, "POST", "/~acme/Deal", `{"name":"A"}`)
	id := deal["$id"].(string)
	for _, row := range []struct{ name, method, path, says string }{
		{"one of nothing", "GET", "/~acme/Contact/contact_AAAAAAAA", "contact_AAAAAAAA; Contact.find lists them"},
		{"a verb on it", "POST", "/~acme/Integration/integration_AAAAAAAA/sync", "integration_AAAAAAAA; Integration.find"},
		{"one of another type", "GET", "/~acme/Integration/" + id, id + ", which is the id of a Deal"},
		{"a verb on that", "POST", "/~acme/Integration/" + id + "/disconnect", "the id of a Deal"},
		{"a very long one", "GET", "/~acme/Deal/" + strings.Repeat("x", 300), "xxx…; Deal.find"},
	} {
		if status, body, raw := p.call(t, p.secret, row.method, row.path, ""); status != 404 || body["error"] != "not_found" || !strings.Contains(raw, row.says) {
			t.Errorf("%s: got %d %s, want %q", row.name, status, raw, row.says)
		}
	}
	if status, body, raw := p.call(t, p.secret, "POST", "/~acme/Integration/disconnect", `{}`); status != 400 || body["field"] != "id" || !strings.Contains(raw, "an Integration") {
		t.Errorf("no id: got %d %s", status, raw)
	}
	if status, body, raw := p.call(t, p.secret, "POST", "/~acme/Integration/connect", `{}`); status != 400 || body["field"] != "provider" || !strings.Contains(raw, "analytics, ") {
		t.Errorf("no provider: got %d %s", status, raw)
	}
}
