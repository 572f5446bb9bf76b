package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/headlessly/headlessly"
)

// KeyInfo is what may be shown of a key.
type KeyInfo struct {
	headlessly.Key
	Name       string
	Prefix     string // the first characters, enough to tell keys apart
	CreatedAt  int64  // µs
	RevokedAt  int64  // µs, 0 while it works
	LastUsedAt int64  // µs, 0 before the first use; exact to some seconds
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

// keyRecord is a key as gateways share it: never its value, only SHA-256 of it.
type keyRecord struct {
	ID        string             `json:"id"`
	Tenant    string             `json:"tenant"`
	Kind      headlessly.KeyKind `json:"kind"`
	Name      string             `json:"name,omitempty"`
	Prefix    string             `json:"prefix"`
	Scopes    []string           `json:"scopes,omitempty"`
	Hash      string             `json:"hash"`
	OldHash   string             `json:"oldHash,omitempty"`  // of the value before a rotation
	OldUntil  int64              `json:"oldUntil,omitempty"` // µs: until when that one works
	CreatedAt int64              `json:"createdAt"`
	RevokedAt int64              `json:"revokedAt,omitempty"`
}

// heldKey is a key in memory.
type heldKey struct {
	rec  keyRecord
	rev  uint64       // at the shared place
	used atomic.Int64 // µs
	end  *time.Timer  // of the value before a rotation, nil without one
}

// door is what a value opens.
type door struct {
	key   *heldKey
	until int64 // µs, 0 for always
}

func (h *heldKey) info() KeyInfo {
	r := &h.rec
	return KeyInfo{
		Key:  headlessly.Key{ID: r.ID, Kind: r.Kind, Tenant: r.Tenant, Scopes: r.Scopes},
		Name: r.Name, Prefix: r.Prefix, CreatedAt: r.CreatedAt, RevokedAt: r.RevokedAt, LastUsedAt: h.used.Load(),
	}
}

// ErrNoKey means that the tenant has no such working key.
var ErrNoKey = errors.New("no such working key")

func (s *Store) loadKeys(ctx context.Context) error {
	return s.query(ctx, func(r *sql.Rows) error {
		var rec keyRecord
		var hash, old []byte
		var scopes, name sql.NullString
		var revoked, used, until sql.NullInt64
		if err := r.Scan(&rec.ID, &rec.Tenant, &rec.Kind, &rec.Prefix, &hash, &rec.CreatedAt, &revoked, &name, &scopes, &used, &old, &until); err != nil {
			return err
		}
		rec.Hash, rec.OldHash, rec.OldUntil = hex.EncodeToString(hash), hex.EncodeToString(old), until.Int64
		rec.Name, rec.RevokedAt = name.String, revoked.Int64
		if scopes.String != "" {
			if err := json.Unmarshal([]byte(scopes.String), &rec.Scopes); err != nil {
				return fmt.Errorf("scopes of %s: %w", rec.ID, err)
			}
		}
		h := s.hold(rec, 0)
		h.used.Store(used.Int64)
		return nil
	}, `select id, tenant, kind, prefix, hash, created_at, revoked_at, name, scopes, last_used_at, old_hash, old_until from keys`)
}

// hold lets a key be found as the record says; s.mu is held, or nobody else has
// the store yet.
func (s *Store) hold(rec keyRecord, rev uint64) *heldKey {
	h := s.keys[rec.ID]
	if h == nil {
		h = &heldKey{}
		s.keys[rec.ID] = h
	}
	for _, text := range []string{h.rec.Hash, h.rec.OldHash} {
		if sum, ok := sumOf(text); ok {
			delete(s.doors, sum)
		}
	}
	h.rec, h.rev = rec, max(h.rev, rev)
	s.awaitEnd(h)
	if rec.RevokedAt != 0 {
		return h
	}
	if sum, ok := sumOf(rec.OldHash); ok {
		s.doors[sum] = door{h, rec.OldUntil}
	}
	if sum, ok := sumOf(rec.Hash); ok {
		s.doors[sum] = door{h, 0}
	}
	return h
}

// awaitEnd has it told when the value before a rotation stops; s.mu is held, or
// nobody else has the store yet.
func (s *Store) awaitEnd(h *heldKey) {
	if h.end != nil {
		h.end.Stop()
		h.end = nil
	}
	left := time.UnixMicro(h.rec.OldUntil).Sub(s.cfg.Clock())
	if h.rec.OldHash == "" || h.rec.RevokedAt != 0 || left <= 0 {
		return
	}
	id := h.rec.ID
	h.end = time.AfterFunc(left+time.Millisecond, func() {
		s.mu.Lock()
		s.awaitEnd(h) // the clock may have been set back
		s.mu.Unlock()
		s.tellRevoked(id)
	})
}

func sumOf(text string) (sum [sha256.Size]byte, ok bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(sum) {
		return sum, false
	}
	return [sha256.Size]byte(b), true
}

// writeKey stores a record.
func (s *Store) writeKey(ctx context.Context, rec keyRecord) error {
	sum, _ := sumOf(rec.Hash)
	var old, until, revoked, scopes any
	if b, ok := sumOf(rec.OldHash); ok {
		old, until = b[:], rec.OldUntil
	}
	if rec.RevokedAt != 0 {
		revoked = rec.RevokedAt
	}
	if len(rec.Scopes) > 0 {
		raw, err := json.Marshal(rec.Scopes)
		if err != nil {
			return err
		}
		scopes = string(raw)
	}
	_, err := s.db.ExecContext(ctx, `insert into keys (id, tenant, kind, prefix, hash, created_at, revoked_at, name, scopes, old_hash, old_until) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		on conflict (id) do update set prefix = excluded.prefix, hash = excluded.hash, revoked_at = excluded.revoked_at, name = excluded.name, scopes = excluded.scopes, old_hash = excluded.old_hash, old_until = excluded.old_until`,
		rec.ID, rec.Tenant, string(rec.Kind), rec.Prefix, sum[:], rec.CreatedAt, revoked, rec.Name, scopes, old, until)
	if err != nil {
		return fmt.Errorf("store key %s: %w", rec.ID, err)
	}
	return nil
}

// CreateKey makes a key without scopes; see [Store.IssueKey].
func (s *Store) CreateKey(ctx context.Context, tenant string, kind headlessly.KeyKind) (KeyInfo, headlessly.Secret, error) {
	return s.IssueKey(ctx, KeyInfo{Key: headlessly.Key{Tenant: tenant, Kind: kind}})
}

// IssueKey makes a key of want's tenant, kind, name and scopes, under want's id
// if it has one, and returns its value, which is stored nowhere: only its
// SHA-256 is. An admin key has no tenant.
func (s *Store) IssueKey(ctx context.Context, want KeyInfo) (KeyInfo, headlessly.Secret, error) {
	if want.ID == "" {
		want.ID = "apikey_" + random(idChars)
	}
	rec := keyRecord{ID: want.ID, Tenant: want.Tenant, Kind: want.Kind, Name: want.Name, Scopes: slices.Clone(want.Scopes), CreatedAt: s.cfg.Clock().UnixMicro()}
	value := rec.renew()
	rev, err := s.publish(ctx, rec, 0)
	if err == nil {
		err = s.writeKey(ctx, rec)
	}
	if err != nil {
		return KeyInfo{}, headlessly.Secret{}, fmt.Errorf("create key for %s: %w", want.Tenant, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hold(rec, rev).info(), headlessly.NewSecret(value), nil
}

// renew gives the record a new value.
func (r *keyRecord) renew() (value string) {
	value = prefixOf(r.Kind) + random(keyChars)
	sum := sha256.Sum256([]byte(value))
	r.Hash, r.Prefix = hex.EncodeToString(sum[:]), value[:len(prefixOf(r.Kind))+shownOfAKey]
	return value
}

// changeKey changes a working key, here and at the shared place.
func (s *Store) changeKey(ctx context.Context, tenant, id string, change func(*keyRecord)) (KeyInfo, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	for range 8 {
		s.mu.RLock()
		h := s.keys[id]
		var rec keyRecord
		var rev uint64
		if h != nil {
			rec, rev = h.rec, h.rev
		}
		s.mu.RUnlock()
		if h == nil || rec.Tenant != tenant || rec.RevokedAt != 0 {
			return KeyInfo{}, ErrNoKey
		}
		change(&rec)
		rev, err := s.publish(ctx, rec, rev)
		if errors.Is(err, errStale) {
			if err := s.refreshKey(ctx, id); err != nil {
				return KeyInfo{}, err
			}
			continue
		}
		if err == nil {
			err = s.writeKey(ctx, rec)
		}
		if err != nil {
			return KeyInfo{}, fmt.Errorf("change key %s: %w", id, err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.hold(rec, rev).info(), nil
	}
	return KeyInfo{}, fmt.Errorf("change key %s: %w", id, errStale)
}

// SetKey gives a key another name and other scopes.
func (s *Store) SetKey(ctx context.Context, tenant, id, name string, scopes []string) (KeyInfo, error) {
	return s.changeKey(ctx, tenant, id, func(r *keyRecord) { r.Name, r.Scopes = name, slices.Clone(scopes) })
}

// RotateKey gives a key a new value and returns it; the one before works for
// grace longer, without grace not at all. What was opened with a value ends when
// the value does.
func (s *Store) RotateKey(ctx context.Context, tenant, id string, grace time.Duration) (KeyInfo, headlessly.Secret, error) {
	var value string
	info, err := s.changeKey(ctx, tenant, id, func(r *keyRecord) {
		r.OldHash, r.OldUntil = "", 0
		if grace > 0 {
			r.OldHash, r.OldUntil = r.Hash, s.cfg.Clock().Add(grace).UnixMicro()
		}
		value = r.renew()
	})
	if err == nil { // of two rotations within a grace the second stops the first value
		s.tellRevoked(id)
	}
	return info, headlessly.NewSecret(value), err
}

// RevokeKey stops a key at once; false means that there is no such working key.
// On an error it is stopped here, but perhaps not at other gateways.
func (s *Store) RevokeKey(ctx context.Context, tenant, id string) (bool, error) {
	now := s.cfg.Clock().UnixMicro()
	_, err := s.changeKey(ctx, tenant, id, func(r *keyRecord) { r.RevokedAt = now })
	if errors.Is(err, ErrNoKey) {
		return false, nil
	}
	if err != nil {
		s.mu.Lock()
		if h := s.keys[id]; h != nil {
			rec := h.rec
			rec.RevokedAt = now
			s.hold(rec, 0)
		}
		s.mu.Unlock()
	}
	s.tellRevoked(id)
	return true, err
}

// OnRevoke has f called with the id of each key that stops, or that has a value
// that does: what was opened with a value ends if it does not authenticate now.
func (s *Store) OnRevoke(f func(id string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onRevoke = append(s.onRevoke, f)
}

func (s *Store) tellRevoked(id string) {
	s.mu.RLock()
	list := s.onRevoke
	s.mu.RUnlock()
	for _, f := range list {
		f(id)
	}
}

// Keys lists a tenant's keys, newest last.
func (s *Store) Keys(_ context.Context, tenant string) ([]KeyInfo, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []KeyInfo
	for _, h := range s.keys {
		if h.rec.Tenant == tenant {
			out = append(out, h.info())
		}
	}
	slices.SortFunc(out, func(a, b KeyInfo) int {
		if a.CreatedAt != b.CreatedAt {
			return int(a.CreatedAt - b.CreatedAt)
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out, nil
}

// Key tells what is known of a key, a revoked one included.
func (s *Store) Key(id string) (KeyInfo, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	h := s.keys[id]
	if h == nil {
		return KeyInfo{}, false
	}
	return h.info(), true
}

// usedEvery is how exact a key's last use is.
const usedEvery = 5 * time.Second

// Authenticate tells what a key is, and notes its use. The lookup is by
// SHA-256, so its time says nothing about how much of a guess was right.
func (s *Store) Authenticate(key string) (headlessly.Key, bool) {
	if headlessly.KindOfKey(key) == "" {
		return headlessly.Key{}, false
	}
	hash := sha256.Sum256([]byte(key))
	now := s.cfg.Clock().UnixMicro()
	s.mu.RLock()
	defer s.mu.RUnlock()
	d, ok := s.doors[hash]
	if !ok || d.until != 0 && now >= d.until {
		return headlessly.Key{}, false
	}
	if now-d.key.used.Load() >= usedEvery.Microseconds() {
		d.key.used.Store(now)
	}
	r := &d.key.rec
	return headlessly.Key{ID: r.ID, Kind: r.Kind, Tenant: r.Tenant, Scopes: r.Scopes}, true
}
