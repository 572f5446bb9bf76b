package http

import (
	"context"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
)

// forget says what to do: nobody here knows what the receiver keeps.
func forget() *forwarders.Forget {
	return &forwarders.Forget{
		IDs: func(*headlessly.Event) []string { return nil },
		Delete: func(context.Context, headlessly.Destinations, forwarders.Deps, []string) forwarders.ForgetResult {
			return forwarders.ForgetResult{Status: forwarders.ForgetByHand, Detail: "whoever runs the address that events were posted to must delete the person there"}
		},
	}
}
