package control

import (
	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/mcp"
	"github.com/headlessly/headlessly/connectors/sandbox"
)

// mcp hands an agent's request on, with what its key may do.
func (p *Plane) mcp(c call) {
	scope, err := p.scope(c)
	if err != nil {
		p.fail(c, err)
		return
	}
	p.cfg.MCP.Serve(c.w, c.r, mcp.Caller{Scope: scope, Permit: permits(c.key)})
}

// permits is what a key's scopes let a program or an agent do.
func permits(key headlessly.Key) func(kind, typ string) error {
	return func(kind, typ string) error {
		scope := map[string]string{sandbox.AccessRead: ScopeRead, sandbox.AccessWrite: ScopeWrite, sandbox.AccessSQL: ScopeSQL}[kind]
		if typ == apiKeyType {
			scope, typ = ScopeKeys, ""
		}
		if allows(key.Scopes, scope, typ) {
			return nil
		}
		return outOfScope(scope, typ)
	}
}
