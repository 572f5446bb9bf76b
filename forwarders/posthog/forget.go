package posthog

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/payload"
)

// forgetBatch is how many persons PostHog deletes by one request at most.
const forgetBatch = 1000

const forgetByHand = "in PostHog open People, find the person by their id and delete them with their events, or connect projectId and personalApiKey (phx_…, scope person:write)"

// forget deletes persons with their events and recordings through PostHog's
// bulk deletion, which takes distinct ids.
func forget() *forwarders.Forget {
	return &forwarders.Forget{
		IDs: func(e *headlessly.Event) []string {
			ids := []string{payload.Visitor(e)}
			for _, id := range []string{e.UserID, e.AnonymousID, e.PreviousID} {
				if id != "" && !slices.Contains(ids, id) {
					ids = append(ids, id)
				}
			}
			return slices.DeleteFunc(ids, func(id string) bool { return id == "" || id == e.MessageID })
		},
		Delete: func(ctx context.Context, d headlessly.Destinations, deps forwarders.Deps, ids []string) forwarders.ForgetResult {
			c := d.PostHog
			if !c.PersonalKey.Set() {
				return forwarders.ForgetResult{Status: forwarders.ForgetByHand, Detail: forgetByHand}
			}
			for some := range slices.Chunk(ids, forgetBatch) {
				body, err := json.Marshal(map[string]any{"distinct_ids": some, "delete_events": true, "delete_recordings": true})
				if err != nil {
					return forwarders.ForgetOutcome(err, 0, forgetByHand)
				}
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, appHost(c)+"/api/projects/"+c.ProjectID+"/persons/bulk_delete/", bytes.NewReader(body))
				if err != nil {
					return forwarders.ForgetOutcome(err, 0, forgetByHand)
				}
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("Authorization", "Bearer "+c.PersonalKey.Reveal())
				if err := forwarders.AskToForget(deps.Client, req); err != nil {
					return forwarders.ForgetOutcome(err, 0, forgetByHand)
				}
			}
			return forwarders.ForgetOutcome(nil, len(ids), "")
		},
	}
}

// appHost is where PostHog's own API is: its cloud takes events at
// eu.i.posthog.com and answers at eu.posthog.com.
func appHost(c *headlessly.PostHogDestination) string {
	host := c.AppHost
	if host == "" {
		if host = c.Host; host == "" {
			host = DefaultHost
		}
		host = strings.Replace(host, ".i.posthog.com", ".posthog.com", 1)
	}
	return strings.TrimSuffix(host, "/")
}
