package enrich

import (
	"net/netip"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/headlessly/headlessly"
)

// userAgentCacheSize bounds the cache of parsed user agents: a few thousand
// distinct ones make up nearly all traffic, and an entry is about 500 bytes.
const userAgentCacheSize = 4096

// Request is what a request tells about all of its events.
type Request struct {
	ReceivedAt time.Time
	IP         netip.Addr // the client's address, zero when not known
	UserAgent  string
	GPC        bool // Sec-GPC: 1
	KeepIP     bool // the tenant's wish: do not truncate
}

// Enricher runs the stages. Safe for concurrent use.
type Enricher struct {
	agents *lru.Cache[string, agent]
}

// New makes an Enricher.
func New() *Enricher {
	c, err := lru.New[string, agent](userAgentCacheSize)
	if err != nil {
		panic(err) // only for a size below one
	}
	return &Enricher{agents: c}
}

// Apply completes e. The request's strings may share memory with a buffer that
// is used again later; Apply keeps none of them.
func (en *Enricher) Apply(e *headlessly.Event, r *Request) {
	Skew(e, r.ReceivedAt)
	// A server's own address and user agent say nothing about the visitor.
	fromBrowser := e.Source == headlessly.SourceBrowser || strings.HasPrefix(r.UserAgent, "Mozilla/")
	if fromBrowser {
		fill(&e.Source, headlessly.SourceBrowser)
		fill(&e.UserAgent, r.UserAgent)
		if e.IP == "" && r.IP.IsValid() {
			e.IP = r.IP.String()
		}
	}
	fill(&e.Source, headlessly.SourceAPI)
	if !r.KeepIP {
		e.IP = TruncateIP(e.IP)
	}
	en.agent(e)
	Page(e)
	Channel(e)
	if r.GPC {
		DenyByGPC(e)
	}
}
