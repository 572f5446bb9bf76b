package control

import (
	"net/http"
	"strings"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/hooks"
	"github.com/headlessly/headlessly/connectors/store"
)

// Authenticate finds a key's value and checks that it may act for a tenant. The
// error is a *graph.Error that says what to do.
func Authenticate(s *store.Store, tenant, value string) (headlessly.Key, error) {
	refuse := func(code graph.Code, field, message string) (headlessly.Key, error) {
		return headlessly.Key{}, &graph.Error{Code: code, Field: field, Message: message}
	}
	if value == "" {
		return refuse(graph.CodeUnauthorized, "key", "send Authorization: Bearer hly_sk_…")
	}
	key, ok := s.Authenticate(value)
	switch {
	case !ok:
		return refuse(graph.CodeUnauthorized, "key", "the key is unknown or revoked")
	case key.Kind == headlessly.KeyPublic:
		return refuse(graph.CodeForbidden, "key", "a public key only appends events; use the secret key (hly_sk_…)")
	case key.Kind != headlessly.KeyAdmin && key.Tenant != tenant:
		return refuse(graph.CodeForbidden, "tenant", "the key belongs to another tenant")
	case tenant != "" && !s.HasTenant(tenant), tenant == "" && key.Kind != headlessly.KeyAdmin:
		return refuse(graph.CodeNotFound, "tenant", "there is no such tenant; declare it under tenants in the configuration file")
	}
	return key, nil
}

// SQLCaller finds the tenant whose tables a key may ask: its own or, with an
// admin key, the one that is named; "" are all of them. Each call is one of the
// requests that the key has in a minute, here and in REST together.
func (p *Plane) SQLCaller(named, value string) (tenant string, err error) {
	tenant = named
	if k, ok := p.cfg.Store.Authenticate(value); ok && tenant == "" {
		tenant = k.Tenant
	}
	key, err := Authenticate(p.cfg.Store, tenant, value)
	if err != nil {
		return "", err
	}
	if left, ends := p.rates.take(key.ID); left < 0 {
		return "", p.rates.refusal(ends)
	}
	if !allows(key.Scopes, ScopeSQL, "") {
		return "", outOfScope(ScopeSQL, "")
	}
	return tenant, nil
}

// bearer is the key that a request carries, "" without one.
func bearer(r *http.Request) string {
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(value)
}

// authenticate finds the caller's key, or answers why there is none.
func (p *Plane) authenticate(w http.ResponseWriter, r *http.Request, tenant string) (headlessly.Key, bool) {
	key, err := Authenticate(p.cfg.Store, tenant, bearer(r))
	switch {
	case err == nil && r.Header.Get("Origin") != "":
		err = &graph.Error{Code: graph.CodeForbidden, Field: "key", Message: "a secret key came from a browser: revoke it, and call from a server"}
	case err == nil && tenant == "" && !everyTenant(r.URL.Path):
		err = &graph.Error{Code: graph.CodeNotFound, Field: "tenant", Message: "there is no such tenant; declare it under tenants in the configuration file"}
	}
	if err == nil {
		return key, true
	}
	if graph.CodeOf(err) == graph.CodeUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	p.fail(call{w: w, r: r, tenant: tenant}, err)
	return headlessly.Key{}, false
}

// hooksSocket is where clients connect that run hooks.
const hooksSocket = "hooks/ws"

// HookCaller says who a key is to the server of remote hooks.
func HookCaller(s *store.Store) func(tenant, value string) (hooks.Caller, error) {
	return func(tenant, value string) (hooks.Caller, error) {
		key, err := Authenticate(s, tenant, value)
		if err != nil {
			return hooks.Caller{}, err
		}
		return hooks.Caller{Actor: key.ID, May: func(write bool, typ string) bool {
			if typ == apiKeyType {
				return allows(key.Scopes, ScopeKeys, "")
			}
			scope := ScopeRead
			if write {
				scope = ScopeWrite
			}
			return allows(key.Scopes, scope, typ)
		}}, nil
	}
}

// everyTenant says whether a path is one of those that belong to no tenant: SQL
// over all of them, and the admin keys.
func everyTenant(path string) bool {
	for _, p := range []string{"/~/sql", "/~/keys", "/~/graph"} {
		if path == p || strings.HasPrefix(path, p+"/") {
			return true
		}
	}
	return false
}

// headerCause names the event whose hook a client acts in; the hook was given
// its value.
const headerCause = "X-Headlessly-Cause"

// scope is the graph as the caller sees it, inside the hook that the call
// comes from, if any.
func (p *Plane) scope(c call) (*graph.Scope, error) {
	scope, err := p.cfg.Graph.Scope(c.tenant, c.key.ID)
	if cause := c.r.Header.Get(headerCause); err == nil && cause != "" {
		return scope.Because(cause)
	}
	return scope, err
}
