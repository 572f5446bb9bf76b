package control_test

import (
	"strings"
	"testing"
)

func TestExportAndImportAreEachOthersOpposite(t *testing.T) {
	p := start(t)
	p.call(t, p.secret, "POST", "/~acme/Contact", `{"name":"Ada","email":"ada@example.com","score":7}`)
	p.call(t, p.secret, "POST", "/~acme/Deal", `{"name":"Big","value":5}`)
	status, _, lines := p.call(t, p.secret, "GET", "/~acme/export", "")
	if status != 200 || strings.Count(lines, "\n") != 2 || strings.Contains(lines, "ApiKey") {
		t.Fatalf("export: got %d %s, want both entities and no key", status, lines)
	}
	for _, want := range []string{`"created":2`, `"unchanged":2`} {
		if status, _, raw := p.call(t, p.other, "POST", "/~other/import", lines); status != 200 || !strings.Contains(raw, want) {
			t.Errorf("import: got %d %s, want %s", status, raw, want)
		}
	}
	if status, got, raw := p.call(t, p.other, "POST", "/~other/import?type=Contact", "{\"name\":\"Eve\"}\nno JSON\n{\"$type\":\"Nothing\"}\n"); status != 200 || got["created"] != 1.0 || got["failed"] != 2.0 || !strings.Contains(raw, `"line":2`) {
		t.Errorf("lines at fault: got %d %s", status, raw)
	}
	if status, got, raw := p.call(t, p.secret, "GET", "/~acme/export?type=Nothing", ""); status != 404 || got["error"] != "not_found" {
		t.Errorf("an unknown type: got %d %s", status, raw)
	}
}

func TestARebuildIsForAdminsAndTellsHowFarItIs(t *testing.T) {
	p := start(t)
	p.call(t, p.secret, "POST", "/~acme/Contact", `{"name":"Ada"}`)
	if status, _, _ := p.call(t, p.secret, "POST", "/~acme/graph/rebuild", ""); status != 403 {
		t.Errorf("a tenant's key: got %d", status)
	}
	status, _, raw := p.call(t, p.admin, "POST", "/~/graph/rebuild", "")
	if status != 200 || !strings.Contains(raw, `"done"`) || strings.Contains(raw, "error") {
		t.Errorf("got %d %s", status, raw)
	}
	if _, _, raw := p.call(t, p.secret, "GET", "/~acme/Contact", ""); !strings.Contains(raw, `"total":1`) {
		t.Errorf("after it: got %s", raw)
	}
}
