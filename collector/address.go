package collector

import (
	"net/netip"
	"strings"

	"github.com/valyala/fasthttp"
)

// clientIP gives the client's address: the peer's, or, where the peer is a
// trusted proxy, the last one that X-Forwarded-For names and that is no trusted
// proxy itself. What stands before it in the header may be made up.
func (c *Collector) clientIP(ctx *fasthttp.RequestCtx) netip.Addr {
	a, ok := netip.AddrFromSlice(ctx.RemoteIP())
	if !ok {
		return netip.Addr{}
	}
	a = a.Unmap()
	if len(c.cfg.TrustedProxies) == 0 || !c.isProxy(a) {
		return a
	}
	var parts []string
	for _, h := range ctx.Request.Header.PeekAll(fasthttp.HeaderXForwardedFor) {
		parts = append(parts, strings.Split(string(h), ",")...)
	}
	for i := len(parts) - 1; i >= 0; i-- {
		next, ok := forwarded(strings.TrimSpace(parts[i]))
		if !ok {
			return a
		}
		if a = next; !c.isProxy(a) {
			return a
		}
	}
	return a
}

// unnamedClient is the client of a visit whose tenant is not known yet.
func (c *Collector) unnamedClient(ctx *fasthttp.RequestCtx, v *visit) netip.Addr {
	if v.tenant != nil {
		return netip.Addr{}
	}
	return c.clientIP(ctx)
}

// forwarded reads one entry: an address, perhaps with a port.
func forwarded(s string) (netip.Addr, bool) {
	if p, err := netip.ParseAddrPort(s); err == nil {
		return p.Addr().Unmap(), true
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return a.Unmap(), err == nil
}

func (c *Collector) isProxy(a netip.Addr) bool {
	for _, p := range c.cfg.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
