package collector

import (
	"strings"
	"unsafe"

	"github.com/valyala/fasthttp"
)

// handle routes a request of the public listener.
func (c *Collector) handle(ctx *fasthttp.RequestCtx) {
	path := view(ctx.Path())
	if c.cfg.PathPrefix != "" {
		if rest, ok := strings.CutPrefix(path, c.cfg.PathPrefix); ok {
			path = rest
		}
	}
	if c.cfg.HealthOnly {
		c.handleHealth(ctx, path, "this gateway does not collect: it serves /healthz, /readyz and /metrics")
		return
	}
	switch path {
	case "/e":
		c.withCORS(ctx, fasthttp.MethodPost, func(ctx *fasthttp.RequestCtx) { c.timed(ctx, func() { c.ingest(ctx, face{}) }) })
	case "/e/ndjson":
		c.withCORS(ctx, fasthttp.MethodPost, func(ctx *fasthttp.RequestCtx) { c.timed(ctx, func() { c.ndjson(ctx) }) })
	case "/e.gif":
		c.withCORS(ctx, fasthttp.MethodGet, func(ctx *fasthttp.RequestCtx) { c.timed(ctx, func() { c.pixel(ctx) }) })
	case "/e/flags":
		c.withCORS(ctx, fasthttp.MethodPost, func(ctx *fasthttp.RequestCtx) {
			ctx.SetContentType(contentJSON)
			ctx.SetBodyString(`{"flags":{}}`)
		})
	case "/v1", "/v1.js":
		c.get(ctx, c.scripts.serve)
	case "/v1/m": // analytics.js's own telemetry, which nobody needs
		c.withCORS(ctx, fasthttp.MethodPost, func(ctx *fasthttp.RequestCtx) { c.answerSegment(ctx, 0, nil) })
	default:
		c.handleRest(ctx, path)
	}
}

// handleRest routes the paths that are families.
func (c *Collector) handleRest(ctx *fasthttp.RequestCtx, path string) {
	if twin := c.scripts.byPath[path]; twin != nil {
		c.get(ctx, func(ctx *fasthttp.RequestCtx) { twin.serve(ctx, true) })
		return
	}
	f, segment := segmentFace(path)
	tenant, provider, integration, inbound := inboundPath(path)
	switch {
	case inbound && c.cfg.Inbound != nil:
		if !ctx.IsPost() {
			ctx.Response.Header.Set(fasthttp.HeaderAllow, fasthttp.MethodPost)
			c.refuse(ctx, newReply(405, "method_not_allowed", "", "use POST"))
			return
		}
		c.timed(ctx, func() { c.receive(ctx, tenant, provider, integration) })
	case segment:
		c.withCORS(ctx, fasthttp.MethodPost, func(ctx *fasthttp.RequestCtx) { c.timed(ctx, func() { c.ingest(ctx, f) }) })
	case isSettings(path):
		c.get(ctx, func(ctx *fasthttp.RequestCtx) { c.settings(ctx, path) })
	default:
		if tenant, rest, kind, ok := tunnelPath(path); ok && c.cfg.Tunnel != nil {
			c.timed(ctx, func() { c.tunnel(ctx, tenant, rest, kind) })
			return
		}
		c.handleHealth(ctx, path, "there is nothing at this path; events go to POST /e, the script is at /v1")
	}
}

// handleHealth routes what operators ask, and says of other paths what is wrong.
func (c *Collector) handleHealth(ctx *fasthttp.RequestCtx, path, otherwise string) {
	switch path {
	case "/healthz":
		c.get(ctx, c.healthz)
	case "/readyz":
		c.get(ctx, c.readyz)
	case "/metrics":
		c.get(ctx, c.serveMetrics)
	default:
		c.refuse(ctx, newReply(404, "not_found", "", otherwise))
	}
}

func (c *Collector) timed(ctx *fasthttp.RequestCtx, next func()) {
	c.metrics.requests.Inc()
	start := c.cfg.Clock()
	c.traced(ctx, next)
	c.metrics.seconds.Update(c.cfg.Clock().Sub(start).Seconds())
	if comesAgain(ctx.Response.StatusCode()) {
		c.pace.hold()
	}
}

func (c *Collector) get(ctx *fasthttp.RequestCtx, next fasthttp.RequestHandler) {
	if !ctx.IsGet() && !ctx.IsHead() {
		ctx.Response.Header.Set(fasthttp.HeaderAllow, "GET, HEAD")
		c.refuse(ctx, newReply(405, "method_not_allowed", "", "use GET"))
		return
	}
	next(ctx)
}

// withCORS answers preflights and lets any page read the answer. Credentials
// are never allowed: nothing here depends on cookies.
func (c *Collector) withCORS(ctx *fasthttp.RequestCtx, method string, next fasthttp.RequestHandler) {
	h := &ctx.Response.Header
	setHeader(h, fasthttp.HeaderAccessControlAllowOrigin, "*")
	if ctx.IsOptions() {
		h.Set(fasthttp.HeaderAccessControlAllowMethods, method)
		h.Set(fasthttp.HeaderAccessControlAllowHeaders, "Authorization, Content-Type, Content-Encoding, X-Retry-Count")
		h.Set(fasthttp.HeaderAccessControlMaxAge, "86400")
		ctx.SetStatusCode(fasthttp.StatusNoContent)
		return
	}
	setHeader(h, fasthttp.HeaderAccessControlExposeHeaders, fasthttp.HeaderRetryAfter)
	setHeader(h, fasthttp.HeaderXContentTypeOptions, "nosniff")
	setHeader(h, fasthttp.HeaderCacheControl, "no-store")
	if view(ctx.Method()) != method {
		h.Set(fasthttp.HeaderAllow, method+", OPTIONS")
		c.refuse(ctx, newReply(405, "method_not_allowed", "", "use "+method))
		return
	}
	next(ctx)
}

// setHeader sets a header whose name is written as in HTTP's registry, which
// saves bringing it into that form.
func setHeader(h *fasthttp.ResponseHeader, name, value string) {
	h.SetCanonical(unsafe.Slice(unsafe.StringData(name), len(name)), unsafe.Slice(unsafe.StringData(value), len(value))) //nolint:gosec // both are only read, and copied
}

func (c *Collector) healthz(ctx *fasthttp.RequestCtx) {
	ctx.SetContentType(contentJSON)
	ctx.SetBodyString(`{"status":"alive","durability":"fsync"}`)
}

// readyz is 200 only while the log accepts writes.
func (c *Collector) readyz(ctx *fasthttp.RequestCtx) {
	if err := c.cfg.Ready(); err != nil {
		c.refuse(ctx, newReply(503, "not_ready", "", err.Error()))
		return
	}
	ctx.SetContentType(contentJSON)
	ctx.SetBodyString(`{"status":"ready"}`)
}

func (c *Collector) serveMetrics(ctx *fasthttp.RequestCtx) {
	ctx.SetContentType("text/plain; version=0.0.4; charset=utf-8")
	c.WriteMetrics(ctx)
	for _, write := range c.cfg.Metrics {
		write(ctx)
	}
}
