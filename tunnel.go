package headlessly

import (
	"context"
	"errors"
	"net/http"
)

// A tunnel takes what another vendor's browser SDK (gtag, @sentry/browser,
// posthog-js) sends to the gateway's own address, keeps the events, and passes
// the request on to the tenant's own provider and nobody else.

// TunnelClaim is what a request says of where it belongs. Every part of it must
// be the tenant's own.
type TunnelClaim struct {
	Tenant   string   // named in the path, "" for none
	Provider string   // DestinationGA4, DestinationSentry or DestinationPostHog
	Keys     []string // every measurement id, DSN key or project key in it
	Project  string   // Sentry's, "" elsewhere
	Hosts    []string // of the DSNs in it
	// Asset is a static file of PostHog's, which belongs to no project.
	Asset bool
}

// TunnelRequest is what is passed on, as it came.
type TunnelRequest struct {
	Method string
	Path   string // decoded, as at the provider: /g/collect
	Query  string // without the question mark
	Header http.Header
	Body   []byte
	IP     string // of the visitor, as the tenant lets it be known
	Asset  bool
}

// TunnelAnswer is what the provider said.
type TunnelAnswer struct {
	Status int
	Header http.Header // those that may be shown to the page
	Body   []byte
}

// TunnelRoute leads to one tenant's own provider.
type TunnelRoute interface {
	// Tenant is whose provider it is.
	Tenant() string
	// Pass sends a request once and gives the provider's answer, whatever its
	// status. It blocks until then, or until ctx or its own deadline is over;
	// ErrTunnelBusy when too much is under way to this provider already. Safe
	// for concurrent use.
	Pass(ctx context.Context, r *TunnelRequest) (TunnelAnswer, error)
}

// Tunnel finds the route of a request. It answers from memory; safe for
// concurrent use.
type Tunnel interface {
	// Find gives the route that a claim is entitled to, ErrTunnelUnknown when
	// no tenant has this provider with these keys, ErrTunnelAmbiguous when
	// several have and the path names none.
	Find(c *TunnelClaim) (TunnelRoute, error)
}

// Refusals of a Tunnel.
var (
	ErrTunnelUnknown   = errors.New("no tenant has this provider with this key")
	ErrTunnelAmbiguous = errors.New("several tenants have this provider with this key; name one in the path: /~tenant/…")
	ErrTunnelBusy      = errors.New("too many requests to this provider are under way")
)
