package ga4

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/jwt"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/payload"
)

const (
	adminEndpoint = "https://analyticsadmin.googleapis.com"
	editScope     = "https://www.googleapis.com/auth/analytics.edit"

	forgetByHand = "in Google Analytics open Explore, User explorer, find the user by client or user id and delete them, or connect propertyId and serviceAccount (the JSON key of one that may edit the property)"

	// What an id is, before its text.
	userMark, clientMark = "user:", "client:"
)

// forget asks for deletions through the Analytics Admin API
// (properties.submitUserDeletion): one request for each user and client id.
func forget() *forwarders.Forget {
	return &forwarders.Forget{
		IDs: func(e *headlessly.Event) []string {
			var parser payload.Parser
			out := []string{clientMark + identify(e, &parser).client}
			if e.UserID != "" {
				out = append(out, userMark+e.UserID)
			}
			return out
		},
		Delete: func(ctx context.Context, d headlessly.Destinations, deps forwarders.Deps, ids []string) forwarders.ForgetResult {
			if !d.GA.ServiceAccount.Set() {
				return forwarders.ForgetResult{Status: forwarders.ForgetByHand, Detail: forgetByHand}
			}
			client, err := adminClient(ctx, d.GA, deps.Client)
			for _, id := range ids {
				if err == nil {
					err = submitDeletion(ctx, d.GA, client, id)
				}
			}
			return forwarders.ForgetOutcome(err, len(ids), forgetByHand)
		},
	}
}

// adminClient is a client that signs in as the service account, over the
// guarded one.
func adminClient(ctx context.Context, c *headlessly.GADestination, over *http.Client) (*http.Client, error) {
	var key struct {
		Type     string `json:"type"`
		Email    string `json:"client_email"`
		Private  string `json:"private_key"`
		KeyID    string `json:"private_key_id"`
		TokenURI string `json:"token_uri"`
	}
	if json.Unmarshal([]byte(c.ServiceAccount.Reveal()), &key) != nil || key.Type != "service_account" || key.Private == "" || key.TokenURI == "" {
		return nil, &headlessly.Permanent{Err: errors.New("serviceAccount is not the JSON key of a service account")}
	}
	conf := jwt.Config{Email: key.Email, PrivateKey: []byte(key.Private), PrivateKeyID: key.KeyID, TokenURL: key.TokenURI, Scopes: []string{editScope}}
	token, err := conf.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, over)).Token()
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused) && refused.Response.StatusCode < 500 && refused.Response.StatusCode != http.StatusTooManyRequests:
		return nil, &headlessly.Permanent{Status: refused.Response.StatusCode, Err: fmt.Errorf("the service account was refused: %s", refused.Response.Status)}
	case refused != nil:
		return nil, fmt.Errorf("signing in: answered %s", refused.Response.Status)
	case err != nil:
		return nil, errors.New("signing in failed: the key can't be used or nobody answered")
	}
	return oauth2.NewClient(context.WithValue(ctx, oauth2.HTTPClient, over), oauth2.StaticTokenSource(token)), nil
}

func submitDeletion(ctx context.Context, c *headlessly.GADestination, client *http.Client, id string) error {
	field, value := "clientId", strings.TrimPrefix(id, clientMark)
	if user, ok := strings.CutPrefix(id, userMark); ok {
		field, value = "userId", user
	}
	body, err := json.Marshal(map[string]string{field: value})
	if err != nil {
		return err
	}
	host := strings.TrimSuffix(c.AdminEndpoint, "/")
	if host == "" {
		host = adminEndpoint
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, host+"/v1alpha/properties/"+c.PropertyID+":submitUserDeletion", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	return forwarders.AskToForget(client, req)
}
