package stripe_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/connectortest"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/stripe"
	"github.com/headlessly/headlessly/connectors/stripe/stripetest"
)

func TestConformance(t *testing.T) {
	connectortest.Run(t, func(t testing.TB, clock *connectortest.Clock) *connectortest.Subject {
		t.Helper()
		s := stripetest.Start(t, clock.Now)
		s.Seed(1)
		args := func(key string) fields { return fields{"provider": "stripe", "apiKey": key, "apiBaseUrl": s.URL} }
		made := 0
		set := func(f func(s *stripetest.Server)) { s.Do(f) }
		return &connectortest.Subject{
			Registry: connectors.Registry{stripe.New()}, Provider: "stripe",
			Args: args(stripetest.LiveKey), Rotated: args(stripetest.LiveKey + "_2"), Wrong: args("sk_live_wrong"), Secrets: []string{stripetest.LiveKey},
			Seed: func(n int) (string, int64) { s.Seed(n); return "Customer", int64(len(s.All("customers"))) },
			Down: func(down bool) { set(func(s *stripetest.Server) { s.Outage = down }) },
			Limit: func(on bool) {
				set(func(s *stripetest.Server) {
					if s.Throttle = 0; on {
						s.Throttle = 3
					}
				})
			},
			Cut: func(answers int) func() int {
				set(func(s *stripetest.Server) { s.Cut = answers })
				return func() (left int) { set(func(s *stripetest.Server) { left = s.Cut }); return left }
			},
			Without: map[connectortest.Case]string{
				connectortest.Sends:       "it posts no events: what goes out are mutations",
				connectortest.SendsLater:  "it posts no events: what goes out are mutations",
				connectortest.SendsSlowly: "it posts no events: what goes out are mutations",
			},
			Revoke: func() { s.Revoke(stripetest.LiveKey) },
			Odd:    func() { set(func(s *stripetest.Server) { s.Odd("customers") }) },
			Hooks:  func() int { return len(s.All("webhook_endpoints")) },
			Change: func() {
				s.Act("POST", "/v1/customers/"+s.All("customers")[0]["id"].(string), "name=Changed")
			},
			Shows: func(g *graph.Scope) bool {
				n, err := g.Count(context.Background(), "Customer", fields{"name": "Changed"}, graph.AsOf{})
				return err == nil && n == 1
			},
			Receipts: func(id string) (out []headlessly.Receipt) {
				a := account{Bench: &connectortest.Bench{Clock: clock}, id: id}
				return a.receipts(s.Webhooks())
			},
			Create: func(ctx context.Context, g *graph.Scope) error {
				made++
				_, err := g.Create(ctx, "Customer", fields{"name": "Made", "email": fmt.Sprintf("made%d@example.com", made)})
				return err
			},
			Made: func() int { return s.Counted()["customers"] },
		}
	})
}
