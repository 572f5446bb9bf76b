package tunnel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/egress"
)

// Bounds. A request that waits for a provider holds a connection of the page
// and its answer in memory, so each provider of each tenant gets a share.
const (
	timeout      = 10 * time.Second
	maxAnswer    = 1 << 20 // flags of a large project
	maxAsset     = 4 << 20 // posthog-js with its recorder is 0.5 MB
	maxInFlight  = 256
	maxOfProject = 64
	maxAssets    = 16
)

// Config is what a Tunnel needs.
type Config struct {
	Tenants      func() []string
	Destinations headlessly.DestinationSource
	// AllowPrivate opens private addresses, see package egress.
	AllowPrivate bool
	Clock        headlessly.Clock
	// Client replaces the guarded client, for tests.
	Client *http.Client
}

// Tunnel implements headlessly.Tunnel.
type Tunnel struct {
	cfg    Config
	client *http.Client
	index  index
	flight flight
}

// New makes a tunnel.
func New(cfg Config) *Tunnel {
	if cfg.Clock == nil {
		cfg.Clock = headlessly.SystemClock
	}
	t := &Tunnel{cfg: cfg, client: cfg.Client, flight: flight{of: map[string]int{}}}
	if t.client == nil {
		t.client = egress.New(egress.Config{AllowPrivate: cfg.AllowPrivate, Timeout: timeout, MaxAnswer: maxAsset + 1})
	}
	return t
}

// Find implements headlessly.Tunnel.
func (t *Tunnel) Find(c *headlessly.TunnelClaim) (headlessly.TunnelRoute, error) {
	p, err := t.find(c)
	if err != nil {
		return nil, err
	}
	return route{t, p}, nil
}

// route leads to a project.
type route struct {
	t *Tunnel
	p *project
}

// Tenant implements headlessly.TunnelRoute.
func (r route) Tenant() string { return r.p.tenant }

// Pass implements headlessly.TunnelRoute.
func (r route) Pass(ctx context.Context, in *headlessly.TunnelRequest) (headlessly.TunnelAnswer, error) {
	leave, ok := r.t.flight.enter(r.p.tenant+" "+r.p.provider, in.Asset)
	if !ok {
		return headlessly.TunnelAnswer{}, headlessly.ErrTunnelBusy
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := r.request(ctx, in)
	if err != nil {
		return headlessly.TunnelAnswer{}, err
	}
	res, err := r.t.client.Do(req)
	if err != nil {
		return headlessly.TunnelAnswer{}, bare(err)
	}
	defer func() { _ = res.Body.Close() }()
	limit := int64(maxAnswer)
	if in.Asset {
		limit = maxAsset
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return headlessly.TunnelAnswer{}, bare(err)
	}
	if int64(len(body)) > limit {
		return headlessly.TunnelAnswer{}, fmt.Errorf("the provider's answer is larger than %d bytes", limit)
	}
	if res.StatusCode/100 == 3 && res.StatusCode != http.StatusNotModified {
		return headlessly.TunnelAnswer{}, fmt.Errorf("the provider answered with a redirect (%d), which is not followed", res.StatusCode)
	}
	return headlessly.TunnelAnswer{Status: res.StatusCode, Header: pick(res.Header, shown), Body: body}, nil
}

// passed are the headers that go to the provider, shown those that go to the
// page. Cookies are in neither: those of a first-party address are none of the
// provider's business.
var (
	passed = []string{ //nolint:gochecknoglobals // constants
		"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Content-Encoding", "Content-Type", "If-Modified-Since", "If-None-Match",
		"Origin", "Posthog-Attempt", "Posthog-Request-Id", "Posthog-Request-Timestamp", "Posthog-Sdk-Info", "Referer", "User-Agent", "X-Sentry-Auth",
	}
	shown = []string{ //nolint:gochecknoglobals // constants
		"Cache-Control", "Content-Encoding", "Content-Type", "Etag", "Expires", "Last-Modified", "Retry-After", "Vary", "X-Sentry-Error", "X-Sentry-Rate-Limits",
	}
)

func pick(h http.Header, names []string) http.Header {
	out := http.Header{}
	for _, n := range names {
		if v := h.Values(n); len(v) > 0 {
			out[n] = v
		}
	}
	return out
}

func (r route) request(ctx context.Context, in *headlessly.TunnelRequest) (*http.Request, error) {
	base := r.p.base
	if in.Asset {
		base = r.p.assets
	}
	u, err := url.Parse(base)
	if err != nil {
		return nil, errors.New("the provider's address cannot be read")
	}
	u.Path, u.RawQuery = strings.TrimSuffix(u.Path, "/")+in.Path, in.Query
	req, err := http.NewRequestWithContext(ctx, in.Method, u.String(), bytes.NewReader(in.Body))
	if err != nil {
		return nil, errors.New("the request cannot be passed on")
	}
	req.Header = pick(in.Header, passed)
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "") // or net/http's own would go out
	}
	if in.IP != "" {
		req.Header.Set("X-Forwarded-For", in.IP)
	}
	return req, nil
}

// bare takes the URL, which holds keys, off an error.
func bare(err error) error {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	return err
}

// flight bounds what is under way.
type flight struct {
	mu     sync.Mutex
	all    int
	assets int
	of     map[string]int
}

func (f *flight) enter(project string, asset bool) (leave func(), ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all >= maxInFlight || f.of[project] >= maxOfProject || asset && f.assets >= maxAssets {
		return nil, false
	}
	f.all++
	f.of[project]++
	if asset {
		f.assets++
	}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.all--
		if f.of[project]--; f.of[project] == 0 {
			delete(f.of, project)
		}
		if asset {
			f.assets--
		}
	}, true
}
