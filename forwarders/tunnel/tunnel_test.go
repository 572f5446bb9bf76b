package tunnel_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/egress"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
	"github.com/headlessly/headlessly/forwarders/tunnel"
)

// source gives two tenants; both have the same Sentry project.
func source(base string) (*forwardertest.Source, []string) {
	s := forwardertest.NewSource()
	host := strings.TrimPrefix(base, "http://")
	s.Set("acme", headlessly.Destinations{
		GA:      &headlessly.GADestination{MeasurementID: "G-ACME", Endpoint: base},
		Sentry:  &headlessly.SentryDestination{DSN: headlessly.NewSecret("http://shared@" + host + "/42")},
		PostHog: &headlessly.PostHogDestination{APIKey: headlessly.NewSecret("phc_acme"), Host: base + "/ph/"},
	})
	s.Set("other", headlessly.Destinations{
		GA:     &headlessly.GADestination{MeasurementID: "G-OTHER", Endpoint: base},
		Sentry: &headlessly.SentryDestination{DSN: headlessly.NewSecret("http://shared@" + host + "/42")},
	})
	s.Set("broken", headlessly.Destinations{Sentry: &headlessly.SentryDestination{DSN: headlessly.NewSecret("nonsense")}})
	return s, []string{"acme", "broken", "none", "other"}
}

func open(base string, client *http.Client) *tunnel.Tunnel {
	s, names := source(base)
	return tunnel.New(tunnel.Config{Tenants: func() []string { return names }, Destinations: s, AllowPrivate: true, Client: client})
}

func TestFindLeadsToTheOwnProviderOnly(t *testing.T) {
	tun := open("http://127.0.0.1:1", nil)
	ga, sentry, posthog := headlessly.DestinationGA4, headlessly.DestinationSentry, headlessly.DestinationPostHog
	for _, row := range []struct {
		name   string
		claim  headlessly.TunnelClaim
		tenant string
		err    error
	}{
		{"a measurement id", headlessly.TunnelClaim{Provider: ga, Keys: []string{"G-ACME"}}, "acme", nil},
		{"an unknown one", headlessly.TunnelClaim{Provider: ga, Keys: []string{"G-NOBODY"}}, "", headlessly.ErrTunnelUnknown},
		{"two tenants' ids in one request", headlessly.TunnelClaim{Provider: ga, Keys: []string{"G-ACME", "G-OTHER"}}, "", headlessly.ErrTunnelUnknown},
		{"no id", headlessly.TunnelClaim{Provider: ga}, "", headlessly.ErrTunnelUnknown},
		{"no id, but a tenant", headlessly.TunnelClaim{Provider: ga, Tenant: "acme"}, "", headlessly.ErrTunnelUnknown},
		{"another tenant's id", headlessly.TunnelClaim{Provider: ga, Tenant: "other", Keys: []string{"G-ACME"}}, "", headlessly.ErrTunnelUnknown},
		{"a tenant that there is not", headlessly.TunnelClaim{Provider: ga, Tenant: "nobody", Keys: []string{"G-ACME"}}, "", headlessly.ErrTunnelUnknown},
		{"a DSN that two tenants have", headlessly.TunnelClaim{Provider: sentry, Keys: []string{"shared"}, Project: "42"}, "", headlessly.ErrTunnelAmbiguous},
		{"the same with a tenant", headlessly.TunnelClaim{Provider: sentry, Tenant: "other", Keys: []string{"shared"}, Project: "42"}, "other", nil},
		{"another project of the key", headlessly.TunnelClaim{Provider: sentry, Tenant: "other", Keys: []string{"shared"}, Project: "43"}, "", headlessly.ErrTunnelUnknown},
		{"the DSN's host", headlessly.TunnelClaim{Provider: sentry, Tenant: "other", Keys: []string{"shared"}, Project: "42", Hosts: []string{"127.0.0.1:1"}}, "other", nil},
		{"a host of somebody else's", headlessly.TunnelClaim{Provider: sentry, Tenant: "other", Keys: []string{"shared"}, Project: "42", Hosts: []string{"evil.example"}}, "", headlessly.ErrTunnelUnknown},
		{"a project key", headlessly.TunnelClaim{Provider: posthog, Keys: []string{"phc_acme"}}, "acme", nil},
		{"a key of another provider", headlessly.TunnelClaim{Provider: posthog, Keys: []string{"G-ACME"}}, "", headlessly.ErrTunnelUnknown},
		{"a file", headlessly.TunnelClaim{Provider: posthog, Asset: true}, "acme", nil},
		{"a file of a tenant without PostHog", headlessly.TunnelClaim{Provider: posthog, Asset: true, Tenant: "other"}, "", headlessly.ErrTunnelUnknown},
	} {
		route, err := tun.Find(&row.claim)
		if !errors.Is(err, row.err) || err == nil && route.Tenant() != row.tenant {
			t.Errorf("%s: got %v, %v, want %q, %v", row.name, route, err, row.tenant, row.err)
		}
	}
}

