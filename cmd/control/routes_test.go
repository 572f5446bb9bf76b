package control_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/headlessly/headlessly"
)

// TestEveryRouteAsksForItsKey has every route tried with every sort of key.
// What a key may not do is refused before anything else is looked at.
func TestEveryRouteAsksForItsKey(t *testing.T) {
	p := start(t)
	_, ada, _ := p.call(t, p.secret, "POST", "/~acme/Contact", `{"name":"Ada"}`)
	id := ada["$id"].(string)
	_, hook, _ := p.call(t, p.secret, "POST", "/~acme/webhooks", `{"url":"https://example.com/hook","events":["Ticket.*"]}`)
	at := "/~acme/webhooks/" + hook["integration"].(map[string]any)["$id"].(string)
	gone, value, err := p.store.CreateKey(context.Background(), "acme", headlessly.KeySecret)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.store.RevokeKey(context.Background(), "acme", gone.ID); err != nil {
		t.Fatal(err)
	}
	keys := map[string]string{"no key": "", "public": p.public, "secret": p.secret, "other tenant's": p.other, "admin": p.admin, "revoked": value.Reveal()}
	const refused = "no key 401, public 403, other tenant's 403, revoked 401"
	for route, want := range map[string]int{
		"GET /~acme/Contact": 200, "POST /~acme/Contact": 400, "GET /~acme/Contact/" + id: 200, "PATCH /~acme/Contact/" + id: 200, "PUT /~acme/Contact/" + id: 200,
		"POST /~acme/Contact/" + id + "/qualify": 200, "POST /~acme/Contact/find": 200, "GET /~acme/Contact/count": 200, "GET /~acme/Contact/" + id + "/events": 200,
		"DELETE /~acme/Contact/contact_aaaaaaaa": 404, "POST /~acme/Contact/nothing": 404, "GET /~acme/Nothing": 404, "GET /~acme/nothing": 404,
		"GET /~acme/events": 200, "GET /~acme/events/stream?after=x": 400, "GET /~acme/events/ws": 426, "POST /~acme/batch": 400,
		"GET /~acme/export": 200, "POST /~acme/import": 200, "GET /~acme/keys": 200, "GET /~acme/keys/apikey_aaaaaaaa": 404, "POST /~acme/keys/apikey_aaaaaaaa/rotate": 404,
		"POST /~acme/keys/apikey_aaaaaaaa/revoke": 404, "GET /~acme/ApiKey": 200, "POST /~acme/ApiKey": 400, "GET /~acme/status": 200, "POST /~acme/sql": 400, "GET /~acme/openapi.json": 200,
		"GET /~acme/webhooks": 200, "POST /~acme/webhooks": 400, "GET " + at: 200, "PUT " + at: 400, "PATCH " + at: 400, "DELETE /~acme/webhooks/integration_aaaaaaaa": 404,
		"GET " + at + "/deliveries": 200, "GET " + at + "/deliveries/evt_aaaaaaaa": 404, "POST " + at + "/deliveries/evt_aaaaaaaa/replay": 404, "GET " + at + "/secret": 200,
		"POST " + at + "/rotate": 200, "POST /~acme/webhooks/integration_aaaaaaaa/test": 404, "POST " + at + "/replay": 202, "POST " + at + "/nothing": 404, "PUT /~acme/webhooks": 405,
	} {
		method, path, _ := strings.Cut(route, " ")
		for name, key := range keys {
			status, _, raw := p.call(t, key, method, path, "")
			expect := want
			for _, r := range strings.Split(refused, ", ") {
				if strings.HasPrefix(r, name+" ") {
					_, _ = fmt.Sscan(strings.TrimPrefix(r, name), &expect)
				}
			}
			if status != expect {
				t.Errorf("%s with %s: got %d %.200s, want %d", route, name, status, raw, expect)
			}
		}
	}
	for route, want := range map[string]map[string]int{ // those that belong to no tenant
		"POST /~/graph/rebuild": {"no key": 401, "public": 403, "secret": 403, "admin": 200}, "GET /~/keys": {"no key": 401, "public": 403, "secret": 403, "admin": 200},
		"POST /~acme/graph/rebuild": {"secret": 403, "admin": 200},
	} {
		method, path, _ := strings.Cut(route, " ")
		for name, expect := range want {
			if status, _, raw := p.call(t, keys[name], method, path, ""); status != expect {
				t.Errorf("%s with %s: got %d %.200s, want %d", route, name, status, raw, expect)
			}
		}
	}
}

// TestNoFaceShowsAnotherTenantsEntities plants a canary with one tenant and
// looks for it through every face with another's key.
func TestNoFaceShowsAnotherTenantsEntities(t *testing.T) {
	p := start(t)
	const mine = "canary-of-acme"
	_, ada, _ := p.call(t, p.secret, "POST", "/~acme/Contact", `{"name":"`+mine+`","email":"`+mine+`@example.com"}`)
	id := ada["$id"].(string)
	p.call(t, p.other, "POST", "/~other/Contact", `{"name":"Eve"}`)
	for _, route := range []string{
		"GET /~other/Contact", "GET /~other/Contact/" + id, "GET /~other/Contact/" + id + "/events", "GET /~other/Contact?asOf=9999999", "GET /~other/events?after=0&limit=1000",
		"GET /~other/events?entity=" + id, "GET /~other/export", "GET /~other/keys", "GET /~other/status", "POST /~other/Contact/" + id + "/rollback", "DELETE /~other/Contact/" + id,
		"GET /~acme/Contact/" + id, "GET /~acme/export", "GET /~acme/events?after=0",
	} {
		method, path, _ := strings.Cut(route, " ")
		if _, _, raw := p.call(t, p.other, method, path, ""); strings.Contains(raw, mine) {
			t.Errorf("%s shows it: %s", route, raw)
		}
	}
	// The same unique value is free for the other tenant, and its own.
	if status, _, raw := p.call(t, p.other, "POST", "/~other/Contact", `{"name":"Eve","email":"`+mine+`@example.com"}`); status != 201 {
		t.Errorf("the same email: got %d %s", status, raw)
	}
	if status, _, raw := p.call(t, p.secret, "GET", "/~acme/Contact/"+id, ""); status != 200 || !strings.Contains(raw, mine) {
		t.Errorf("its own tenant: got %d %s", status, raw)
	}
}
