package gateway

import (
	"fmt"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/cmd/config"
	"github.com/headlessly/headlessly/collector"
	"github.com/headlessly/headlessly/collector/enrich"
	"github.com/headlessly/headlessly/connectors/store"
)

// directory answers the collector's questions about tenants and keys from the
// store and the configuration.
type directory struct {
	store    *store.Store
	open     bool
	policies map[string]collector.Policy
}

func newDirectory(s *store.Store, cfg *config.Config) (*directory, error) {
	d := &directory{store: s, open: cfg.Tenancy == config.TenancyOpen, policies: map[string]collector.Policy{}}
	for name, t := range cfg.Tenants {
		redact, err := enrich.Compile(enrich.Rules{Query: t.Redact.Query, Properties: t.Redact.Properties, Patterns: t.Redact.Patterns})
		if err != nil {
			return nil, fmt.Errorf("tenants.%s.redact: %w", name, err)
		}
		d.policies[name] = collector.Policy{
			Class: t.Class, RequireKey: t.RequireKey, Origins: t.Origins, KeepIP: t.KeepIP, IgnoreGPC: t.IgnoreGPC, Redact: redact,
			EventsPerSecond: t.Limits.EventsPerSecond, Burst: t.Limits.Burst, EventsPerDay: t.Limits.EventsPerDay,
		}
	}
	return d, nil
}

// Policy implements collector.Directory.
func (d *directory) Policy(tenant string) (collector.Policy, bool) {
	p, ok := d.policies[tenant]
	p.Forgotten = d.store.Forgotten(tenant)
	return p, ok || d.open || d.store.HasTenant(tenant)
}

// Authenticate implements collector.Directory.
func (d *directory) Authenticate(key string) (headlessly.Key, bool) { return d.store.Authenticate(key) }
