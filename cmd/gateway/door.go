package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"path/filepath"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/cmd/config"
	"github.com/headlessly/headlessly/collector"
	"github.com/headlessly/headlessly/collector/dedupe"
	"github.com/headlessly/headlessly/collector/enrich"
	"github.com/headlessly/headlessly/collector/listen"
	"github.com/headlessly/headlessly/forwarders/tunnel"
	"github.com/headlessly/headlessly/jsclient"
)

// openCollector makes the public door ready: the index of message ids, the
// collector and its listener.
func (g *Gateway) openCollector(ctx context.Context) (err error) {
	c := collector.Default()
	d := dedupe.Default(filepath.Join(g.cfg.Data, "dedupe"), g.log)
	d.Logger = g.logger
	if c.Dedupe, err = dedupe.Open(ctx, d); err != nil {
		return fmt.Errorf("open index of message ids: %w", err)
	}
	g.onClose(c.Dedupe.Close)
	g.known = c.Dedupe
	dir, err := newDirectory(g.store, &g.cfg)
	if err != nil {
		return err
	}
	for _, v := range jsclient.Variants() {
		if c.Script == nil {
			c.Script = v.JS
		} else {
			c.SmallScripts = append(c.SmallScripts, v.JS)
		}
	}
	c.PickScript = jsclient.Pick
	c.Log, c.Ready, c.Directory, c.Tap, c.Logger = g.log, g.log.Ready, dir, &g.live.tap, g.logger
	c.Inbound = inbound{g.connected}
	c.Tunnel = tunnel.New(tunnel.Config{Tenants: g.store.Tenants, Destinations: g.analytics, AllowPrivate: g.cfg.Egress.AllowPrivate})
	c.PathPrefix, c.PublicURL, c.TrustedProxies, c.TenantMetrics = g.cfg.PathPrefix, g.cfg.PublicURL, g.cfg.Proxies(), g.cfg.TenantMetrics
	c.Enrich = enrich.Config{GeoFiles: g.cfg.Geo, SaltFile: filepath.Join(g.cfg.Data, "salt"), Clock: headlessly.SystemClock}
	c.UsageFile = filepath.Join(g.cfg.Data, "usage.json")
	c.Tracer, c.HealthOnly = g.telemetry.Tracer(), !g.cfg.Runs(config.RoleCollect)
	c.Metrics = []func(io.Writer){g.writeMetrics}
	if g.collector, err = collector.New(c); err != nil { //nolint:contextcheck // requests have contexts of their own
		return err
	}
	if g.public, err = g.listen(ctx, g.cfg.Listen); err != nil {
		return err
	}
	if g.cfg.ProxyProtocol {
		g.public = listen.Proxied(g.public, g.cfg.Proxies(), 0)
	}
	if g.tls, err = g.tlsConfig(); g.tls != nil {
		g.public = tls.NewListener(g.public, g.tls)
	}
	return err
}

// tlsConfig is nil where the public listener speaks plain HTTP. There is one:
// certificates of ACME are obtained once for every listener.
func (g *Gateway) tlsConfig() (*tls.Config, error) {
	t := g.cfg.TLS
	switch {
	case t.Cert != "":
		return listen.Files(t.Cert, t.Key)
	case len(t.Domains) > 0:
		conf, _, err := listen.ACME(listen.ACMEConfig{Domains: t.Domains, Email: t.Email, Cache: filepath.Join(g.cfg.Data, "certificates"), Client: g.deps.Client})
		return conf, err
	}
	return nil, nil //nolint:nilnil // no TLS is no fault
}
