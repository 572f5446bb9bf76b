// Package all is the list of the connectors that are built in.
package all

import (
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/analytics"
	"github.com/headlessly/headlessly/connectors/github"
	"github.com/headlessly/headlessly/connectors/slack"
	"github.com/headlessly/headlessly/connectors/stripe"
	"github.com/headlessly/headlessly/connectors/webhook"
)

// Registry gives every connector; one line for each.
func Registry(a *analytics.Connector, w *webhook.Connector, s *slack.Connector) connectors.Registry {
	return connectors.Registry{
		a,
		stripe.New(),
		github.New(),
		w,
		s,
	}
}
