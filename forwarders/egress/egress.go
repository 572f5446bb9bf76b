package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// MaxAnswer is how much of an answer's body is read by default.
const MaxAnswer = 64 << 10

// Refusals. They are errors of the request, found with errors.Is through
// *url.Error.
var (
	// ErrScheme refuses anything but https (or http where that is allowed).
	ErrScheme = errors.New("only https is allowed")
	// ErrCredentials refuses a URL with a user or password in it.
	ErrCredentials = errors.New("credentials in the URL are not allowed")
	// ErrAddress refuses an address that is not on the public internet.
	ErrAddress = errors.New("address is not allowed")
)

// Config says what the client may do.
type Config struct {
	// AllowPrivate opens loopback and private addresses, there also for http.
	AllowPrivate bool
	// Timeout bounds a whole request with its answer; default 30 s.
	Timeout time.Duration
	// ConnectTimeout bounds connecting and the TLS handshake, 10 s each by
	// default.
	ConnectTimeout time.Duration
	// RootCAs replaces the machine's roots, nil for those.
	RootCAs *x509.CertPool
	// IdlePerHost is how many idle connections are kept per host; default 256.
	IdlePerHost int
	// MaxAnswer is how much of an answer's body is read; default [MaxAnswer].
	MaxAnswer int64
}

// New makes a client. It is safe for concurrent use.
func New(c Config) *http.Client {
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = 10 * time.Second
	}
	if c.IdlePerHost <= 0 {
		c.IdlePerHost = 256
	}
	if c.MaxAnswer <= 0 {
		c.MaxAnswer = MaxAnswer
	}
	public := []ssrf.Option{ssrf.WithAnyPort()}
	if c.AllowPrivate {
		public = append(public, ssrf.WithAllowedV4Prefixes(private4()...), ssrf.WithAllowedV6Prefixes(private6()...))
	}
	return &http.Client{
		Timeout: c.Timeout,
		Transport: &guard{
			private: c.AllowPrivate,
			most:    c.MaxAnswer,
			https:   transport(c, ssrf.New(public...).Safe),
			http:    transport(c, onlyPrivate),
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// private4 and private6 are what AllowPrivate opens.
func private4() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"),
		netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("100.64.0.0/10"),
	}
}

func private6() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fc00::/7")}
}

func transport(c Config, control func(string, string, syscall.RawConn) error) *http.Transport {
	dialer := &net.Dialer{
		Timeout: c.ConnectTimeout, KeepAlive: 30 * time.Second,
		Control: func(network, address string, conn syscall.RawConn) error {
			if err := control(network, address, conn); err != nil {
				return fmt.Errorf("%w: %w", ErrAddress, err)
			}
			return nil
		},
	}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.RootCAs},
		TLSHandshakeTimeout:    c.ConnectTimeout,
		ResponseHeaderTimeout:  c.Timeout,
		ExpectContinueTimeout:  time.Second,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    c.IdlePerHost,
		MaxIdleConns:           1024,
		IdleConnTimeout:        90 * time.Second,
	}
}

// onlyPrivate is the rule for http: never over the public internet.
func onlyPrivate(network, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("read address %s %s: %w", network, address, err)
	}
	ip := at.Addr().Unmap()
	for _, p := range append(private4(), private6()...) {
		if p.Contains(ip) {
			return nil
		}
	}
	return fmt.Errorf("%s is public and the URL is not https", ip)
}

// guard checks a request before it is dialled and bounds its answer.
type guard struct {
	private     bool
	most        int64
	https, http *http.Transport
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	t := g.https
	switch {
	case req.URL.User != nil:
		return nil, refuse(req, ErrCredentials)
	case req.URL.Scheme == "http" && g.private:
		t = g.http
	case req.URL.Scheme != "https":
		return nil, refuse(req, ErrScheme)
	}
	res, err := t.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	res.Body = &bounded{Reader: io.LimitReader(res.Body, g.most), Closer: res.Body}
	return res, nil
}

// CloseIdleConnections implements what http.Client.CloseIdleConnections asks
// for.
func (g *guard) CloseIdleConnections() {
	g.https.CloseIdleConnections()
	g.http.CloseIdleConnections()
}

func refuse(req *http.Request, err error) error {
	if req.Body != nil {
		_ = req.Body.Close() // RoundTrip must close it
	}
	return err
}

type bounded struct {
	io.Reader
	io.Closer
}

// Check says whether a URL that a user gave could be used at all, without
// resolving it: for a clear error when it is configured.
func Check(ctx context.Context, rawURL string, allowPrivate bool) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
	if err != nil {
		return errors.New("URL cannot be read")
	}
	switch {
	case req.URL.User != nil:
		return ErrCredentials
	case req.URL.Host == "":
		return errors.New("URL has no host")
	case req.URL.Scheme == "https", req.URL.Scheme == "http" && allowPrivate:
	default:
		return ErrScheme
	}
	ip, err := netip.ParseAddr(req.URL.Hostname())
	if err != nil {
		return nil //nolint:nilerr // a name; its address is checked when it is dialled
	}
	opts := []ssrf.Option{ssrf.WithAnyPort()}
	if allowPrivate {
		opts = append(opts, ssrf.WithAllowedV4Prefixes(private4()...), ssrf.WithAllowedV6Prefixes(private6()...))
	}
	if err := ssrf.New(opts...).SafeAddr(ip); err != nil {
		return fmt.Errorf("%w: %w", ErrAddress, err)
	}
	return nil
}
