package collector

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/headlessly/headlessly"
)

// Inbound knows the integrations that providers may send to. It answers from
// memory; safe for concurrent use.
type Inbound interface {
	// Verify judges a request by its raw bytes and headers: nil when an
	// integration of that tenant, provider and id exists and the signature is
	// right, ErrUnknownIntegration when there is none (an integration without
	// a secret counts as none), any other error when the signature is not
	// right. The receipt must not be kept.
	Verify(r *headlessly.Receipt) error
}

// ErrUnknownIntegration is Inbound's answer for an integration that there is
// not.
var ErrUnknownIntegration = errors.New("unknown integration")

// maxIntegrationBytes bounds provider and integration in an inbound path.
const maxIntegrationBytes = 64

// inboundPath splits /~{tenant}/in/{provider}/{integration}.
func inboundPath(path string) (tenant, provider, integration string, ok bool) {
	rest, ok := strings.CutPrefix(path, "/~")
	if !ok {
		return "", "", "", false
	}
	tenant, rest, _ = strings.Cut(rest, "/")
	rest, ok = strings.CutPrefix(rest, "in/")
	if !ok {
		return "", "", "", false
	}
	provider, integration, ok = strings.Cut(rest, "/")
	ok = ok && headlessly.ValidTenant(tenant) && plainName(provider) && plainName(integration)
	return tenant, provider, integration, ok
}

func plainName(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= maxIntegrationBytes
}

// receive takes a provider's webhook: its raw bytes are verified and durable
// before the answer, and read by the connector afterwards.
func (c *Collector) receive(ctx *fasthttp.RequestCtx, tenant, provider, integration string) {
	b := c.batches.get()
	defer c.batches.put(b)
	if refusal := b.visit.enter(c.door, tenant); refusal != nil {
		c.refuse(ctx, refusal)
		return
	}
	body, err := c.read(ctx, &b.visit)
	if err != nil {
		c.refuse(ctx, c.readReply(ctx, err))
		return
	}
	if refusal := b.visit.begin(c.door, netip.Addr{}, len(body)); refusal != nil {
		c.refuse(ctx, refusal)
		return
	}
	r := headlessly.Receipt{
		Tenant: tenant, Provider: provider, Integration: integration, ReceivedAt: c.cfg.Clock().UnixMicro(),
		Headers: receiptHeaders(&ctx.Request.Header), Query: view(ctx.URI().QueryString()), Body: body,
	}
	if err := c.cfg.Inbound.Verify(&r); err != nil {
		if errors.Is(err, ErrUnknownIntegration) {
			c.refuse(ctx, newReply(404, "not_found", "integration", "is not known, or has no secret to verify with"))
			return
		}
		c.metrics.badSignatures.Inc()
		c.refuse(ctx, newReply(401, "invalid_signature", "", "the signature does not match; check the webhook secret of the integration"))
		return
	}
	if b.data, err = r.AppendBinary(b.data); err != nil {
		c.refuse(ctx, newReply(500, "internal", "", err.Error()))
		return
	}
	b.end(headlessly.RecordReceipt)
	wait, cancel := context.WithTimeout(context.Background(), c.cfg.AppendTimeout)
	defer cancel()
	b.visit.pause()
	b.span = spanned(ctx)
	if _, err := c.put(wait, b, b.build(), true); err != nil {
		c.refuse(ctx, logRefusal(err))
		return
	}
	c.metrics.receipts.Inc()
	ctx.Response.Header.SetContentType(contentJSON)
	ctx.SetBodyString(`{"received":true}`)
}

// receiptHeaders gives what a connector may need: all but credentials, cookies
// and what belongs to the connection.
func receiptHeaders(h *fasthttp.RequestHeader) string {
	var b strings.Builder
	for k, v := range h.All() {
		name := strings.ToLower(string(k))
		switch name {
		case "authorization", "proxy-authorization", "cookie", "connection", "keep-alive", "transfer-encoding", "te", "upgrade":
			continue
		}
		b.WriteString(name)
		b.WriteString(": ")
		b.Write(v)
		b.WriteByte('\n')
	}
	return b.String()
}
