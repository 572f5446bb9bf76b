package sentry_test

import (
	"strings"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
	"github.com/headlessly/headlessly/forwarders/sentry"
)

func connect(base string) headlessly.Destinations {
	scheme, host, _ := strings.Cut(base, "://")
	return headlessly.Destinations{Sentry: &headlessly.SentryDestination{
		DSN: headlessly.NewSecret(scheme + "://" + forwardertest.Canary + "key@" + host + "/42"),
	}}
}

func TestConformance(t *testing.T) {
	forwardertest.Run(t, forwardertest.Target{Kind: sentry.Kind(), Type: headlessly.TypeError, Connect: connect})
}
