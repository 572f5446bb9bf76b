package e2e_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryServedRouteRefusesForeignKeys takes every route that the running
// gateway's own OpenAPI document names and tries it with every sort of key that
// must not pass. What a tenant's own keys may do is the control plane's table.
func TestEveryServedRouteRefusesForeignKeys(t *testing.T) {
	g := newGateway(t, "tenants: {alpha: {}, beta: {}}")
	admin := g.credentials(t).AdminKey
	key := func(tenant, kind string) answer {
		return g.rest(t, admin, http.MethodPost, "/~"+tenant+"/keys", `{"name":"k","kind":"`+kind+`"}`, 201)
	}
	own, gone := key("alpha", "secret").text("key"), key("alpha", "secret")
	g.rest(t, admin, http.MethodDelete, "/~alpha/keys/"+gone.text("$id"), "", 200)
	foreign := []struct {
		name, key string
		want      int
	}{
		{"no key", "", http.StatusUnauthorized},
		{"a key that is none", "hly_sk_nothing", http.StatusUnauthorized},
		{"a public key", key("alpha", "public").text("key"), http.StatusForbidden},
		{"another tenant's key", key("beta", "secret").text("key"), http.StatusForbidden},
		{"a revoked key", gone.text("key"), http.StatusUnauthorized},
	}
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(g.rest(t, own, http.MethodGet, "/~alpha/openapi.json", "", 200).raw), &document); err != nil {
		t.Fatal(err)
	}
	methods := []string{"get", "post", "put", "patch", "delete"}
	placeholder := regexp.MustCompile(`\{[^}]*\}`)
	tried := 0
	for path, item := range document.Paths {
		for method := range item {
			if !slices.Contains(methods, method) {
				continue
			}
			tried++
			for _, c := range foreign {
				a, err := g.do(t.Context(), c.key, strings.ToUpper(method), "/~alpha"+placeholder.ReplaceAllString(path, "x"), "")
				if err != nil {
					t.Fatal(err)
				}
				// A browser cannot give a WebSocket a header: its key is the first message.
				if c.key == "" && path == "/hooks/ws" && a.status == http.StatusUpgradeRequired {
					continue
				}
				if a.status != c.want {
					t.Errorf("%s %s with %s: got %d %.200s, want %d", method, path, c.name, a.status, a.raw, c.want)
				}
			}
		}
	}
	if tried < 100 {
		t.Errorf("only %d routes were tried", tried)
	}
}
