package control_test

import (
	"strings"
	"testing"
)

func TestAKeyIsAnEntityAndShownOnce(t *testing.T) {
	p := start(t)
	status, made, raw := p.call(t, p.secret, "POST", "/~acme/ApiKey", `{"name":"reader","scopes":["read","Contact:write"]}`)
	if status != 201 || made["key"] == nil || made["prefix"] == nil || made["kind"] != "secret" {
		t.Fatalf("create: %d %s", status, raw)
	}
	id, value := made["$id"].(string), made["key"].(string)
	for _, path := range []string{"/~acme/ApiKey/" + id, "/~acme/ApiKey", "/~acme/keys", "/~acme/keys/" + id, "/~acme/events?entity=" + id, "/~acme/ApiKey/" + id + "/events"} {
		status, _, raw := p.call(t, p.secret, "GET", path, "")
		if status != 200 || !strings.Contains(raw, id) || strings.Contains(raw, value) || strings.Contains(raw, `"hash"`) {
			t.Errorf("%s: got %d %s", path, status, raw)
		}
	}
	_, list, raw := p.call(t, p.secret, "GET", "/~acme/ApiKey?sort=name", "")
	if list["total"] != 3.0 { // those of the first start, and this one
		t.Errorf("all keys: got %s", raw)
	}
	for _, row := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/~acme/Contact", "", 200},
		{"POST", "/~acme/Contact/find", "", 200},
		{"POST", "/~acme/Contact", `{"name":"Ada"}`, 201},
		{"POST", "/~acme/Deal", `{"name":"Big"}`, 403},
		{"POST", "/~acme/batch", `[{"type":"Deal","verb":"create","data":{"name":"x"}}]`, 200}, // refused inside
		{"POST", "/~acme/sql", `{"sql":"select 1"}`, 403},
		{"GET", "/~acme/keys", "", 403},
		{"POST", "/~acme/ApiKey", `{"name":"more"}`, 403},
		{"GET", "/~acme/events", "", 200},
		{"GET", "/~acme/status", "", 200},
	} {
		if status, _, raw := p.call(t, value, row.method, row.path, row.body); status != row.status {
			t.Errorf("scoped key: %s %s: got %d %s, want %d", row.method, row.path, status, raw, row.status)
		}
	}
	if _, _, raw := p.call(t, value, "POST", "/~acme/batch", `[{"type":"Deal","verb":"create","data":{"name":"x"}},{"type":"Contact","verb":"create","data":{"name":"x"}}]`); !strings.Contains(raw, `"succeeded":1`) || !strings.Contains(raw, `"status":403`) {
		t.Errorf("batch with a scoped key: got %s", raw)
	}
	if status, _, raw := p.call(t, p.secret, "PATCH", "/~acme/ApiKey/"+id, `{"scopes":["read","sql"]}`); status != 200 {
		t.Fatalf("other scopes: %d %s", status, raw)
	}
	if status, _, _ := p.call(t, value, "POST", "/~acme/sql", `{"sql":"select 1"}`); status != 200 {
		t.Errorf("sql with the new scope: got %d", status)
	}
	for body, field := range map[string]string{`{"prefix":"x"}`: "prefix", `{"revokedAt":"2025-01-01"}`: "revokedAt", `{"scopes":["everything"]}`: "scopes", `{"kind":"public"}`: "kind"} {
		if status, got, raw := p.call(t, p.secret, "PATCH", "/~acme/ApiKey/"+id, body); status != 400 || got["field"] != field {
			t.Errorf("patch %s: got %d %s", body, status, raw)
		}
	}
	if status, _, _ := p.call(t, p.secret, "POST", "/~acme/ApiKey/"+id+"/rollback", ""); status != 405 {
		t.Errorf("rollback: got %d", status)
	}
	if status, _, raw := p.call(t, p.secret, "POST", "/~acme/batch", `[{"type":"ApiKey","verb":"create","data":{"name":"x"}}]`); status != 200 || !strings.Contains(raw, `"status":400`) {
		t.Errorf("a key within a batch, where nobody would see its value: got %d %s", status, raw)
	}
	if status, got, raw := p.call(t, p.secret, "POST", "/~acme/ApiKey/"+id+"/revoke", ""); status != 200 || got["revokedAt"] == nil {
		t.Errorf("revoke: got %d %s", status, raw)
	}
	if status, _, _ := p.call(t, value, "GET", "/~acme/Contact", ""); status != 401 {
		t.Errorf("a revoked key: got %d", status)
	}
}

