package control_test

import (
	"strings"
	"testing"
)

// The routes of agents, hooks and handlers are there, and want a key that may.
func TestAgentsHooksAndHandlersHaveTheirRoutes(t *testing.T) {
	p := start(t)
	for _, path := range []string{"/~acme/mcp", "/~acme/hooks", "/~acme/handlers"} {
		for name, key := range map[string]string{"no key": "", "public": p.public, "another tenant's": p.other} {
			if status, _, raw := p.call(t, key, "GET", path, ""); status != 401 && status != 403 {
				t.Errorf("%s, %s: got %d %s", path, name, status, raw)
			}
		}
	}
	if status, body, raw := p.call(t, p.secret, "GET", "/~acme/handlers", ""); status != 200 || body["total"] != 0.0 {
		t.Errorf("handlers: got %d %s", status, raw)
	}
	if _, _, raw := p.call(t, p.secret, "GET", "/~acme/nothing", ""); strings.Contains(raw, "mcp") && !strings.Contains(raw, "handlers") {
		t.Errorf("got %s", raw)
	}
}
