package enrich

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/headlessly/headlessly"
)

// salt makes visitor ids for clients that store nothing: a hash of the day's
// random salt, the tenant, the address and the user agent. The salt is thrown
// away at midnight UTC, and with it every way to tell that two days' ids are
// one visitor's.
type salt struct {
	cfg Config

	mu    sync.Mutex
	today daySalt
}

type daySalt struct {
	Day  int64  `json:"day"` // days since 1970, UTC
	Salt []byte `json:"salt"`
}

const saltBytes = 32

func newSalt(cfg Config) (*salt, error) {
	s := &salt{cfg: cfg}
	if cfg.SaltFile == "" {
		return s, nil
	}
	raw, err := os.ReadFile(cfg.SaltFile)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &s.today)
	}
	if err != nil {
		return nil, fmt.Errorf("read salt %s: %w", cfg.SaltFile, err)
	}
	return s, nil
}

// of gives the salt of a day. The former one is overwritten.
func (s *salt) of(day int64) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.today.Day == day && len(s.today.Salt) == saltBytes {
		return s.today.Salt, nil
	}
	fresh := daySalt{Day: day, Salt: make([]byte, saltBytes)}
	if _, err := io.ReadFull(s.cfg.Rand, fresh.Salt); err != nil {
		return nil, err
	}
	s.today = fresh
	if s.cfg.SaltFile == "" {
		return fresh.Salt, nil
	}
	raw, err := json.Marshal(fresh)
	if err == nil {
		err = os.WriteFile(s.cfg.SaltFile, raw, 0o600)
	}
	return fresh.Salt, err
}

// visitor names a cookieless visitor for one day. Without an address there is
// no telling visitors apart, and so no name.
func (s *salt) visitor(e *headlessly.Event) {
	if e.AnonymousID != "" || e.IP == "" {
		return
	}
	day := e.ReceivedAt / 86_400_000_000
	key, err := s.of(day)
	if key == nil || err != nil && len(key) != saltBytes {
		return
	}
	b := make([]byte, 0, 512)
	b = append(b, key...)
	for _, part := range [...]string{e.Tenant, e.IP, e.UserAgent} {
		b = append(append(b, part...), 0)
	}
	sum := sha256.Sum256(b)
	e.AnonymousID = hashUUID(sum[:])
}
