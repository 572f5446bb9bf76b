package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"

	"github.com/headlessly/headlessly"
)

// bound is the associated data of a seal: a credential copied to another
// tenant, integration or field does not open.
func bound(tenant, id, field string) []byte { return []byte(tenant + "\x00" + id + "\x00" + field) }

func (s *Store) loadCredentials(ctx context.Context) error {
	return s.query(ctx, func(r *sql.Rows) error {
		var tenant, id, field string
		var box []byte
		if err := r.Scan(&tenant, &id, &field, &box); err != nil {
			return err
		}
		value, err := s.seal.Decrypt(box, bound(tenant, id, field))
		if err != nil {
			return fmt.Errorf("unseal %s of %s: %w", field, id, err)
		}
		if s.credentials[id] == nil {
			s.credentials[id] = map[string]headlessly.Secret{}
		}
		s.credentials[id][field] = headlessly.NewSecret(string(value))
		return nil
	}, `select tenant, integration, field, sealed from credentials`)
}

// Credentials gives an integration's credentials by field; nil when there are
// none. The map is the caller's.
func (s *Store) Credentials(integration string) map[string]headlessly.Secret {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return maps.Clone(s.credentials[integration])
}

// PutCredentials seals an integration's credentials in place of those that it
// has. They are durable when it returns.
func (s *Store) PutCredentials(ctx context.Context, tenant, integration string, secrets map[string]headlessly.Secret) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `delete from credentials where integration = ?`, integration); err != nil {
			return err
		}
		for field, secret := range secrets {
			box, err := s.seal.Encrypt([]byte(secret.Reveal()), bound(tenant, integration, field))
			if err != nil {
				return fmt.Errorf("seal %s: %w", field, err)
			}
			if _, err := tx.ExecContext(ctx, `insert into credentials (integration, field, tenant, sealed, at) values (?, ?, ?, ?, ?)`,
				integration, field, tenant, box, s.cfg.Clock().UnixMicro()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store credentials of %s: %w", integration, err)
	}
	if delete(s.credentials, integration); len(secrets) > 0 {
		s.credentials[integration] = maps.Clone(secrets)
	}
	return nil
}

// Forget removes everything that is kept of an integration: its credentials,
// where its sync stands, what it has seen.
func (s *Store) Forget(ctx context.Context, integration string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		for _, q := range []string{
			`delete from credentials where integration = ?`,
			`delete from syncs where integration = ?`,
			`delete from seen where integration = ?`,
			`delete from waiting where integration = ?`,
		} {
			if _, err := tx.ExecContext(ctx, q, integration); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget %s: %w", integration, err)
	}
	delete(s.credentials, integration)
	return nil
}

// inTx runs f in a transaction.
func (s *Store) inTx(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback() // the error of f counts
		return err
	}
	return tx.Commit()
}
