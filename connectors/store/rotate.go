package store

import (
	"context"
	"database/sql"
	"fmt"
)

// sealedTable is where sealed values lie. Its query gives each value, and three
// parts that tell its row from others and that it is bound to; its update takes
// them as ?1 to ?4.
type sealedTable struct {
	name, query, update string
	bound               func(a, b, c string) []byte
}

func sealedTables() []sealedTable {
	return []sealedTable{
		{
			"credentials", `select sealed, tenant, integration, field from credentials`,
			`update credentials set sealed = ?1 where tenant = ?2 and integration = ?3 and field = ?4`, bound,
		},
		{
			"secrets", `select sealed, name, '', '' from secrets`,
			`update secrets set sealed = ?1 where name = ?2 and ?3 = '' and ?4 = ''`, func(name, _, _ string) []byte { return secretBound(name) },
		},
		{
			"forgets", `select sealed, id, '', '' from forgets where sealed is not null`,
			`update forgets set sealed = ?1 where id = ?2 and ?3 = '' and ?4 = ''`, func(id, _, _ string) []byte { return forgetBound(id) },
		},
		{ // of the version before
			"integrations", `select sealed, tenant, id, 'destinations' from integrations where sealed is not null`,
			`update integrations set sealed = ?1 where tenant = ?2 and id = ?3 and ?4 = 'destinations'`, bound,
		},
	}
}

// RotateSeal seals everything anew with a new key and drops the key before. It
// gives how many values there were. Nothing else may use the store meanwhile.
//
// A crash costs nothing: first the key's file holds both keys, then, in one
// transaction, everything is sealed with the new one, and only then does the
// file lose the old one. Whatever a crash leaves opens, and the next rotation
// ends what it began.
func (s *Store) RotateSeal(ctx context.Context) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.seal.add(); err != nil {
		return 0, err
	}
	s.cfg.point("both keys")
	// What was sealed with the old key must not stay in pages that are free.
	if _, err := s.db.ExecContext(ctx, `pragma secure_delete = on`); err != nil {
		return 0, fmt.Errorf("rotate seal key: %w", err)
	}
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		for _, t := range sealedTables() {
			some, err := s.reseal(ctx, tx, t)
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			n += some
		}
		s.cfg.point("before the commit")
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("rotate seal key: %w", err)
	}
	s.cfg.point("sealed anew")
	var busy, pages, moved int
	if err := s.db.QueryRowContext(ctx, `pragma wal_checkpoint(truncate)`).Scan(&busy, &pages, &moved); err != nil {
		return n, fmt.Errorf("rotate seal key: %w", err)
	}
	s.cfg.point("before the old key goes")
	return n, s.seal.retire()
}

// reseal seals a table's values with the newest key.
func (s *Store) reseal(ctx context.Context, tx *sql.Tx, t sealedTable) (n int, err error) {
	var there int
	if err := tx.QueryRowContext(ctx, `select count(*) from sqlite_master where type = 'table' and name = ?`, t.name).Scan(&there); err != nil || there == 0 {
		return 0, err
	}
	type value struct {
		box     []byte
		a, b, c string
	}
	var all []value
	rows, err := tx.QueryContext(ctx, t.query)
	if err != nil {
		return 0, err
	}
	defer rows.Close() //nolint:errcheck // the error of reading is rows.Err
	for rows.Next() {
		var v value
		if err := rows.Scan(&v.box, &v.a, &v.b, &v.c); err != nil {
			return 0, err
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	for _, v := range all {
		aad := t.bound(v.a, v.b, v.c)
		plain, err := s.seal.Decrypt(v.box, aad)
		if err != nil {
			return n, fmt.Errorf("unseal %s %s: %w", v.a, v.b, err)
		}
		box, err := s.seal.Encrypt(plain, aad)
		if err != nil {
			return n, err
		}
		if _, err := tx.ExecContext(ctx, t.update, box, v.a, v.b, v.c); err != nil {
			return n, err
		}
		if n++; n == 1 {
			s.cfg.point("in the middle")
		}
	}
	return n, nil
}