func TestRotationKeepsTheOldValueForItsGrace(t *testing.T) {
	p := start(t)
	_, made, _ := p.call(t, p.secret, "POST", "/~acme/keys", `{"name":"ci","kind":"secret"}`)
	id, first := made["$id"].(string), made["key"].(string)
	works := func(key string) bool {
		t.Helper()
		status, _, _ := p.call(t, key, "GET", "/~acme/Contact", "")
		return status == 200
	}
	_, rotated, raw := p.call(t, p.secret, "POST", "/~acme/keys/"+id+"/rotate", `{"graceSeconds":3600}`)
	second, _ := rotated["key"].(string)
	if second == "" || second == first || rotated["$id"] != id {
		t.Fatalf("rotate: got %s", raw)
	}
	if !works(first) || !works(second) {
		t.Error("within the grace both values must work")
	}
	_, rotated, _ = p.call(t, second, "POST", "/~acme/ApiKey/"+id+"/rotate", "")
	third, _ := rotated["key"].(string)
	if works(first) || works(second) || !works(third) {
		t.Error("without a grace only the new value works")
	}
	again := open(t, p.dir)
	if _, ok := again.Authenticate(third); !ok {
		t.Error("after a restart the new value does not work")
	}
	if _, ok := again.Authenticate(second); ok {
		t.Error("after a restart an old value works")
	}
	if status, _, raw := p.call(t, third, "DELETE", "/~acme/keys/"+id, ""); status != 200 || works(third) {
		t.Errorf("a key that revokes itself: got %d %s", status, raw)
	}
}

func TestAScopedKeyHandsOnNoMoreThanItHas(t *testing.T) {
	p := start(t)
	_, made, _ := p.call(t, p.secret, "POST", "/~acme/ApiKey", `{"name":"maker","scopes":["keys","read"]}`)
	maker := made["key"].(string)
	for body, want := range map[string]int{`{"name":"x"}`: 403, `{"name":"x","scopes":["write"]}`: 403, `{"name":"x","scopes":["read"]}`: 201, `{"name":"x","scopes":["Contact:read"]}`: 201, `{"name":"x","scopes":["Contact:write"]}`: 403} {
		if status, _, raw := p.call(t, maker, "POST", "/~acme/ApiKey", body); status != want {
			t.Errorf("%s: got %d %s, want %d", body, status, raw, want)
		}
	}
	if status, _, raw := p.call(t, maker, "PATCH", "/~acme/ApiKey/"+made["$id"].(string), `{"scopes":[]}`); status != 403 {
		t.Errorf("its own scopes: got %d %s", status, raw)
	}
}

func TestAdminKeysAreMadeByAdmins(t *testing.T) {
	p := start(t)
	status, made, raw := p.call(t, p.admin, "POST", "/~/keys", `{"name":"ops"}`)
	if status != 201 || made["kind"] != "admin" {
		t.Fatalf("create: %d %s", status, raw)
	}
	if status, _, _ := p.call(t, made["key"].(string), "GET", "/~acme/Contact", ""); status != 200 {
		t.Errorf("the new admin key: got %d", status)
	}
	for _, bad := range []string{`"3600"`, `-1`, `2592001`} { // a grace that is not understood must not stop the key at once
		if status, body, raw := p.call(t, p.admin, "POST", "/~/keys/"+made["$id"].(string)+"/rotate", `{"graceSeconds":`+bad+`}`); status != 400 || body["field"] != "graceSeconds" {
			t.Errorf("a grace of %s: got %d %s", bad, status, raw)
		}
	}
	if status, _, _ := p.call(t, made["key"].(string), "GET", "/~acme/Contact", ""); status != 200 {
		t.Errorf("after rotations that were refused: got %d", status)
	}
	if status, _, _ := p.call(t, p.admin, "POST", "/~/keys/"+made["$id"].(string)+"/revoke", ""); status != 200 {
		t.Errorf("revoke: got %d", status)
	}
	if status, _, _ := p.call(t, made["key"].(string), "GET", "/~acme/Contact", ""); status != 401 {
		t.Errorf("revoked: got %d", status)
	}
	if status, _, _ := p.call(t, p.secret, "GET", "/~/keys", ""); status != 403 {
		t.Errorf("a tenant's key: got %d", status)
	}
}
