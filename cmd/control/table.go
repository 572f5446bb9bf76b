package control

import (
	"net/http"
	"strings"

	"github.com/headlessly/headlessly/connectors/graph"
)

// served is one thing that is served below /~{tenant}/ besides the entities'
// own paths. Whether it is there depends on the parts that the plane was given.
type served struct {
	// method and path are as the OpenAPI document writes them: /keys/{id}.
	method, path string
	answer       func(c call, args []string)
}

// plain is a route whose path has nothing to fill in.
func plain(method, path string, answer func(call)) served {
	return served{method, path, func(c call, _ []string) { answer(c) }}
}

// one is a route whose path has one thing to fill in.
func one(method, path string, answer func(c call, arg string)) served {
	return served{method, path, func(c call, args []string) { answer(c, args[0]) }}
}

// table is everything that lies below /~{tenant}/ besides the entity types. A
// literal part goes before one that is filled in.
func (p *Plane) table() []served {
	list := []served{
		plain(http.MethodGet, "/openapi.json", func(c call) { p.openapi(c.w, c.tenant) }),
		plain(http.MethodPost, "/sql", p.sql),
		one(http.MethodGet, "/sql/{id}", p.progress),
		plain(http.MethodGet, "/status", p.showStatus),
		plain(http.MethodGet, "/events/live", p.live),
		plain(http.MethodGet, "/keys", p.listKeys),
		plain(http.MethodPost, "/keys", p.createKey),
		one(http.MethodGet, "/keys/{id}", p.showKey),
		one(http.MethodPatch, "/keys/{id}", func(c call, id string) { p.changeKey(c, id, "update") }),
		one(http.MethodDelete, "/keys/{id}", func(c call, id string) { p.changeKey(c, id, "revoke") }),
		one(http.MethodPost, "/keys/{id}/revoke", func(c call, id string) { p.changeKey(c, id, "revoke") }),
		one(http.MethodPost, "/keys/{id}/rotate", func(c call, id string) { p.changeKey(c, id, "rotate") }),
	}
	if p.cfg.Graph != nil {
		list = append(list, p.graphTable()...)
	}
	if p.cfg.Forwarding != nil {
		list = append(list, p.forwardingTable()...)
	}
	if p.cfg.Forgetting != nil {
		list = append(
			list,
			plain(http.MethodPost, "/forget", p.forget),
			plain(http.MethodDelete, "/forget", p.liftForget),
			plain(http.MethodPost, "/forget/verify", p.verifyForget),
			one(http.MethodGet, "/forget/{id}", p.forgetReceipt),
		)
	}
	if p.cfg.Webhooks != nil {
		list = append(list, p.webhookTable()...)
	}
	if p.cfg.MCP != nil {
		list = append(list, plain(http.MethodPost, "/mcp", p.mcp))
	}
	if p.cfg.Hooks != nil {
		remote := func(c call, args []string) { p.cfg.Hooks.REST(c.w, c.r, c.tenant, strings.Join(args, "/")) }
		list = append(
			list,
			served{http.MethodGet, "/hooks", remote},
			served{http.MethodDelete, "/hooks/{hook}/{name}", remote},
			plain(http.MethodGet, "/"+hooksSocket, func(c call) { p.cfg.Hooks.WebSocket(c.w, c.r, c.tenant) }),
		)
	}
	return list
}

// graphTable is what stands on the graph.
func (p *Plane) graphTable() []served {
	list := []served{
		plain(http.MethodGet, "/metrics", func(c call) { p.metrics(c, "") }),
		one(http.MethodGet, "/metrics/{name}", p.metrics),
		plain(http.MethodGet, "/events", p.scoped(func(c call, sc *graph.Scope) { p.listEvents(c, sc, "") })),
		plain(http.MethodGet, "/events/stream", p.scoped(p.sse)),
		plain(http.MethodGet, "/events/ws", p.scoped(p.ws)),
		plain(http.MethodPost, "/batch", p.runBatch),
		plain(http.MethodGet, "/export", p.runExport),
		plain(http.MethodPost, "/import", p.runImport),
		plain(http.MethodPost, "/graph/rebuild", p.rebuild),
	}
	// Handlers are entities; these are their other paths.
	for _, r := range []string{
		"GET /handlers", "POST /handlers", "POST /handlers/find", "GET /handlers/count", "GET /handlers/{id}", "PATCH /handlers/{id}", "PUT /handlers/{id}", "DELETE /handlers/{id}", "POST /handlers/{id}/{verb}",
	} {
		method, path, _ := strings.Cut(r, " ")
		_, literal, _ := strings.Cut(path[1:], "/")
		list = append(list, served{method, path, func(c call, args []string) {
			if literal != "" && len(args) == 0 {
				args = []string{literal}
			}
			p.entities(c, append([]string{handlerType}, args...))
		}})
	}
	if p.cfg.Handlers != nil {
		list = append(list, one(http.MethodGet, "/handlers/{id}/runs", p.runs))
	}
	return list
}

// forwardingTable is about what became of events at their destinations.
func (p *Plane) forwardingTable() []served {
	jobs := p.cfg.Forwarding.Replays()
	return []served{
		one(http.MethodGet, "/events/{id}/trace", p.trace),
		plain(http.MethodGet, "/deliveries", p.deliveries),
		plain(http.MethodGet, "/replays", func(c call) {
			writeJSON(c.w, http.StatusOK, map[string]any{"results": jobs.List(c.tenant)})
		}),
		plain(http.MethodPost, "/replays", p.startReplay),
		one(http.MethodGet, "/replays/{id}", func(c call, id string) { p.job(c, jobs.Get, id) }),
		one(http.MethodPost, "/replays/{id}/stop", func(c call, id string) { p.job(c, jobs.Stop, id) }),
		one(http.MethodPost, "/replays/{id}/resume", func(c call, id string) { p.job(c, jobs.Resume, id) }),
	}
}

// match gives what fills a path in, if the parts are of its form.
func (s *served) match(parts []string) (args []string, ok bool) {
	path := strings.Split(s.path[1:], "/")
	if len(path) != len(parts) {
		return nil, false
	}
	for i, p := range path {
		switch {
		case strings.HasPrefix(p, "{") && parts[i] != "":
			args = append(args, parts[i])
		case p != parts[i]:
			return nil, false
		}
	}
	return args, true
}

// fixed answers a request by the table; ok is false where the table has no such
// first part, which may then be an entity type's.
func (p *Plane) fixed(c call, parts []string) (ok bool) {
	list := p.routes[parts[0]]
	allowed := methods{}
	for _, r := range list {
		if args, fits := r.match(parts); fits && allowed[r.method] == nil {
			allowed[r.method] = func() { r.answer(c, args) }
		}
	}
	switch {
	case len(allowed) > 0:
		c.methods(allowed)
	case len(list) > 0:
		c.nothing()
	}
	return len(list) > 0
}
