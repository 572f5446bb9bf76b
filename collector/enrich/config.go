package enrich

import (
	"crypto/rand"
	"errors"
	"io"
	"time"

	"github.com/headlessly/headlessly"
)

// Config says what an Enricher has to work with. The zero Config works: no
// place is known, sessions are kept for the default time, and the salt of
// cookieless visitors lives as long as the process.
type Config struct {
	// GeoFiles are databases in MaxMind's format: cities (or countries), and
	// autonomous systems. Later files fill what earlier ones leave open.
	GeoFiles []string
	// SessionIdle ends a session; 30 minutes unless set. MaxSessions bounds the
	// visitors whose session is known, at about 200 bytes each; 100,000 unless
	// set.
	SessionIdle time.Duration
	MaxSessions int
	// SaltFile keeps the day's salt over a restart, so that cookieless visitors
	// of a day stay one visitor. It never holds a former day's salt.
	SaltFile string

	Clock headlessly.Clock
	Rand  io.Reader
}

const (
	defaultIdle     = 30 * time.Minute
	defaultSessions = 100_000
)

// Validate reports every fault.
func (c Config) Validate() error {
	var errs []error
	if c.SessionIdle < 0 {
		errs = append(errs, errors.New("enrich: session idle time is negative"))
	}
	if c.MaxSessions < 0 {
		errs = append(errs, errors.New("enrich: max sessions is negative"))
	}
	return errors.Join(errs...)
}

func (c Config) filled() Config {
	if c.SessionIdle == 0 {
		c.SessionIdle = defaultIdle
	}
	if c.MaxSessions == 0 {
		c.MaxSessions = defaultSessions
	}
	if c.Clock == nil {
		c.Clock = headlessly.SystemClock
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	return c
}
