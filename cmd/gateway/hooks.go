package gateway

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/cmd/config"
	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/handlers"
	"github.com/headlessly/headlessly/connectors/hooks"
	"github.com/headlessly/headlessly/connectors/mcp"
	"github.com/headlessly/headlessly/connectors/sandbox"
	"github.com/headlessly/headlessly/lakehouse"
)

// Version is the gateway's version.
const Version = headlessly.Version

// openHooks makes what runs users' code ready: the server of clients that run
// hooks in their own processes, the sandbox, the handlers stored here, and the
// agents' door.
func (g *Gateway) openHooks(context.Context) (err error) {
	g.hooks = hooks.New(hooks.Config{Store: g.graph, Authenticate: control.HookCaller(g.store), Logger: g.logger})
	g.onClose(func(context.Context) error { g.hooks.Close(); return nil })
	g.sandbox = sandbox.New(sandboxConfig(&g.cfg, g.logger))
	g.onClose(func(context.Context) error { g.sandbox.Close(); return nil })
	g.handlers, err = handlers.New(handlers.Config{Store: g.graph, Sandbox: g.sandbox, Tenants: g.store.Tenants, Status: g.status, Logger: g.logger})
	if err != nil {
		return err
	}
	g.mcp, err = mcp.New(mcp.Config{Store: g.graph, Sandbox: g.sandbox, Status: g.status, SQL: g.programSQL, Docs: headlessly.Docs, Version: Version, Logger: g.logger})
	return err
}

// sandboxConfig is the sandbox's configuration within the gateway's.
func sandboxConfig(cfg *config.Config, logger *slog.Logger) sandbox.Config {
	c, want := sandbox.Default(), cfg.Sandbox
	c.Logger = logger
	c.Timeout, c.Memory = cmp.Or(want.Timeout, c.Timeout), cmp.Or(int64(want.Memory), c.Memory)
	c.MaxCalls, c.MaxWrites, c.Operations = cmp.Or(want.Calls, c.MaxCalls), cmp.Or(want.Changes, c.MaxWrites), cmp.Or(want.Operations, c.Operations)
	return c
}

// maxProgramRows bounds what a program's query gives it.
const maxProgramRows = 10_000

// programSQL answers $.sql.
func (g *Gateway) programSQL(ctx context.Context, tenant, sql string) ([]json.RawMessage, error) {
	return programRows(ctx, tenant, sql, g.sql)
}

// programRows gives a query's rows as objects: all of them, or an error. A
// program would take a part for the whole.
func programRows(ctx context.Context, tenant, sql string, ask func(ctx context.Context, tenant string, q control.Query, w io.Writer) error) ([]json.RawMessage, error) {
	var out bytes.Buffer
	cut := false
	err := ask(ctx, tenant, control.Query{SQL: sql, Format: "ndjson", MaxRows: maxProgramRows, Cut: func() { cut = true }}, &out)
	if bad := control.AsQueryError(err); bad != nil {
		return nil, &graph.Error{Code: graph.Code(bad.Code), Field: "sql", Message: bad.Message}
	}
	if err != nil {
		return nil, err
	}
	if cut {
		return nil, &graph.Error{Code: lakehouse.CodeTooLarge, Field: "sql", Message: fmt.Sprintf("the query gives more than %d rows: group or count them in the query, or add a LIMIT", maxProgramRows)}
	}
	rows := []json.RawMessage{}
	for line := range bytes.Lines(out.Bytes()) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			rows = append(rows, json.RawMessage(line))
		}
	}
	return rows, nil
}
