package collector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/enrich"
	"github.com/headlessly/headlessly/collector/tee"
)

// tunnelPath splits a tunnelled path: the tenant that it may name, and the path
// as the provider knows it.
func tunnelPath(path string) (tenant, rest string, kind tee.Kind, ok bool) {
	rest = path
	if named, found := strings.CutPrefix(path, "/~"); found {
		tenant, rest, found = strings.Cut(named, "/")
		if !found || !headlessly.ValidTenant(tenant) {
			return "", "", 0, false
		}
		rest = "/" + rest
	}
	kind, ok = tee.Match(rest)
	return tenant, rest, kind, ok
}

// tunnel takes a request of another vendor's browser SDK: its events are
// durable before it is passed on unchanged to the tenant's own provider, whose
// answer goes back. What cannot be read of it is kept as rejected and passed on
// all the same.
func (c *Collector) tunnel(ctx *fasthttp.RequestCtx, tenant, path string, kind tee.Kind) {
	c.tunnelCORS(ctx)
	if ctx.IsOptions() {
		ctx.SetStatusCode(fasthttp.StatusNoContent)
		return
	}
	if !kind.Method(view(ctx.Method())) {
		ctx.Response.Header.Set(fasthttp.HeaderAllow, "GET, POST, OPTIONS")
		c.refuse(ctx, newReply(405, "method_not_allowed", "", "this path has another method at its provider"))
		return
	}
	route, out, refusal := c.tee(ctx, tenant, path, kind)
	if refusal != nil {
		c.refuse(ctx, refusal)
		return
	}
	c.metrics.tunnelled.Inc()
	answer, err := route.Pass(context.Background(), out) // it has a deadline of its own
	switch {
	case errors.Is(err, headlessly.ErrTunnelBusy):
		c.refuse(ctx, newReply(503, codeOverloaded, "", "too many requests wait for this provider already; the events are stored, and were not passed on"))
	case err != nil:
		c.metrics.tunnelFailed.Inc()
		c.refuse(ctx, newReply(502, "provider_unreachable", "", "the provider could not be reached; the events are stored, and may not have been passed on"))
	default:
		ctx.SetStatusCode(answer.Status)
		for name, values := range answer.Header {
			for _, v := range values {
				if name == fasthttp.HeaderVary {
					ctx.Response.Header.Add(name, v)
				} else {
					ctx.Response.Header.Set(name, v)
				}
			}
		}
		ctx.SetBody(answer.Body)
	}
}

// tee stores the events of a request and gives what is to be passed on, in
// memory of its own: it outlives what the server owns.
func (c *Collector) tee(ctx *fasthttp.RequestCtx, tenant, path string, kind tee.Kind) (headlessly.TunnelRoute, *headlessly.TunnelRequest, *errorReply) {
	b := c.batches.get()
	defer c.batches.put(b)
	if refusal := b.visit.enter(c.door, tenant); refusal != nil {
		return nil, nil, refusal
	}
	body, err := c.read(ctx, &b.visit)
	if err != nil {
		return nil, nil, c.readReply(ctx, err)
	}
	if refusal := b.visit.begin(c.door, c.unnamedClient(ctx, &b.visit), len(body)); refusal != nil {
		return nil, nil, refusal
	}
	in := tee.Request{
		Path: path, Query: view(ctx.URI().QueryString()), Body: body, Now: c.cfg.Clock(),
		Header: func(name string) string { return view(ctx.Request.Header.Peek(name)) },
		Inflate: func(encoding string, body []byte) ([]byte, error) {
			err := c.decoders.decode(&b.visit, c.door, encoding, body, c.limits())
			if err == nil && !b.visit.reserve(c.door, int64(len(b.visit.unpacked))) {
				err = errBusy
			}
			return bytes.Clone(b.visit.unpacked), err // it may be asked again
		},
	}
	read, fault := tee.Read(kind, &in)
	if errors.Is(fault, errBusy) {
		return nil, nil, busyReply()
	}
	read.Claim.Tenant = tenant
	own := view(ctx.Host()) // a DSN may have been pointed at this very address
	read.Claim.Hosts = slices.DeleteFunc(read.Claim.Hosts, func(h string) bool { return strings.EqualFold(h, own) })
	route, err := c.cfg.Tunnel.Find(&read.Claim)
	if err != nil {
		return nil, nil, tunnelRefusal(err, fault)
	}
	// A script tag asks for files without an Origin header, and files are public.
	who := caller{tenant: route.Tenant(), keyed: kind.Static(), secret: kind.Static()}
	policy, refusal := c.admit(who, string(ctx.Request.Header.Peek(fasthttp.HeaderOrigin)))
	if refusal == nil {
		refusal = b.visit.enter(c.door, who.tenant)
	}
	if refusal != nil {
		return nil, nil, refusal
	}
	if fault != nil && kind.Events() {
		b.visit.pause()
		c.keepRejected(ctx, who.tenant, body, newReply(400, "invalid_"+kind.Provider(), "body", fault.Error()))
	} else if refusal := c.keepTeed(ctx, b, who.tenant, &policy, read.Events); refusal != nil {
		return nil, nil, refusal
	}
	ip := c.clientIP(ctx).String()
	if !policy.KeepIP {
		ip = enrich.TruncateIP(ip)
	}
	return route, &headlessly.TunnelRequest{
		Method: string(ctx.Method()), Path: strings.Clone(path), Query: string(ctx.URI().QueryString()), Header: header(&ctx.Request.Header),
		Body: bytes.Clone(body), IP: ip, Asset: kind.Static(),
	}, nil
}

