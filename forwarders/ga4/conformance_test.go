package ga4_test

import (
	"net/http"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
	"github.com/headlessly/headlessly/forwarders/ga4"
)

func noContent(w http.ResponseWriter, _ *http.Request, _ []byte) { w.WriteHeader(http.StatusNoContent) }

func TestConformanceOfTheMeasurementProtocol(t *testing.T) {
	forwardertest.Run(t, forwardertest.Target{
		Kind: ga4.Kind(), Type: headlessly.TypePage, OK: noContent,
		Connect: func(base string) headlessly.Destinations {
			return headlessly.Destinations{GA: &headlessly.GADestination{
				MeasurementID: "G-TEST", APISecret: headlessly.NewSecret("ga/" + forwardertest.Canary + "+secret"), Endpoint: base,
			}}
		},
	})
}

func TestConformanceOfTheBrowsersProtocol(t *testing.T) {
	forwardertest.Run(t, forwardertest.Target{
		Kind: ga4.Kind(), Type: headlessly.TypePage, OK: noContent,
		Connect: func(base string) headlessly.Destinations {
			return headlessly.Destinations{GA: &headlessly.GADestination{MeasurementID: "G-TEST", Endpoint: base}}
		},
	})
}
