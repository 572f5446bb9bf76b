package sentry

import (
	"context"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
)

// forget says what to do: Sentry has no deletion of a user.
func forget() *forwarders.Forget {
	return &forwarders.Forget{
		IDs: func(e *headlessly.Event) []string { return []string{e.UserID} },
		Delete: func(context.Context, headlessly.Destinations, forwarders.Deps, []string) forwarders.ForgetResult {
			return forwarders.ForgetResult{Status: forwarders.ForgetByHand, Detail: "Sentry has no deletion of one user: search the project's issues for user.id, delete those that are theirs alone; the other events end with the project's retention (30 to 90 days)"}
		},
	}
}
