package config

import (
	"fmt"
	"slices"
	"strings"
)

// Roles of a gateway. Those of a fleet share one log; what one of them accepts,
// another may forward, store and show.
const (
	RoleCollect = "collect" // the public listener: script, events, receipts
	RoleForward = "forward" // delivers events to destinations
	RoleLake    = "lake"    // writes and maintains the tables
	RoleControl = "control" // REST, SQL, integrations, webhooks, handlers
)

var roles = []string{RoleCollect, RoleForward, RoleLake, RoleControl}

// Runs says whether the gateway has a role.
func (c *Config) Runs(role string) bool { return len(c.Roles) == 0 || slices.Contains(c.Roles, role) }

func (c *Config) roleFaults(fault func(path, format string, args ...any)) {
	for i, r := range c.Roles {
		switch {
		case !slices.Contains(roles, r):
			fault(fmt.Sprintf("roles[%d]", i), "%q is no role; there are %s", r, strings.Join(roles, ", "))
		case slices.Index(c.Roles, r) < i:
			fault(fmt.Sprintf("roles[%d]", i), "%q is named twice", r)
		}
	}
	if len(c.Roles) > 0 && c.Log.NATS == "" {
		fault("roles", "need log.nats: a gateway with a log of its own does everything")
	}
	if c.Runs(RoleControl) && !c.Runs(RoleLake) && c.Lakehouse.Catalog.URI == "" {
		fault("roles", "control without lake needs lakehouse.catalog.uri: another gateway's folder of tables cannot be read")
	}
	if c.Flight != "" && !c.Runs(RoleControl) {
		fault("flight", "needs the role %s", RoleControl)
	}
}
