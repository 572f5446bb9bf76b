package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/analytics"
)

// Statuses of an integration.
const (
	StatusConnected    = "Connected"
	StatusDisconnected = "Disconnected"
)

// ErrNotFound means that the tenant has no such integration.
var ErrNotFound = errors.New("integration not found")

// Integration is a connected provider.
type Integration struct {
	ID, Tenant, Provider, Slug, Status, CreatedBy, Error string

	Version              int64
	CreatedAt, UpdatedAt int64 // µs
	Destinations         headlessly.Destinations
}

// seal packs destinations with their credentials.
func (s *Store) seal(tenant, id string, d headlessly.Destinations) ([]byte, error) {
	raw, err := json.Marshal(reveal(reflect.ValueOf(d)))
	if err != nil {
		return nil, err
	}
	return s.aead.Encrypt(raw, bound(tenant, id))
}

func (s *Store) unseal(tenant, id string, b []byte) (headlessly.Destinations, error) {
	var d headlessly.Destinations
	raw, err := s.aead.Decrypt(b, bound(tenant, id))
	if err == nil {
		err = json.Unmarshal(raw, &d)
	}
	if err != nil {
		return d, fmt.Errorf("unseal credentials of %s: %w", id, err)
	}
	return d, nil
}

// bound is the associated data of a seal: credentials copied to another
// tenant, integration or field do not open.
func bound(tenant, id string) []byte { return []byte(tenant + "\x00" + id + "\x00destinations") }

func (s *Store) loadIntegrations(ctx context.Context) error {
	err := s.query(ctx, func(r *sql.Rows) error {
		var i Integration
		var box []byte
		if err := r.Scan(&i.ID, &i.Tenant, &i.Provider, &i.Slug, &i.Status, &i.Version, &i.CreatedAt, &i.UpdatedAt, &i.CreatedBy, &box, &i.Error); err != nil {
			return err
		}
		if box != nil {
			var err error
			if i.Destinations, err = s.unseal(i.Tenant, i.ID, box); err != nil {
				return err
			}
		}
		s.integrations[i.ID] = &i
		return nil
	}, `select id, tenant, provider, slug, status, version, created_at, updated_at, created_by, sealed, error from integrations`)
	for _, i := range s.integrations {
		s.refresh(i.Tenant)
	}
	return err
}

// refresh computes what Destinations answers for a tenant; s.mu is held, or
// nobody else has the store yet.
func (s *Store) refresh(tenant string) {
	d := s.fixed[tenant]
	for _, i := range s.integrations {
		if i.Tenant == tenant && i.Provider == "analytics" && i.Status == StatusConnected {
			d = analytics.Merge(d, i.Destinations)
		}
	}
	if d == (headlessly.Destinations{}) {
		delete(s.destinations, tenant)
		return
	}
	s.version++
	s.destinations[tenant] = destinations{d, s.version}
}

// SetFixed tells the destinations that the configuration file names for a
// tenant. What is connected through the API goes over them.
func (s *Store) SetFixed(tenant string, d headlessly.Destinations) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fixed[tenant] = d
	s.refresh(tenant)
}

// Destinations implements headlessly.DestinationSource.
func (s *Store) Destinations(tenant string) (headlessly.Destinations, uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	d := s.destinations[tenant]
	return d.d, d.version
}

// ConnectAnalytics connects destinations, merging them into the tenant's
// analytics integration where there is one. They must be valid.
func (s *Store) ConnectAnalytics(ctx context.Context, tenant, actor string, add headlessly.Destinations) (Integration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Clock().UnixMicro()
	next := Integration{ID: "integration_" + random(idChars), Tenant: tenant, Provider: "analytics", Slug: "analytics", CreatedAt: now, CreatedBy: actor}
	for _, i := range s.integrations {
		if i.Tenant == tenant && i.Slug == "analytics" {
			next = *i
		}
	}
	base := next.Destinations
	if next.Status == StatusDisconnected {
		base = headlessly.Destinations{} // its credentials are gone
	}
	next.Destinations = analytics.Merge(base, add)
	next.Status, next.Error = StatusConnected, ""
	return next, s.put(ctx, &next, now)
}

// Disconnect takes an integration out of service and forgets its credentials.
func (s *Store) Disconnect(ctx context.Context, tenant, id string) (Integration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.integrations[id]
	if !ok || i.Tenant != tenant {
		return Integration{}, ErrNotFound
	}
	next := *i
	next.Status, next.Destinations = StatusDisconnected, headlessly.Destinations{}
	return next, s.put(ctx, &next, s.cfg.Clock().UnixMicro())
}

// put writes an integration and, once it is on disk, lets readers see it;
// s.mu is held.
func (s *Store) put(ctx context.Context, i *Integration, now int64) error {
	i.Version, i.UpdatedAt = i.Version+1, now
	var box []byte
	if i.Status != StatusDisconnected {
		var err error
		if box, err = s.seal(i.Tenant, i.ID, i.Destinations); err != nil {
			return fmt.Errorf("seal credentials of %s: %w", i.ID, err)
		}
	}
	_, err := s.db.ExecContext(ctx, `insert into integrations (id, tenant, provider, slug, status, version, created_at, updated_at, created_by, sealed, error)
		values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		on conflict (id) do update set status = excluded.status, version = excluded.version, updated_at = excluded.updated_at, sealed = excluded.sealed, error = excluded.error`,
		i.ID, i.Tenant, i.Provider, i.Slug, i.Status, i.Version, i.CreatedAt, i.UpdatedAt, i.CreatedBy, box, i.Error)
	if err != nil {
		return fmt.Errorf("store integration %s: %w", i.ID, err)
	}
	stored := *i
	s.integrations[i.ID] = &stored
	s.refresh(i.Tenant)
	return nil
}

// Integrations lists a tenant's integrations, oldest first.
func (s *Store) Integrations(tenant string) []Integration {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Integration
	for _, i := range s.integrations {
		if i.Tenant == tenant {
			out = append(out, *i)
		}
	}
	slices.SortFunc(out, func(a, b Integration) int {
		if a.CreatedAt != b.CreatedAt {
			return int(a.CreatedAt - b.CreatedAt)
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

// Integration gives one integration.
func (s *Store) Integration(tenant, id string) (Integration, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if i, ok := s.integrations[id]; ok && i.Tenant == tenant {
		return *i, nil
	}
	return Integration{}, ErrNotFound
}
