// Package all lists every destination that a router can have. It is a package
// of its own because the destinations import the forwarders package.
//
// A new destination is one line here.
package all

import (
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/ga4"
	"github.com/headlessly/headlessly/forwarders/http"
	"github.com/headlessly/headlessly/forwarders/posthog"
	"github.com/headlessly/headlessly/forwarders/sentry"
)

// Registry gives every kind of destination.
func Registry() forwarders.Registry {
	return forwarders.Registry{
		ga4.Kind(),
		sentry.Kind(),
		posthog.Kind(),
		http.Kind(),
	}
}
