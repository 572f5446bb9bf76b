package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"github.com/headlessly/headlessly"
)

func (s *Store) loadTenants(ctx context.Context) error {
	return s.query(ctx, func(r *sql.Rows) error {
		var name string
		if err := r.Scan(&name); err != nil {
			return err
		}
		s.tenants[name] = true
		return nil
	}, `select name from tenants`)
}

// AddTenant declares a tenant; one that exists is left as it is. created tells
// the two apart.
func (s *Store) AddTenant(ctx context.Context, name string) (created bool, err error) {
	if !headlessly.ValidTenant(name) {
		return false, &headlessly.FieldError{Code: "invalid_tenant", Field: "tenant", Message: fmt.Sprintf("%q must be lower-case letters, digits and hyphens and start with a letter", name)}
	}
	res, err := s.db.ExecContext(ctx, `insert into tenants (name, created_at) values (?, ?) on conflict do nothing`, name, s.cfg.Clock().UnixMicro())
	if err != nil {
		return false, fmt.Errorf("add tenant %s: %w", name, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return false, fmt.Errorf("add tenant %s: %w", name, err)
	}
	s.mu.Lock()
	s.tenants[name] = true
	s.mu.Unlock()
	return n > 0, nil
}

// HasTenant says whether a tenant is declared.
func (s *Store) HasTenant(name string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.tenants[name]
}

// Tenants lists the declared tenants in alphabetical order.
func (s *Store) Tenants() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.tenants))
}
