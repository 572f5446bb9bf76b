package gateway

import (
	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/cmd/config"
	"github.com/headlessly/headlessly/collector"
	"github.com/headlessly/headlessly/connectors/store"
)

// directory answers the collector's questions about tenants and keys from the
// store and the configuration.
type directory struct {
	store *store.Store
	cfg   *config.Config
}

// Policy implements collector.Directory.
func (d *directory) Policy(tenant string) (collector.Policy, bool) {
	if t, ok := d.cfg.Tenants[tenant]; ok {
		return collector.Policy{RequireKey: t.RequireKey, Origins: t.Origins, KeepIP: t.KeepIP}, true
	}
	return collector.Policy{}, d.store.HasTenant(tenant) || d.cfg.Tenancy == config.TenancyOpen
}

// Authenticate implements collector.Directory.
func (d *directory) Authenticate(key string) (headlessly.Key, bool) { return d.store.Authenticate(key) }
