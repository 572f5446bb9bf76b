package listen

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

func base() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
}

// Files gives a TLS configuration with a certificate chain and its key (PEM).
// When either file changes, new connections get the new certificate; while the
// files cannot be read or do not fit each other, they get the former one.
func Files(certFile, keyFile string) (*tls.Config, error) {
	f := &files{cert: certFile, key: keyFile}
	if _, err := f.load(); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	c := base()
	c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.load() }
	return c, nil
}

type files struct {
	cert, key string

	mu      sync.Mutex
	current *tls.Certificate
	changed [2]time.Time
}

func (f *files) load() (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var changed [2]time.Time
	for i, name := range [...]string{f.cert, f.key} {
		info, err := os.Stat(name)
		if err != nil {
			return f.former(err)
		}
		changed[i] = info.ModTime()
	}
	if f.current != nil && changed == f.changed {
		return f.current, nil
	}
	c, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return f.former(err)
	}
	f.current, f.changed = &c, changed
	return f.current, nil
}

func (f *files) former(err error) (*tls.Certificate, error) {
	if f.current != nil {
		return f.current, nil
	}
	return nil, err
}

// ACMEConfig says for which names certificates are obtained, and where.
type ACMEConfig struct {
	Domains []string
	// Cache is the folder that keeps the account and the certificates.
	Cache string
	// Email is told to the authority; it may be empty.
	Email string
	// Directory is the authority's address; Let's Encrypt unless set.
	Directory string
	// Client makes the calls to the authority; required.
	Client *http.Client
}

// ACME gives a TLS configuration that obtains and renews certificates by
// itself. It proves the names on the TLS listener (TLS-ALPN-01), which must
// then be reachable at port 443. challenges, where it is served at port 80,
// proves them there too (HTTP-01) and sends everything else to https. Using it
// accepts the authority's terms of service.
func ACME(cfg ACMEConfig) (conf *tls.Config, challenges http.Handler, err error) {
	var errs []error
	if len(cfg.Domains) == 0 {
		errs = append(errs, errors.New("acme: no domain"))
	}
	for _, d := range cfg.Domains {
		if d == "" || strings.ContainsAny(d, "*:/ ") {
			errs = append(errs, fmt.Errorf("acme: %q is no domain that can be proven here", d))
		}
	}
	if cfg.Cache == "" {
		errs = append(errs, errors.New("acme: cache folder is missing: without it every start asks for new certificates"))
	}
	if cfg.Client == nil {
		errs = append(errs, errors.New("acme: client is missing"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	m := &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(cfg.Cache), HostPolicy: autocert.HostWhitelist(cfg.Domains...), Email: cfg.Email,
		Client: &acme.Client{DirectoryURL: cfg.Directory, HTTPClient: cfg.Client, UserAgent: "headlessly"},
	}
	if cfg.Directory == "" {
		m.Client.DirectoryURL = autocert.DefaultACMEDirectory
	}
	conf = base()
	conf.NextProtos = append(conf.NextProtos, acme.ALPNProto)
	conf.GetCertificate = m.GetCertificate
	return conf, m.HTTPHandler(nil), nil
}
