package analytics

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
)

// Connector is the provider "analytics": it forwards nothing itself but tells
// the router, as its headlessly.DestinationSource, where each tenant's events
// go. Safe for concurrent use.
type Connector struct {
	check func(headlessly.Destinations) error

	mu        sync.RWMutex
	fixed     map[string]headlessly.Destinations // by tenant
	connected map[string]map[string]*headlessly.Destinations
	answers   map[string]answer
	version   uint64
}

type answer struct {
	d       headlessly.Destinations
	version uint64
}

// New makes the connector. check says whether destinations can be built: their
// rules, templates and addresses.
func New(check func(headlessly.Destinations) error) *Connector {
	return &Connector{check: check, fixed: map[string]headlessly.Destinations{}, connected: map[string]map[string]*headlessly.Destinations{}, answers: map[string]answer{}}
}

// Kind implements connectors.Connector.
func (c *Connector) Kind() connectors.Kind {
	return connectors.Kind{
		Provider: "analytics", Name: "Analytics", Category: "Analytics", AuthType: "ApiKey",
		Secrets: []string{
			"destinations.ga.apiSecret", "destinations.sentry.dsn", "destinations.posthog.apiKey",
			"destinations.http.url", "destinations.http.headers", "destinations.http.secret",
		},
		SecretsOptional: true, AttachFirst: true, Args: []string{"destinations"},
	}
}

// Validate implements connectors.Connector: it checks what is given and lays it
// over what was connected before. No provider is asked: neither has a call that
// would tell a wrong key without counting an event.
func (c *Connector) Validate(_ context.Context, l *connectors.Link) error {
	given, _ := l.Fields["destinations"].(map[string]any)
	if len(given) == 0 {
		return &headlessly.FieldError{Code: "validation_failed", Field: "destinations", Message: "is missing: name at least one of ga, sentry, posthog, http"}
	}
	var base headlessly.Destinations
	if l.Before != nil {
		var err error
		if base, err = read(l.Before.Fields["destinations"], l.Before.Secrets); err != nil {
			return err
		}
		if given, err = c.renewed(l, given); err != nil {
			return err
		}
	}
	raw, err := together(given, l.Secrets)
	if err != nil {
		return err
	}
	d, err := Parse(raw)
	if err != nil {
		return err
	}
	if err := c.check(d); err != nil {
		return err
	}
	l.Fields["destinations"], err = shown(l, Merge(base, d))
	return err
}

// renewed are the destinations that this connect names. Where nothing is given
// they are those that were there; the secrets of one that is given anew are
// given anew as well.
func (c *Connector) renewed(l *connectors.Link, given map[string]any) (map[string]any, error) {
	before, _ := l.Before.Fields["destinations"].(map[string]any)
	if same(before, given) && len(l.Given) == 0 {
		d, err := read(given, l.Secrets)
		if err != nil {
			return nil, err
		}
		return plainly(d)
	}
	for field := range l.Secrets {
		name, _, _ := strings.Cut(strings.TrimPrefix(field, "destinations."), ".")
		if _, named := given[name]; named && !slices.Contains(l.Given, field) {
			delete(l.Secrets, field)
		}
	}
	return given, nil
}

func same(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// Disconnect implements connectors.Connector.
func (c *Connector) Disconnect(context.Context, *connectors.Link) error { return nil }

// Attach implements connectors.Attacher.
func (c *Connector) Attach(_ context.Context, l *connectors.Link) (func(), error) {
	d, err := read(l.Fields["destinations"], l.Secrets)
	if err != nil {
		return nil, err
	}
	d.Named(l.ID)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.connected[l.Tenant] == nil {
		c.connected[l.Tenant] = map[string]*headlessly.Destinations{}
	}
	c.connected[l.Tenant][l.ID] = &d
	c.refresh(l.Tenant)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.connected[l.Tenant][l.ID] == &d {
			delete(c.connected[l.Tenant], l.ID)
			c.refresh(l.Tenant)
		}
	}, nil
}

// SetFixed tells the destinations that the configuration file names for a
// tenant. What is connected goes over them.
func (c *Connector) SetFixed(tenant string, d headlessly.Destinations) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fixed[tenant] = d
	c.refresh(tenant)
}

// refresh computes what Destinations answers; c.mu is held. Where two
// integrations name one destination the later one has it.
func (c *Connector) refresh(tenant string) {
	d := c.fixed[tenant]
	for _, id := range slices.Sorted(maps.Keys(c.connected[tenant])) {
		d = Merge(d, *c.connected[tenant][id])
	}
	if d == (headlessly.Destinations{}) {
		delete(c.answers, tenant)
		return
	}
	c.version++
	c.answers[tenant] = answer{d, c.version}
}

// Destinations implements headlessly.DestinationSource.
func (c *Connector) Destinations(tenant string) (headlessly.Destinations, uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	a := c.answers[tenant]
	return a.d, a.version
}