// tunnelRefusal answers a request that leads nowhere.
func tunnelRefusal(err, fault error) *errorReply {
	switch {
	case errors.Is(err, headlessly.ErrTunnelAmbiguous):
		return newReply(409, "ambiguous_tenant", "", err.Error())
	case fault != nil:
		return newReply(400, "invalid_request", "", fault.Error())
	}
	return newReply(403, "unknown_project", "", "no tenant of this gateway has connected this project; requests are passed on to a tenant's own provider only")
}

// keepTeed makes a request's events durable. What is at fault is kept as
// rejected; only a log that takes nothing, or a tenant's bound, is a refusal.
func (c *Collector) keepTeed(ctx *fasthttp.RequestCtx, b *batch, tenant string, policy *Policy, events []json.RawMessage) *errorReply {
	if len(events) == 0 {
		return nil
	}
	now := c.cfg.Clock()
	if refusal := b.visit.tenant.spend(now, len(events), policy); refusal != nil {
		return refusal
	}
	text := append(append([]byte{'['}, bytes.Join(rawBytes(events), []byte{','})...), ']')
	root, sh, refusal := c.parse(b, text)
	if refusal != nil && refusal.status >= 500 {
		return refusal
	}
	if refusal != nil {
		c.keepRejected(ctx, tenant, text, refusal)
		return nil
	}
	b.request, b.forgotten = c.request(ctx, now, policy), policy.Forgotten
	b.span = spanned(ctx)
	if c.cfg.Dedupe != nil {
		c.cfg.Dedupe.Begin(&b.ids, tenant)
		defer b.ids.Release()
	}
	accepted, strict := 0, strictly(text, sh)
	for i, v := range root.GetArray() {
		if fault := c.one(b, v, tenant, 0, strict); fault != nil {
			c.rejectOne(ctx, b, v, tenant, i, fault, "events")
			continue
		}
		accepted++
	}
	b.parsed(c.door)
	if _, err := c.append(b, 0); err != nil {
		return logRefusal(err)
	}
	c.count(b.visit.tenant, tenant, policy, accepted-b.repeated, b.repeated)
	return nil
}

func rawBytes(list []json.RawMessage) [][]byte {
	out := make([][]byte, len(list))
	for i, r := range list {
		out[i] = r
	}
	return out
}

// header copies a request's headers; which of them go on is the tunnel's
// business.
func header(h *fasthttp.RequestHeader) http.Header {
	out := http.Header{}
	for k, v := range h.All() {
		out.Add(string(k), string(v)) // in the canonical spelling
	}
	return out
}

// tunnelCORS lets any page read the answer, as the providers do. gtag asks with
// credentials; nothing here looks at a cookie.
func (c *Collector) tunnelCORS(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	origin := ctx.Request.Header.Peek(fasthttp.HeaderOrigin)
	if len(origin) == 0 {
		h.Set(fasthttp.HeaderAccessControlAllowOrigin, "*")
	} else {
		h.SetBytesV(fasthttp.HeaderAccessControlAllowOrigin, origin)
		h.Set(fasthttp.HeaderAccessControlAllowCredentials, "true")
		h.Set(fasthttp.HeaderVary, "Origin")
	}
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set(fasthttp.HeaderAccessControlExposeHeaders, "Retry-After, X-Sentry-Rate-Limits, X-Sentry-Error")
	if ctx.IsOptions() {
		h.Set(fasthttp.HeaderAccessControlAllowMethods, "GET, POST, OPTIONS")
		h.Set(fasthttp.HeaderAccessControlMaxAge, "86400")
		if asked := ctx.Request.Header.Peek(fasthttp.HeaderAccessControlRequestHeaders); len(asked) > 0 && len(asked) < 1024 {
			h.SetBytesV(fasthttp.HeaderAccessControlAllowHeaders, asked)
		}
	}
}
