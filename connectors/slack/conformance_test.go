package slack_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/connectortest"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/outbox/outboxtest"
	"github.com/headlessly/headlessly/connectors/slack"
	"github.com/headlessly/headlessly/connectors/slack/slacktest"
)

func TestConformance(t *testing.T) {
	connectortest.Run(t, func(t testing.TB, clock *connectortest.Clock) *connectortest.Subject {
		t.Helper()
		hub := &slacktest.Slack{Clock: clock.Now}
		server := httptest.NewServer(hub)
		t.Cleanup(server.Close)
		args := func(path string) fields {
			return fields{"provider": "slack", "slug": "alerts", "webhook": server.URL + path, "events": []any{"Deal.*"}, "apiBaseUrl": server.URL}
		}
		made := 0
		const onlySends = "an incoming webhook takes messages and gives nothing: there is nothing to sync, to receive or to mutate"
		s := &connectortest.Subject{
			Build: func(t testing.TB, b *connectortest.Bench) (connectors.Registry, func()) {
				t.Helper()
				box, stop := outboxtest.Open(t, b.Graph, b.Dir, clock.Now, clock.After)
				return connectors.Registry{slack.New(box, func(ctx context.Context, _ string) error { return ctx.Err() })}, stop
			},
			Provider: "slack", Args: args(slacktest.Path), Rotated: args(slacktest.Path2), Wrong: args("/services/T0/B0/wrong"),
			Secrets: []string{slacktest.Path, slacktest.Path2}, Without: map[connectortest.Case]string{},
			Down: func(down bool) {
				if hub.Fail(0); down {
					hub.Fail(1 << 30)
				}
			},
			Limit:  func(bool) {}, // it always takes one message a second only
			Revoke: func() { hub.RevokePath(slacktest.Path) },
			Emit: func(ctx context.Context, g *graph.Scope) error {
				made++
				_, err := g.Create(ctx, "Deal", fields{"name": fmt.Sprintf("deal <%d>", made), "stage": "Open"})
				return err
			},
			Sent: func() (events, again int) {
				seen := map[string]bool{}
				for _, m := range hub.Posted() {
					for line := range strings.Lines(show(m)) {
						if _, name, ok := strings.Cut(line, "*Deal created*: "); ok && seen[name] {
							again++
						} else if ok {
							seen[name] = true
						}
					}
				}
				return len(seen), again
			},
		}
		for _, c := range []connectortest.Case{
			connectortest.Resumes, connectortest.Limited, connectortest.CutShort, connectortest.OddObject, connectortest.Inbound, connectortest.Lost,
			connectortest.Outbound, connectortest.OutboundDown,
		} {
			s.Without[c] = onlySends
		}
		return s
	})
}
