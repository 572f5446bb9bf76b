package gateway

import (
	"context"

	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/connectors/hooks"
)

// openHooks makes the server of clients that run hooks in their own processes.
func (g *Gateway) openHooks(context.Context) error {
	g.hooks = hooks.New(hooks.Config{Store: g.graph, Authenticate: control.HookCaller(g.store), Logger: g.logger})
	g.onClose(func(context.Context) error { g.hooks.Close(); return nil })
	return nil
}
