package posthog

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/payload"
)

// DefaultHost is where projects of PostHog's US cloud send to.
const DefaultHost = "https://us.i.posthog.com"

const (
	maxItems = 250
	maxBytes = 4 << 20 // PostHog takes 20 MiB; its own libraries stay below 5
	// historical is the age from which PostHog wants events as a migration.
	historical = 48 * time.Hour
)

// Kind is the registry's entry for PostHog.
func Kind() forwarders.Kind {
	shared := newShared() // by all tenants
	return forwarders.Kind{
		Name:      headlessly.DestinationPostHog,
		Aliases:   []string{"posthog"},
		Consent:   []string{"analytics", "statistics"},
		Connected: func(d headlessly.Destinations) bool { return d.PostHog != nil && d.PostHog.APIKey.Set() },
		Takes:     func(e *headlessly.Event) bool { return e.Type != headlessly.TypeSession },
		Rules:     func(d headlessly.Destinations) *headlessly.Rules { return d.PostHog.Rules },
		Forget:    forget(),
		Build: func(d headlessly.Destinations, deps forwarders.Deps) (forwarders.Destination, error) {
			dest, err := New(*d.PostHog, deps)
			if err != nil {
				return nil, err
			}
			dest.shared = shared
			return dest, nil
		},
	}
}

// shared is what all projects have in common.
type shared struct {
	zip payload.Gzip

	mu    sync.Mutex
	hosts map[string]bool // whether a host has the newer interface
}

// maxHosts bounds what is remembered of hosts.
const maxHosts = 4096

func newShared() *shared { return &shared{hosts: map[string]bool{}} }

// hasV1 says what is known of a host.
func (s *shared) hasV1(host string) (yes, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	yes, known = s.hosts[host]
	return yes, known
}

func (s *shared) learn(host string, yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.hosts) >= maxHosts {
		clear(s.hosts)
	}
	s.hosts[host] = yes
}

// Destination is one PostHog project.
type Destination struct {
	conf   headlessly.PostHogDestination
	key    string
	host   string
	shared *shared
	deps   forwarders.Deps
}

// New makes the destination for a project.
func New(c headlessly.PostHogDestination, deps forwarders.Deps) (*Destination, error) {
	host := c.Host
	if host == "" {
		host = DefaultHost
	}
	u, err := url.Parse(host)
	if err != nil || u.Host == "" || u.RawQuery != "" {
		return nil, errors.New("posthog host is not a URL such as https://eu.i.posthog.com")
	}
	switch c.Capture {
	case "", "v0", "v1":
	default:
		return nil, errors.New(`posthog capture is neither "v0" nor "v1"`)
	}
	switch c.Profiles {
	case "", "identified", "always", "never":
	default:
		return nil, errors.New(`posthog profiles is none of "identified", "always", "never"`)
	}
	return &Destination{
		conf: c, key: c.APIKey.Reveal(), host: strings.TrimSuffix(u.String(), "/"), shared: newShared(), deps: deps,
	}, nil
}

// Limits implements forwarders.Destination.
func (d *Destination) Limits() forwarders.Limits {
	return forwarders.Limits{Items: maxItems, Bytes: maxBytes, InFlight: 4, Timeout: 30 * time.Second, Idempotent: true}
}

// Deliver implements forwarders.Destination.
func (d *Destination) Deliver(ctx context.Context, batch []forwarders.Item) []forwarders.Result {
	now := d.deps.Clock()
	results := make([]forwarders.Result, len(batch))
	var fresh, old part
	for i, it := range batch {
		if why := unfit(it.Event); why != "" {
			results[i].Err = &headlessly.Permanent{Err: errors.New(why)}
			continue
		}
		p := &fresh
		if now.Sub(headlessly.Time(it.Event.Timestamp)) >= historical {
			p = &old
		}
		p.events, p.index, p.try = append(p.events, it.Event), append(p.index, i), max(p.try, it.Attempts+1)
	}
	old.historical = true
	d.send(ctx, fresh, results)
	d.send(ctx, old, results)
	return results
}

// unfit says why PostHog would not take an event, "" if it would.
func unfit(e *headlessly.Event) string {
	switch year := headlessly.Time(e.Timestamp).Year(); {
	case year < 1 || year > 9999:
		return "event's time is no date"
	case payload.Visitor(e) == "":
		return "event has neither a visitor nor an id"
	case e.Type == headlessly.TypeGroup && e.GroupID == "":
		return "group event has no group id"
	case e.Type == headlessly.TypeAlias && e.PreviousID == "" && e.AnonymousID == "":
		return "alias event has no previous id"
	}
	return ""
}
