package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"fmt"

	"github.com/headlessly/headlessly"
)

// KeyInfo is what may be shown of a key.
type KeyInfo struct {
	headlessly.Key
	Prefix    string // the first characters, enough to tell keys apart
	CreatedAt int64  // µs
	RevokedAt int64  // µs, 0 while it works
}

const (
	alphabet     = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789" // without 0 O 1 I l
	keyChars     = 32                                                          // 186 bits
	idChars      = 10                                                          // 58 bits
	shownOfAKey  = 4
	maxRandBytes = 256
)

// random gives n characters of the alphabet, evenly distributed.
func random(n int) string {
	out := make([]byte, 0, n)
	buf := make([]byte, maxRandBytes)
	limit := byte(maxRandBytes - maxRandBytes%len(alphabet)) // reject the uneven rest
	for {
		_, _ = rand.Read(buf) // never fails since Go 1.24
		for _, b := range buf {
			if b < limit {
				if out = append(out, alphabet[int(b)%len(alphabet)]); len(out) == n {
					return string(out)
				}
			}
		}
	}
}

func prefixOf(kind headlessly.KeyKind) string {
	switch kind {
	case headlessly.KeySecret:
		return headlessly.PrefixSecret
	case headlessly.KeyAdmin:
		return headlessly.PrefixAdmin
	}
	return headlessly.PrefixPublic
}

func (s *Store) loadKeys(ctx context.Context) error {
	return s.query(ctx, func(r *sql.Rows) error {
		var k headlessly.Key
		var hash []byte
		if err := r.Scan(&k.ID, &k.Tenant, &k.Kind, &hash); err != nil {
			return err
		}
		s.keys[[sha256.Size]byte(hash)] = k
		return nil
	}, `select id, tenant, kind, hash from keys where revoked_at is null`)
}

// CreateKey makes a key and returns its value, which is stored nowhere: only
// its SHA-256 is. An admin key has no tenant.
func (s *Store) CreateKey(ctx context.Context, tenant string, kind headlessly.KeyKind) (KeyInfo, headlessly.Secret, error) {
	value := prefixOf(kind) + random(keyChars)
	now := s.cfg.Clock().UnixMicro()
	info := KeyInfo{Key: headlessly.Key{ID: "apikey_" + random(idChars), Kind: kind, Tenant: tenant}, Prefix: value[:len(prefixOf(kind))+shownOfAKey], CreatedAt: now}
	hash := sha256.Sum256([]byte(value))
	_, err := s.db.ExecContext(ctx, `insert into keys (id, tenant, kind, prefix, hash, created_at) values (?, ?, ?, ?, ?, ?)`,
		info.ID, tenant, string(kind), info.Prefix, hash[:], now)
	if err != nil {
		return KeyInfo{}, headlessly.Secret{}, fmt.Errorf("create key for %s: %w", tenant, err)
	}
	s.mu.Lock()
	s.keys[hash] = info.Key
	s.mu.Unlock()
	return info, headlessly.NewSecret(value), nil
}

// RevokeKey stops a key at once; false means that there is no such key.
func (s *Store) RevokeKey(ctx context.Context, tenant, id string) (bool, error) {
	res, err := s.db.ExecContext(ctx, `update keys set revoked_at = ? where id = ? and tenant = ? and revoked_at is null`, s.cfg.Clock().UnixMicro(), id, tenant)
	if err != nil {
		return false, fmt.Errorf("revoke key %s: %w", id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for h, k := range s.keys {
		if k.ID == id && k.Tenant == tenant {
			delete(s.keys, h)
		}
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// Keys lists a tenant's keys, newest last.
func (s *Store) Keys(ctx context.Context, tenant string) ([]KeyInfo, error) {
	var out []KeyInfo
	err := s.query(ctx, func(r *sql.Rows) error {
		var k KeyInfo
		var revoked sql.NullInt64
		if err := r.Scan(&k.ID, &k.Tenant, &k.Kind, &k.Prefix, &k.CreatedAt, &revoked); err != nil {
			return err
		}
		k.RevokedAt = revoked.Int64
		out = append(out, k)
		return nil
	}, `select id, tenant, kind, prefix, created_at, revoked_at from keys where tenant = ? order by created_at, id`, tenant)
	return out, err
}

// Authenticate tells what a key is. The lookup is by SHA-256, so its time says
// nothing about how much of a guess was right.
func (s *Store) Authenticate(key string) (headlessly.Key, bool) {
	if headlessly.KindOfKey(key) == "" {
		return headlessly.Key{}, false
	}
	hash := sha256.Sum256([]byte(key))
	s.mu.RLock()
	defer s.mu.RUnlock()
	k, ok := s.keys[hash]
	return k, ok
}
