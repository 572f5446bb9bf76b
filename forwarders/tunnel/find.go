package tunnel

import (
	"crypto/subtle"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/ga4"
	"github.com/headlessly/headlessly/forwarders/posthog"
	"github.com/headlessly/headlessly/forwarders/sentry"
)

// refreshEvery is how old the list of who has which key may be.
const refreshEvery = time.Second

// project is a provider as one tenant has it.
type project struct {
	tenant, provider string
	key, project     string
	host             string // of Sentry's DSN
	base             string // what a path is put behind
	assets           string // PostHog: where its static files are
}

// index knows every tenant's projects by their key.
type index struct {
	mu       sync.Mutex
	made     time.Time
	byKey    map[string][]*project // by provider, a space and the key
	byTenant map[string][]*project
}

// find gives the one project that a claim is entitled to.
func (t *Tunnel) find(c *headlessly.TunnelClaim) (*project, error) {
	byKey, byTenant := t.projects()
	var list []*project
	switch {
	case c.Tenant != "":
		list = byTenant[c.Tenant]
	case c.Asset:
		for _, own := range byTenant {
			list = append(list, own...)
		}
	case len(c.Keys) > 0:
		list = byKey[c.Provider+" "+c.Keys[0]]
	}
	var found *project
	for _, p := range list {
		if !p.fits(c) {
			continue
		}
		if found != nil && (!c.Asset || found.assets != p.assets) {
			return nil, headlessly.ErrTunnelAmbiguous
		}
		found = p
	}
	if found == nil {
		return nil, headlessly.ErrTunnelUnknown
	}
	return found, nil
}

// fits says whether everything that a claim names is the project's own.
func (p *project) fits(c *headlessly.TunnelClaim) bool {
	if p.provider != c.Provider || !c.Asset && len(c.Keys) == 0 {
		return false
	}
	for _, k := range c.Keys {
		if subtle.ConstantTimeCompare([]byte(k), []byte(p.key)) != 1 {
			return false
		}
	}
	for _, h := range c.Hosts {
		if !strings.EqualFold(h, p.host) {
			return false
		}
	}
	return c.Project == p.project
}

// projects gives the index, made anew when it is old.
func (t *Tunnel) projects() (byKey, byTenant map[string][]*project) {
	x := &t.index
	x.mu.Lock()
	defer x.mu.Unlock()
	now := t.cfg.Clock()
	if x.byKey != nil && now.Sub(x.made) < refreshEvery {
		return x.byKey, x.byTenant
	}
	x.made, x.byKey, x.byTenant = now, map[string][]*project{}, map[string][]*project{}
	for _, tenant := range t.cfg.Tenants() {
		d, version := t.cfg.Destinations.Destinations(tenant)
		if version == 0 {
			continue
		}
		for _, p := range projectsOf(tenant, d) {
			x.byKey[p.provider+" "+p.key] = append(x.byKey[p.provider+" "+p.key], p)
			x.byTenant[tenant] = append(x.byTenant[tenant], p)
		}
	}
	return x.byKey, x.byTenant
}

func projectsOf(tenant string, d headlessly.Destinations) []*project {
	var out []*project
	if d.GA != nil && d.GA.MeasurementID != "" {
		base := d.GA.Endpoint
		if base == "" {
			base = ga4.DefaultEndpoint
		}
		out = append(out, &project{tenant: tenant, provider: headlessly.DestinationGA4, key: d.GA.MeasurementID, base: base})
	}
	if d.Sentry != nil && d.Sentry.DSN.Set() {
		if dsn, err := sentry.ParseDSN(d.Sentry.DSN.Reveal()); err == nil {
			out = append(out, &project{
				tenant: tenant, provider: headlessly.DestinationSentry, key: dsn.Key, project: dsn.Project, host: dsn.Host,
				base: strings.TrimSuffix(dsn.Endpoint, "/api/"+dsn.Project+"/envelope/"),
			})
		}
	}
	if d.PostHog != nil && d.PostHog.APIKey.Set() {
		base := d.PostHog.Host
		if base == "" {
			base = posthog.DefaultHost
		}
		out = append(out, &project{
			tenant: tenant, provider: headlessly.DestinationPostHog, key: d.PostHog.APIKey.Reveal(), base: base, assets: assetHost(base),
		})
	}
	return slices.DeleteFunc(out, func(p *project) bool { return p.base == "" })
}

// assetHost is where PostHog's cloud keeps its static files: us.i.posthog.com's
// are at us-assets.i.posthog.com. An installation of one's own has them itself.
func assetHost(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base
	}
	if region, ok := strings.CutSuffix(u.Host, ".i.posthog.com"); ok && !strings.Contains(region, ".") && !strings.HasSuffix(region, "-assets") {
		u.Host = region + "-assets.i.posthog.com"
	}
	return u.String()
}
