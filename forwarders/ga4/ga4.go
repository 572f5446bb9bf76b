package ga4

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/send"
)

// DefaultEndpoint is Google's collector; the EU's is
// https://region1.google-analytics.com.
const DefaultEndpoint = "https://www.google-analytics.com"

const (
	batchItems = 100
	parallel   = 8 // requests of one batch at once: Google takes one visitor each
	// maxAge is how far back the Measurement Protocol places an event.
	maxAge = 72 * time.Hour
	// maxAgeBrowser is how late an event may count at its time of arrival.
	maxAgeBrowser = 24 * time.Hour
)

// Kind is the registry's entry for Google Analytics 4.
func Kind() forwarders.Kind {
	return forwarders.Kind{
		Name:      headlessly.DestinationGA4,
		Aliases:   []string{"ga4", "google analytics 4", "google analytics"},
		Consent:   []string{"analytics", "statistics"},
		Connected: func(d headlessly.Destinations) bool { return d.GA != nil && d.GA.MeasurementID != "" },
		Takes:     func(e *headlessly.Event) bool { return e.Type != headlessly.TypeAlias },
		Rules:     func(d headlessly.Destinations) *headlessly.Rules { return d.GA.Rules },
		Forget:    forget(),
		Build: func(d headlessly.Destinations, deps forwarders.Deps) (forwarders.Destination, error) {
			return New(*d.GA, deps)
		},
	}
}

// Destination is one Google Analytics 4 web stream.
type Destination struct {
	conf     headlessly.GADestination
	endpoint string
	deps     forwarders.Deps
}

// New makes the destination for a stream.
func New(c headlessly.GADestination, deps forwarders.Deps) (*Destination, error) {
	endpoint := c.Endpoint
	if endpoint == "" {
		endpoint = DefaultEndpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.RawQuery != "" {
		return nil, errors.New("google analytics endpoint is not a URL such as https://region1.google-analytics.com")
	}
	return &Destination{conf: c, endpoint: strings.TrimSuffix(u.String(), "/"), deps: deps}, nil
}

// Limits implements forwarders.Destination.
func (d *Destination) Limits() forwarders.Limits {
	return forwarders.Limits{
		Items: batchItems, Bytes: 4 << 20, InFlight: 4, Timeout: 30 * time.Second,
		Idempotent: d.conf.ResendUnknown,
	}
}

// request is one call to Google and the places of its events in the batch.
type request struct {
	send.Request
	index []int
}

// Deliver implements forwarders.Destination.
func (d *Destination) Deliver(ctx context.Context, batch []forwarders.Item) []forwarders.Result {
	results := make([]forwarders.Result, len(batch))
	now := d.deps.Clock()
	var requests []request
	if d.conf.APISecret.Set() {
		requests = d.measurement(batch, now, results)
	} else {
		requests = d.browser(batch, now, results)
	}
	send.Each(len(requests), parallel, func(n int) {
		r := &requests[n]
		if d.conf.Validate && d.conf.APISecret.Set() {
			d.validated(ctx, r, now, results)
			return
		}
		answer, err := send.Do(ctx, d.deps.Client, &r.Request, now)
		for _, i := range r.index {
			results[i] = forwarders.Result{Err: err, Status: answer.Status, Note: answer.Excerpt}
		}
	})
	return results
}

func (d *Destination) secrets() []string { return []string{d.conf.APISecret.Reveal()} }

// tooOld refuses what Google would move to another time.
func tooOld(e *headlessly.Event, now time.Time, limit time.Duration) error {
	if age := now.Sub(headlessly.Time(e.Timestamp)); age > limit {
		return &headlessly.Permanent{Err: errors.New("event is older than " + limit.String() + ": google analytics would move it to another time")}
	}
	return nil
}

// grouped collects events that can share a request, in order.
type grouped[T any] struct {
	keys  []string
	byKey map[string][]T
}

func (g *grouped[T]) add(key string, v T) {
	if g.byKey == nil {
		g.byKey = map[string][]T{}
	}
	if _, ok := g.byKey[key]; !ok {
		g.keys = append(g.keys, key)
	}
	g.byKey[key] = append(g.byKey[key], v)
}

func header(userAgent, contentType string) http.Header {
	userAgent = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' { // what a header cannot hold
			return -1
		}
		return r
	}, userAgent)
	if userAgent == "" {
		userAgent = "headlessly"
	}
	return http.Header{"Content-Type": {contentType}, "User-Agent": {userAgent}}
}