func TestPassChangesNothingAndTellsNoSecrets(t *testing.T) {
	var got *http.Request
	var body []byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(context.Background())
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("Set-Cookie", "id=1")
		w.Header().Set("X-Sentry-Rate-Limits", "60:error:org")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"detail":"slow down"}`)
	}))
	defer srv.Close()
	route, err := open(srv.URL, nil).Find(&headlessly.TunnelClaim{Provider: headlessly.DestinationPostHog, Keys: []string{"phc_acme"}})
	if err != nil {
		t.Fatal(err)
	}
	sent := "\x1f\x8bany bytes"
	answer, err := route.Pass(t.Context(), &headlessly.TunnelRequest{
		Method: "POST", Path: "/e/", Query: "compression=gzip-js&ver=1", Body: []byte(sent), IP: "203.0.113.0",
		Header: http.Header{"Cookie": {"session=secret"}, "Content-Type": {"text/plain"}, "User-Agent": {"Mozilla/5.0"}, "Origin": {"https://shop.example"}, "X-Internal": {"1"}},
	})
	if err != nil || answer.Status != 429 || string(answer.Body) != `{"detail":"slow down"}` || answer.Header.Get("X-Sentry-Rate-Limits") == "" || answer.Header.Get("Set-Cookie") != "" {
		t.Errorf("got %+v, %v", answer, err)
	}
	if got.URL.Path != "/ph/e/" || got.URL.RawQuery != "compression=gzip-js&ver=1" || string(body) != sent || got.Method != "POST" {
		t.Errorf("the provider got %s %s %q", got.Method, got.URL, body)
	}
	for name, want := range map[string]string{
		"Cookie": "", "X-Internal": "", "Content-Type": "text/plain", "User-Agent": "Mozilla/5.0", "Origin": "https://shop.example", "X-Forwarded-For": "203.0.113.0",
	} {
		if g := got.Header.Get(name); g != want {
			t.Errorf("header %s is %q at the provider, want %q", name, g, want)
		}
	}
}

func TestPassIsBounded(t *testing.T) {
	const share = 64
	release, arrived := make(chan struct{}), make(chan struct{}, share)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.RawQuery {
		case "endless":
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		case "elsewhere":
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		default:
			arrived <- struct{}{}
			<-release
		}
	}))
	defer srv.Close()
	tun := open(srv.URL, nil)
	find := func(provider, key string) headlessly.TunnelRoute {
		route, err := tun.Find(&headlessly.TunnelClaim{Provider: provider, Keys: []string{key}})
		if err != nil {
			t.Fatal(err)
		}
		return route
	}
	ga := find(headlessly.DestinationGA4, "G-ACME")
	for _, query := range []string{"endless", "elsewhere"} {
		if a, err := ga.Pass(t.Context(), &headlessly.TunnelRequest{Method: "GET", Path: "/g/collect", Query: query}); err == nil {
			t.Errorf("%s: got %d with %d bytes, want an error", query, a.Status, len(a.Body))
		}
	}
	var wg sync.WaitGroup
	for range share {
		wg.Go(func() {
			if _, err := ga.Pass(t.Context(), &headlessly.TunnelRequest{Method: "GET", Path: "/g/collect"}); err != nil {
				t.Errorf("within the share: %v", err)
			}
		})
	}
	for range share {
		<-arrived
	}
	if _, err := ga.Pass(expired(t), &headlessly.TunnelRequest{Method: "GET", Path: "/g/collect"}); !errors.Is(err, headlessly.ErrTunnelBusy) {
		t.Errorf("a slow provider takes more than its share: %v", err)
	}
	other := find(headlessly.DestinationGA4, "G-OTHER")
	if _, err := other.Pass(expired(t), &headlessly.TunnelRequest{Method: "GET", Path: "/g/collect"}); errors.Is(err, headlessly.ErrTunnelBusy) {
		t.Error("one tenant's slow provider is in another tenant's way")
	}
	close(release)
	wg.Wait()
}

// expired gives a context that is over, so that a call that is let in ends.
func expired(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestPrivateAddressesAreRefused(t *testing.T) {
	s, names := source("https://127.0.0.1:1")
	tun := tunnel.New(tunnel.Config{Tenants: func() []string { return names }, Destinations: s})
	route, err := tun.Find(&headlessly.TunnelClaim{Provider: headlessly.DestinationGA4, Keys: []string{"G-ACME"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := route.Pass(t.Context(), &headlessly.TunnelRequest{Method: "GET", Path: "/g/collect"}); !errors.Is(err, egress.ErrAddress) {
		t.Errorf("got %v, want ErrAddress", err)
	}
}

func TestFilesOfPostHogsCloudHaveAHostOfTheirOwn(t *testing.T) {
	s := forwardertest.NewSource()
	s.Set("acme", headlessly.Destinations{PostHog: &headlessly.PostHogDestination{APIKey: headlessly.NewSecret("phc_acme"), Host: "https://eu.i.posthog.com"}})
	var hosts []string
	client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		hosts = append(hosts, r.URL.Host)
		return &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}}, nil
	})}
	tun := tunnel.New(tunnel.Config{Tenants: func() []string { return []string{"acme"} }, Destinations: s, Client: client})
	route, err := tun.Find(&headlessly.TunnelClaim{Provider: headlessly.DestinationPostHog, Keys: []string{"phc_acme"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, asset := range []bool{true, false} {
		if _, err := route.Pass(t.Context(), &headlessly.TunnelRequest{Method: "GET", Path: "/static/array.js", Asset: asset}); err != nil {
			t.Fatal(err)
		}
	}
	if want := "eu-assets.i.posthog.com eu.i.posthog.com"; strings.Join(hosts, " ") != want {
		t.Errorf("asked %v, want %s", hosts, want)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
