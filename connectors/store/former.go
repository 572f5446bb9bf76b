package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/headlessly/headlessly"
)

// Former is an integration as the version before this one kept it: a row of
// its own, where now it is an entity of the graph.
type Former struct {
	ID, Tenant, Provider, Slug, CreatedBy string
	Connected                             bool
	Destinations                          headlessly.Secret // JSON, with the credentials in clear
}

// Former lists the integrations of the version before, oldest first.
func (s *Store) Former(ctx context.Context) (out []Former, err error) {
	var has bool
	if err := s.query(ctx, func(*sql.Rows) error { has = true; return nil }, `select 1 from sqlite_master where type = 'table' and name = 'integrations'`); err != nil || !has {
		return nil, err
	}
	err = s.query(ctx, func(r *sql.Rows) error {
		var f Former
		var status string
		var box []byte
		if err := r.Scan(&f.ID, &f.Tenant, &f.Provider, &f.Slug, &status, &f.CreatedBy, &box); err != nil {
			return err
		}
		f.Connected = status == "Connected"
		if box != nil {
			raw, err := s.seal.Decrypt(box, bound(f.Tenant, f.ID, "destinations"))
			if err != nil {
				return fmt.Errorf("unseal credentials of %s: %w", f.ID, err)
			}
			f.Destinations = headlessly.NewSecret(string(raw))
		}
		out = append(out, f)
		return nil
	}, `select id, tenant, provider, slug, status, created_by, sealed from integrations order by created_at, id`)
	return out, err
}

// DropFormer removes an integration of the version before, once it is moved.
func (s *Store) DropFormer(ctx context.Context, id string) error {
	_, err := s.db.ExecContext(ctx, `delete from integrations where id = ?`, id)
	return err
}
