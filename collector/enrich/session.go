package enrich

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/headlessly/headlessly"
)

// sessions gives browser events without a session id one: a visitor's events
// belong together until there was none for the idle time, or until the visitor
// comes by another campaign. The visitors seen last are remembered; whoever is
// forgotten, as all are at a restart, begins a new session.
type sessions struct {
	idle  int64 // µs
	seeds [2]maphash.Seed

	mu    sync.Mutex
	known *simplelru.LRU[visitor, *session]
}

// visitor is a keyed hash of tenant and visitor id.
type visitor [2]uint64

type session struct {
	id       string
	last     int64  // µs: its newest event
	campaign uint64 // hash of the campaign it came by; 0 for none
}

func newSessions(limit int, idle time.Duration) (*sessions, error) {
	known, err := simplelru.NewLRU[visitor, *session](limit, nil)
	if err != nil {
		return nil, err
	}
	return &sessions{idle: idle.Microseconds(), seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, known: known}, nil
}

func (s *sessions) assign(e *headlessly.Event) {
	who := e.AnonymousID
	if who == "" {
		who = e.UserID
	}
	if e.SessionID != "" || who == "" || e.Source != headlessly.SourceBrowser || e.IsBot {
		return
	}
	var key visitor
	for i := range key {
		key[i] = s.hash(s.seeds[i], e.Tenant, who)
	}
	campaign := s.campaign(e)
	s.mu.Lock()
	defer s.mu.Unlock()
	now, ok := s.known.Get(key)
	switch {
	case !ok:
		now = &session{}
		s.known.Add(key, now)
	case e.Timestamp < now.last-s.idle: // long ago, come late: a session of its own
		e.SessionID = sessionID(e.Tenant, who, e.Timestamp/s.idle)
		return
	case e.Timestamp <= now.last+s.idle && (campaign == 0 || campaign == now.campaign):
		now.last = max(now.last, e.Timestamp)
		e.SessionID = now.id
		return
	}
	*now = session{id: sessionID(e.Tenant, who, e.Timestamp), last: e.Timestamp, campaign: campaign}
	e.SessionID = now.id
}

func (s *sessions) campaign(e *headlessly.Event) uint64 {
	if e.UTMSource == "" && e.UTMMedium == "" && e.UTMCampaign == "" && e.ClickID == "" {
		return 0
	}
	return s.hash(s.seeds[0], e.UTMSource, e.UTMMedium, e.UTMCampaign, e.UTMTerm, e.UTMContent, e.ClickID) | 1
}

func (s *sessions) hash(seed maphash.Seed, parts ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, p := range parts {
		_, _ = h.WriteString(p)
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

// sessionID names a session by its visitor and start, so that the same events
// give the same ids.
func sessionID(tenant, who string, start int64) string {
	b := make([]byte, 0, 256)
	b = append(append(append(append(b, tenant...), 0), who...), 0)
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(b, uint64(start)))
	return hashUUID(sum[:])
}

// hashUUID makes a UUID (version 8) of a hash.
func hashUUID(sum []byte) string {
	u := uuid.UUID(sum[:16])
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return u.String()
}
