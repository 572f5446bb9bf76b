package store

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// ErrNotFound says that there is no such deletion.
var ErrNotFound = errors.New("there is no such deletion")

// Forget is a person's deletion that has begun.
type Forget struct {
	ID     string // forget_…
	Tenant string
	At     int64 // µs
	// Users and Visitors are the person's ids. They are sealed while the
	// deletion is under way, and wiped when it is done.
	Users    []string
	Visitors []string
	// Elsewhere are the ids by which each destination knows the person.
	Elsewhere map[string][]string
	// Done is what was deleted so far, in the words of whoever deletes: a try that
	// finishes answers for those before it.
	Done json.RawMessage `json:",omitempty"`
}

// idKind tells the two sorts of id apart.
type idKind string

const (
	kindUser    idKind = "user"
	kindVisitor idKind = "visitor"
)

// forgetting is the part of the store that remembers who is forgotten, without
// knowing who that is: ids are kept as HMAC-SHA-256 under a key of this store.
type forgetting struct {
	pepper []byte
	sign   ed25519.PrivateKey
	ids    map[string]map[[sha256.Size]byte]struct{} // by tenant
}

func (s *Store) loadForgetting(ctx context.Context) (err error) {
	s.forget.ids = map[string]map[[sha256.Size]byte]struct{}{}
	if s.forget.pepper, err = s.secret(ctx, "forget.pepper"); err != nil {
		return err
	}
	seed, err := s.secret(ctx, "forget.receipts")
	if err != nil {
		return err
	}
	s.forget.sign = ed25519.NewKeyFromSeed(seed)
	return s.query(ctx, func(r *sql.Rows) error {
		var tenant string
		var hash []byte
		if err := r.Scan(&tenant, &hash); err != nil {
			return err
		}
		s.remember(tenant, [sha256.Size]byte(hash))
		return nil
	}, `select tenant, hash from forgotten_ids`)
}

// secretBound and forgetBound are the associated data of their seals.
func secretBound(name string) []byte { return []byte("secret/" + name) }
func forgetBound(id string) []byte   { return []byte("forget/" + id) }

