package posthog_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
	"github.com/headlessly/headlessly/forwarders/posthog"
)

func TestConformance(t *testing.T) {
	forwardertest.Run(t, forwardertest.Target{
		Kind: posthog.Kind(), Type: headlessly.TypePage,
		OK: func(w http.ResponseWriter, _ *http.Request, _ []byte) { _, _ = io.WriteString(w, `{"status":1}`) },
		Connect: func(base string) headlessly.Destinations {
			return headlessly.Destinations{PostHog: &headlessly.PostHogDestination{
				APIKey: headlessly.NewSecret("phc_" + forwardertest.Canary), Host: base,
			}}
		},
	})
}
