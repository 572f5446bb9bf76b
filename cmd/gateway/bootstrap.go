package gateway

import (
	"context"
	"fmt"
	"net"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/cmd/config"
	"github.com/headlessly/headlessly/connectors/store"
)

// DefaultTenant is the tenant that the first start makes.
const DefaultTenant = "default"

// bootstrap declares the tenants and, on the first start, makes the keys of
// the default one. first tells whether it did.
func bootstrap(ctx context.Context, s *store.Store, cfg *config.Config) (c Credentials, first bool, err error) {
	if _, err := s.AddTenant(ctx, DefaultTenant); err != nil {
		return c, false, err
	}
	for name := range cfg.Tenants {
		if _, err := s.AddTenant(ctx, name); err != nil {
			return c, false, err
		}
	}
	c, err = ReadCredentials(cfg.Data)
	if err != nil && !noCredentials(err) {
		return c, false, err
	}
	first = err != nil
	if first {
		c = Credentials{Tenant: DefaultTenant}
		for _, k := range []struct {
			kind   headlessly.KeyKind
			tenant string
			dst    *string
		}{{headlessly.KeyPublic, DefaultTenant, &c.PublicKey}, {headlessly.KeySecret, DefaultTenant, &c.SecretKey}, {headlessly.KeyAdmin, "", &c.AdminKey}} {
			_, value, err := s.CreateKey(ctx, k.tenant, k.kind)
			if err != nil {
				return c, false, err
			}
			*k.dst = value.Reveal()
		}
	}
	if url := "http://" + reachable(cfg.Control); first || c.URL != url {
		c.URL = url
		if err := writeCredentials(cfg.Data, c); err != nil {
			return c, false, fmt.Errorf("store credentials: %w", err)
		}
	}
	return c, first, nil
}

// reachable turns a listen address into one that can be dialled from here.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
