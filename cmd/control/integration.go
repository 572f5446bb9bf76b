package control

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/analytics"
	"github.com/headlessly/headlessly/connectors/store"
)

// entity is an Integration as clients see it: the meta fields and what may be
// shown, never a credential.
type entity struct {
	ID           string         `json:"$id"`
	Type         string         `json:"$type"`
	Context      string         `json:"$context"`
	Version      int64          `json:"$version"`
	CreatedAt    string         `json:"$createdAt"`
	UpdatedAt    string         `json:"$updatedAt"`
	CreatedBy    string         `json:"$createdBy"`
	Name         string         `json:"name"`
	Slug         string         `json:"slug"`
	Provider     string         `json:"provider"`
	Category     string         `json:"category"`
	AuthType     string         `json:"authType"`
	Status       string         `json:"status"`
	Error        string         `json:"error,omitempty"`
	Destinations map[string]any `json:"destinations"`
}

const timeFormat = "2006-01-02T15:04:05.000000Z"

func (p *Plane) entity(i store.Integration) entity {
	return entity{
		ID: i.ID, Type: "Integration", Context: p.cfg.PublicURL + "/~" + i.Tenant, Version: i.Version,
		CreatedAt: headlessly.Time(i.CreatedAt).Format(timeFormat), UpdatedAt: headlessly.Time(i.UpdatedAt).Format(timeFormat), CreatedBy: i.CreatedBy,
		Name: "Analytics", Slug: i.Slug, Provider: i.Provider, Category: "Analytics", AuthType: "ApiKey", Status: i.Status, Error: i.Error,
		Destinations: analytics.Public(i.Destinations),
	}
}

// integration routes what is below /~{tenant}/Integration.
func (p *Plane) integration(c call, parts []string) {
	switch {
	case len(parts) == 0:
		c.only(http.MethodGet, p.findIntegrations)
	case len(parts) == 1 && parts[0] == "connect":
		c.only(http.MethodPost, p.connect)
	case len(parts) == 1 && parts[0] == "disconnect":
		c.only(http.MethodPost, func(c call) {
			var in struct {
				ID string `json:"id"`
			}
			if c.read(&in) {
				p.disconnect(c, in.ID)
			}
		})
	case len(parts) == 1:
		c.only(http.MethodGet, func(c call) {
			i, err := p.cfg.Store.Integration(c.tenant, parts[0])
			if err != nil {
				p.fail(c, err)
				return
			}
			writeJSON(c.w, http.StatusOK, p.entity(i))
		})
	case len(parts) == 2 && parts[1] == "disconnect":
		c.only(http.MethodPost, func(c call) { p.disconnect(c, parts[0]) })
	default:
		writeError(c.w, http.StatusNotFound, "not_found", "verb", "an Integration of provider analytics has the verbs connect and disconnect")
	}
}

// read decodes a JSON body and answers the fault when it cannot.
func (c call) read(v any) bool {
	dec := json.NewDecoder(c.r.Body)
	err := dec.Decode(v)
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return true
	case errors.As(err, &large):
		writeError(c.w, http.StatusRequestEntityTooLarge, "too_large", "body", "the body is larger than 1 MiB")
	case errors.Is(err, io.EOF):
		writeError(c.w, http.StatusBadRequest, "invalid_json", "body", "the body is empty; send a JSON object")
	default:
		writeError(c.w, http.StatusBadRequest, "invalid_json", "body", "the body is not the JSON object that this call wants")
	}
	return false
}

func (p *Plane) connect(c call) {
	var in struct {
		Provider     string          `json:"provider"`
		Destinations json.RawMessage `json:"destinations"`
	}
	if !c.read(&in) {
		return
	}
	if in.Provider != "analytics" {
		writeError(c.w, http.StatusBadRequest, "validation_failed", "provider", `provider must be "analytics"; no other provider is built into this version`)
		return
	}
	if len(in.Destinations) == 0 {
		writeError(c.w, http.StatusBadRequest, "validation_failed", "destinations", "destinations is missing: name at least one of ga, sentry, posthog, http")
		return
	}
	d, err := analytics.Parse(in.Destinations)
	if err != nil {
		p.fail(c, err)
		return
	}
	if err := p.cfg.Check(d); err != nil {
		p.fail(c, err)
		return
	}
	i, err := p.cfg.Store.ConnectAnalytics(c.r.Context(), c.tenant, c.key.ID, d)
	if err != nil {
		p.fail(c, err)
		return
	}
	writeJSON(c.w, http.StatusOK, p.entity(i))
}

func (p *Plane) disconnect(c call, id string) {
	i, err := p.cfg.Store.Disconnect(c.r.Context(), c.tenant, id)
	if err != nil {
		p.fail(c, err)
		return
	}
	writeJSON(c.w, http.StatusOK, p.entity(i))
}

// findIntegrations lists integrations; status=Active stands for every one that
// is connected and healthy.
func (p *Plane) findIntegrations(c call) {
	want := c.r.URL.Query().Get("status")
	healthy := []string{store.StatusConnected, "Synced", "Syncing"}
	results := []entity{}
	for _, i := range p.cfg.Store.Integrations(c.tenant) {
		if want == "" || strings.EqualFold(i.Status, want) || strings.EqualFold(want, "Active") && slices.Contains(healthy, i.Status) {
			results = append(results, p.entity(i))
		}
	}
	writeJSON(c.w, http.StatusOK, map[string]any{"results": results, "total": len(results), "hasMore": false})
}
