package control

import (
	"net/http"
	"slices"
	"strings"

	"github.com/headlessly/headlessly/connectors/graph"
)

// Scopes narrow what a secret key may do. A key without scopes may do
// everything that its kind may.
const (
	ScopeRead  = "read"  // entities and their events
	ScopeWrite = "write" // every verb
	ScopeSQL   = "sql"
	ScopeKeys  = "keys" // the tenant's keys
)

// scopeOf is the scope that a request needs: its name, and the type that a
// narrower scope (Contact:read) may name.
func scopeOf(r *http.Request, parts []string) (scope, typ string) {
	switch parts[0] {
	case "sql":
		return ScopeSQL, ""
	case "keys", apiKeyType:
		return ScopeKeys, ""
	case "batch", "mcp": // each operation for itself
		return "", ""
	}
	if parts[0] != "" && parts[0][0] >= 'A' && parts[0][0] <= 'Z' {
		typ = parts[0]
	}
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if typ != "" && len(parts) == 2 {
		reads = reads || slices.Contains([]string{"find", "count", "get"}, parts[1])
	}
	if reads {
		return ScopeRead, typ
	}
	return ScopeWrite, typ
}

const apiKeyType = "ApiKey"

// allows says whether scopes hold a scope, or its narrower form for a type.
func allows(scopes []string, scope, typ string) bool {
	return len(scopes) == 0 || scope == "" || slices.Contains(scopes, scope) || typ != "" && slices.Contains(scopes, typ+":"+scope)
}

// permits refuses what the key's scopes do not hold, within a batch.
func (c call) permits(typ, _ string) error {
	scope := ScopeWrite
	if typ == apiKeyType {
		scope, typ = ScopeKeys, ""
	}
	if allows(c.key.Scopes, scope, typ) {
		return nil
	}
	return outOfScope(scope, typ)
}

func outOfScope(scope, typ string) error {
	need := scope
	if typ != "" {
		need += " or " + typ + ":" + scope
	}
	return &graph.Error{Code: graph.CodeForbidden, Type: typ, Field: "key", Message: "the key's scopes do not allow this; it needs " + need}
}

// validScope says whether a text is a scope.
func validScope(types *graph.Types, s string) bool {
	if slices.Contains([]string{ScopeRead, ScopeWrite, ScopeSQL, ScopeKeys}, s) {
		return true
	}
	typ, scope, ok := strings.Cut(s, ":")
	if !ok || scope != ScopeRead && scope != ScopeWrite {
		return false
	}
	_, err := types.Lookup(typ)
	return err == nil
}

// cutScope takes a scope that names a type apart.
func cutScope(s string) (typ, scope string, ok bool) { return strings.Cut(s, ":") }
