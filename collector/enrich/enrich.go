package enrich

import (
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/headlessly/headlessly"
)

// userAgentCacheSize bounds the cache of parsed user agents: a few thousand
// distinct ones make up nearly all traffic, and an entry is about 500 bytes.
const userAgentCacheSize = 4096

// Request is what a request tells about all of its events, and its tenant's
// wishes.
type Request struct {
	ReceivedAt time.Time
	IP         netip.Addr // the client's address, zero when not known
	UserAgent  string
	GPC        bool       // Sec-GPC: 1, and the tenant heeds it
	KeepIP     bool       // do not truncate
	Redact     *Redaction // nil for nothing
	// Cookieless says of the event at hand that its client stores nothing and
	// asks for an id of the day.
	Cookieless bool

	said   netip.Addr // an address that was written before
	saidAs string
}

// say gives an address as text; a request's events mostly have the same.
func (r *Request) say(ip netip.Addr) string {
	if r.saidAs == "" || r.said != ip {
		r.said, r.saidAs = ip, ip.String()
	}
	return r.saidAs
}

// Enricher runs the stages. Safe for concurrent use.
type Enricher struct {
	agents   *lru.Cache[string, agent]
	geo      atomic.Pointer[geo]
	sessions *sessions
	salt     *salt
	files    []string
}

// New makes an Enricher. Close it when it is not needed any more.
func New(cfg Config) (*Enricher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.filled()
	agents, err := lru.New[string, agent](userAgentCacheSize)
	if err != nil {
		return nil, err
	}
	en := &Enricher{agents: agents, files: cfg.GeoFiles}
	if en.sessions, err = newSessions(cfg.MaxSessions, cfg.SessionIdle); err != nil {
		return nil, err
	}
	if en.salt, err = newSalt(cfg); err != nil {
		return nil, err
	}
	return en, en.Reload()
}

// Reload opens the geo files again, after they were replaced. On an error the
// former ones stay in use.
func (en *Enricher) Reload() error {
	g, err := openGeo(en.files)
	if err != nil {
		return err
	}
	// The former files are not closed: a lookup may be in them. The runtime
	// does it when nobody holds them any more.
	en.geo.Store(g)
	return nil
}

// Close closes the geo files. No Apply may be under way or follow.
func (en *Enricher) Close() error {
	if g := en.geo.Swap(&geo{}); g != nil {
		return g.close()
	}
	return errors.New("enrich: not open")
}

// Apply completes e. The request's strings may share memory with a buffer that
// is used again later; Apply keeps none of them.
func (en *Enricher) Apply(e *headlessly.Event, r *Request) {
	Skew(e, r.ReceivedAt)
	en.client(e, r)
	en.agent(e)
	Page(e)
	Channel(e)
	en.sessions.assign(e)
	r.Redact.Event(e)
	if r.GPC {
		DenyByGPC(e)
	}
}

// client fills what follows from who sent the request, and leaves the address
// truncated.
func (en *Enricher) client(e *headlessly.Event, r *Request) {
	var ip netip.Addr
	if e.IP != "" {
		ip, _ = netip.ParseAddr(e.IP) // the zero address where it is none
		e.IP = ""
	}
	// A server's own address and user agent say nothing about the visitor.
	if e.Source == headlessly.SourceBrowser || strings.HasPrefix(r.UserAgent, "Mozilla/") {
		fill(&e.Source, headlessly.SourceBrowser)
		fill(&e.UserAgent, r.UserAgent)
		if !ip.IsValid() {
			ip = r.IP
		}
	}
	fill(&e.Source, headlessly.SourceAPI)
	if !ip.IsValid() {
		return
	}
	ip = ip.Unmap().WithZone("")
	if g := en.geo.Load(); len(g.files) > 0 {
		g.place(e, ip)
	}
	if r.Cookieless {
		e.IP = ip.String()
		en.salt.visitor(e)
	}
	if !r.KeepIP {
		ip = truncate(ip)
	}
	e.IP = r.say(ip)
}
