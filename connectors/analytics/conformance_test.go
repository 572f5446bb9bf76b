package analytics_test

import (
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/analytics"
	"github.com/headlessly/headlessly/connectors/connectortest"
)

const (
	secret  = "ga_secret_one_0123456789"
	secret2 = "ga_secret_two_0123456789"
	project = "phc_project_key_0123456789"
)

func TestConformance(t *testing.T) {
	connectortest.Run(t, func(t testing.TB, _ *connectortest.Clock) *connectortest.Subject {
		t.Helper()
		var c *analytics.Connector
		ga := func(secret string) map[string]any {
			return map[string]any{"measurementId": "G-ABC1234567", "apiSecret": secret}
		}
		s := &connectortest.Subject{
			Build: func(t testing.TB, _ *connectortest.Bench) (connectors.Registry, func()) {
				t.Helper()
				c = analytics.New(func(headlessly.Destinations) error { return nil })
				return connectors.Registry{c}, func() {}
			},
			Provider: "analytics",
			Args:     map[string]any{"provider": "analytics", "destinations": map[string]any{"ga": ga(secret), "posthog": map[string]any{"apiKey": project}}},
			Rotated:  map[string]any{"provider": "analytics", "destinations": map[string]any{"ga": ga(secret2)}},
			Secrets:  []string{secret, secret2, project},
			InUse: func() bool {
				d, version := c.Destinations(connectortest.Tenant)
				return version > 0 && d.GA != nil && (d.GA.APISecret.Reveal() == secret || d.GA.APISecret.Reveal() == secret2) && d.PostHog != nil && d.PostHog.APIKey.Reveal() == project
			},
			Without: map[connectortest.Case]string{
				connectortest.Refused: "none of the destinations has a call that tells a wrong key without counting an event; what does not look like a key is a fault of input",
			},
		}
		const others = "it tells the router where a tenant's events go; delivering, retrying and limiting them is the router's, and its destinations have a suite of their own"
		for _, c := range []connectortest.Case{
			connectortest.Resumes, connectortest.Limited, connectortest.CutShort, connectortest.Outage, connectortest.Revoked, connectortest.OddObject, connectortest.Inbound,
			connectortest.Lost, connectortest.Outbound, connectortest.OutboundDown, connectortest.Sends, connectortest.SendsLater, connectortest.SendsSlowly,
		} {
			s.Without[c] = others
		}
		return s
	})
}