// secret reads 32 random bytes that belong to this store, made at their first
// use and sealed in the database.
func (s *Store) secret(ctx context.Context, name string) ([]byte, error) {
	aad := secretBound(name)
	var sealed []byte
	err := s.db.QueryRowContext(ctx, `select sealed from secrets where name = ?`, name).Scan(&sealed)
	if err == nil {
		return s.seal.Decrypt(sealed, aad)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	value := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(value) // never fails since Go 1.24
	if sealed, err = s.seal.Encrypt(value, aad); err != nil {
		return nil, err
	}
	_, err = s.db.ExecContext(ctx, `insert into secrets (name, sealed) values (?, ?)`, name, sealed)
	return value, err
}

// remember adds a hash to those in memory. The caller holds mu, or nobody else
// has the store yet. The map of a tenant is never changed: readers have it.
func (s *Store) remember(tenant string, hashes ...[sha256.Size]byte) {
	next := maps.Clone(s.forget.ids[tenant])
	if next == nil {
		next = map[[sha256.Size]byte]struct{}{}
	}
	for _, h := range hashes {
		next[h] = struct{}{}
	}
	s.forget.ids[tenant] = next
}

func (s *Store) hashID(tenant string, kind idKind, id string) [sha256.Size]byte {
	m := hmac.New(sha256.New, s.forget.pepper)
	m.Write([]byte(tenant + "\x00" + string(kind) + "\x00" + id)) // never fails
	return [sha256.Size]byte(m.Sum(nil))
}

// Subject is what a receipt calls a person: whoever has the store and the user
// id can tell that they belong together, nobody else.
func (s *Store) Subject(tenant, user string) string {
	h := s.hashID(tenant, kindUser, user)
	return fmt.Sprintf("hmac-sha256:%x", h)
}

// Forgotten gives a function that tells whether an event of a tenant is of
// somebody who was forgotten: by its user id, or, where it has none, by its
// anonymous id. It is nil while the tenant has forgotten nobody.
func (s *Store) Forgotten(tenant string) func(user, visitor string) bool {
	s.mu.RLock()
	ids := s.forget.ids[tenant]
	s.mu.RUnlock()
	if len(ids) == 0 {
		return nil
	}
	return func(user, visitor string) bool {
		kind, id := kindUser, user
		if id == "" {
			kind, id = kindVisitor, visitor
		}
		if id == "" {
			return false
		}
		_, ok := ids[s.hashID(tenant, kind, id)]
		return ok
	}
}

// BeginForget notes durably that a person is to be deleted; from now on they
// are [Store.Forgotten]. It gives the deletion an id.
func (s *Store) BeginForget(ctx context.Context, f *Forget) error {
	f.ID, f.At = "forget_"+random(idChars), s.cfg.Clock().UnixMicro()
	return s.saveForget(ctx, f, `insert into forgets (sealed, id, tenant, at) values (?, ?, ?, ?)`)
}

// WidenForget notes what was found and done since of a deletion that is under
// way.
func (s *Store) WidenForget(ctx context.Context, f *Forget) error {
	return s.saveForget(ctx, f, `update forgets set sealed = ? where id = ? and tenant = ? and at = ? and receipt = ''`)
}

func (s *Store) saveForget(ctx context.Context, f *Forget, statement string) error {
	raw, err := json.Marshal(f)
	if err != nil {
		return err
	}
	sealed, err := s.seal.Encrypt(raw, forgetBound(f.ID))
	if err != nil {
		return fmt.Errorf("note deletion: %w", err)
	}
	var hashes [][sha256.Size]byte
	for _, id := range f.Users {
		hashes = append(hashes, s.hashID(f.Tenant, kindUser, id))
	}
	for _, id := range f.Visitors {
		hashes = append(hashes, s.hashID(f.Tenant, kindVisitor, id))
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("note deletion: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to undo
	if _, err := tx.ExecContext(ctx, statement, sealed, f.ID, f.Tenant, f.At); err != nil {
		return fmt.Errorf("note deletion: %w", err)
	}
	for _, h := range hashes {
		if _, err := tx.ExecContext(ctx, `insert into forgotten_ids (tenant, hash, at) values (?, ?, ?) on conflict do nothing`, f.Tenant, h[:], f.At); err != nil {
			return fmt.Errorf("note deletion: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("note deletion: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remember(f.Tenant, hashes...)
	return nil
}

// FinishForget keeps a deletion's receipt and wipes the ids.
func (s *Store) FinishForget(ctx context.Context, f *Forget, receipt []byte) error {
	_, err := s.db.ExecContext(ctx, `update forgets set sealed = null, receipt = ? where id = ? and tenant = ?`, string(receipt), f.ID, f.Tenant)
	if err != nil {
		return fmt.Errorf("keep receipt %s: %w", f.ID, err)
	}
	return nil
}

// PendingForgets lists the deletions that have begun and are not done, oldest
// first.
func (s *Store) PendingForgets(ctx context.Context) ([]*Forget, error) {
	var out []*Forget
	err := s.query(ctx, func(r *sql.Rows) error {
		var id string
		var sealed []byte
		if err := r.Scan(&id, &sealed); err != nil {
			return err
		}
		raw, err := s.seal.Decrypt(sealed, forgetBound(id))
		if err != nil {
			return fmt.Errorf("deletion %s: %w", id, err)
		}
		f := new(Forget)
		if err := json.Unmarshal(raw, f); err != nil {
			return fmt.Errorf("deletion %s: %w", id, err)
		}
		out = append(out, f)
		return nil
	}, `select id, sealed from forgets where sealed is not null order by at, id`)
	return out, err
}

// ForgetReceipt gives a deletion's receipt, nil while it is under way.
// [ErrNotFound] means that there is no such deletion.
func (s *Store) ForgetReceipt(ctx context.Context, tenant, id string) ([]byte, error) {
	var receipt string
	err := s.db.QueryRowContext(ctx, `select receipt from forgets where tenant = ? and id = ?`, tenant, id).Scan(&receipt)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("read receipt %s: %w", id, err)
	case receipt == "":
		return nil, nil
	}
	return []byte(receipt), nil
}

// LiftForget lets events of these ids in again: the person came back and agreed
// to it. It tells how many were on the list.
func (s *Store) LiftForget(ctx context.Context, tenant, user string, visitors ...string) (int, error) {
	hashes := [][sha256.Size]byte{s.hashID(tenant, kindUser, user)}
	for _, v := range visitors {
		hashes = append(hashes, s.hashID(tenant, kindVisitor, v))
	}
	n := 0
	for _, h := range hashes {
		res, err := s.db.ExecContext(ctx, `delete from forgotten_ids where tenant = ? and hash = ?`, tenant, h[:])
		if err != nil {
			return n, fmt.Errorf("lift deletion: %w", err)
		}
		if gone, err := res.RowsAffected(); err == nil {
			n += int(gone)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	left := maps.Clone(s.forget.ids[tenant])
	maps.DeleteFunc(left, func(h [sha256.Size]byte, _ struct{}) bool { return slices.Contains(hashes, h) })
	s.forget.ids[tenant] = left
	return n, nil
}

// Sign signs a receipt.
func (s *Store) Sign(receipt []byte) []byte { return ed25519.Sign(s.forget.sign, receipt) }

// ReceiptKey is the public key of [Store.Sign].
func (s *Store) ReceiptKey() ed25519.PublicKey {
	return s.forget.sign.Public().(ed25519.PublicKey) //nolint:forcetypeassert // what ed25519 documents
}
