package gateway

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"time"

	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/connectors/outbox"
	"github.com/headlessly/headlessly/connectors/slack"
	"github.com/headlessly/headlessly/connectors/webhook"
	"github.com/headlessly/headlessly/forwarders/egress"
)

// lookupTimeout bounds the resolution of a webhook's host when it is connected.
const lookupTimeout = 5 * time.Second

// openOutbox makes what is delivered to endpoints outside, and the connectors
// that stand on it.
func (g *Gateway) openOutbox(ctx context.Context) (err error) {
	c := outbox.Default(g.graph, filepath.Join(g.cfg.Data, "outbox"))
	c.Logger = g.logger
	if g.outbox, err = outbox.Open(ctx, c); err != nil {
		return err
	}
	g.onClose(func(context.Context) error { return g.outbox.Close() })
	g.webhooks, g.slack = webhook.New(g.outbox, g.checkURL), slack.New(g.outbox, g.checkURL)
	return nil
}

// webhookRoutes is what the control plane needs of them.
func (g *Gateway) webhookRoutes() *control.Webhooks {
	return &control.Webhooks{Box: g.outbox, Webhook: g.webhooks, Slack: g.slack, Inbound: func(tenant, id string) string {
		return g.PublicURL() + "/~" + tenant + "/in/" + webhook.Provider + "/" + id
	}}
}

// checkURL refuses a URL that could not be dialled: by its form, or by what its
// host resolves to. Each dial checks the address again.
func (g *Gateway) checkURL(ctx context.Context, raw string) error {
	if err := egress.Check(ctx, raw, g.cfg.Egress.AllowPrivate); err != nil {
		return err
	}
	u, err := url.Parse(raw)
	if err != nil {
		return fmt.Errorf("is no URL")
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil || len(addrs) == 0 {
		return fmt.Errorf("the host %s cannot be resolved", u.Hostname())
	}
	for _, a := range addrs {
		at := url.URL{Scheme: u.Scheme, Host: net.JoinHostPort(a.Unmap().String(), "443")}
		if err := egress.Check(ctx, at.String(), g.cfg.Egress.AllowPrivate); err != nil {
			return fmt.Errorf("the host %s resolves to an address that is not on the public internet: %w", u.Hostname(), err)
		}
	}
	return nil
}
