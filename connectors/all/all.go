// Package all is the list of the connectors that are built in.
package all

import (
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/analytics"
	"github.com/headlessly/headlessly/connectors/stripe"
)

// Registry gives every connector; one line for each.
func Registry(a *analytics.Connector) connectors.Registry {
	return connectors.Registry{
		a,
		stripe.New(),
	}
}
