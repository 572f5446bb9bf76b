package listen_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"

	"github.com/headlessly/headlessly/collector/listen"
)

// nameServer answers that every name is at 127.0.0.1.
func nameServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") // the authority asks over TCP
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		for _, question := range q.Question {
			if question.Qtype == dns.TypeA {
				m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: question.Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(127, 0, 0, 1)})
			}
		}
		_ = w.WriteMsg(m)
	})}
	done := make(chan error, 1)
	go func() { done <- s.ActivateAndServe() }()
	t.Cleanup(func() { _ = s.Shutdown(); <-done })
	return l.Addr().String()
}

// TestACMEObtainsACertificateFromAnAuthority lets Let's Encrypt's own test
// authority, which looks the name up and connects back to prove it, issue the
// certificate that the next visitor sees.
func TestACMEObtainsACertificateFromAnAuthority(t *testing.T) {
	const domain = "events.shop.example"
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "5") // as a busy authority does: a few of the nonces are stale
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	quiet, store := log.New(io.Discard, "", 0), db.NewMemoryStore()
	authority := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "the default"}})
	front := wfe.New(quiet, store, va.New(quiet, 1, port, true, nameServer(t), store), authority, []string{"pebble.example"}, true, false, 1, 1)
	directory := httptest.NewTLSServer(front.Handler())
	defer directory.Close()
	cache := t.TempDir()
	conf, _, err := listen.ACME(listen.ACMEConfig{
		Domains: []string{domain}, Cache: cache, Email: "ops@shop.example", Directory: directory.URL + wfe.DirectoryPath, Client: directory.Client(),
	})
	if err != nil {
		t.Fatal(err)
	}
	serve(t, tls.NewListener(l, conf))

	roots := x509.NewCertPool()
	roots.AddCert(authority.GetRootCert(0).Cert)
	visit := func(name string) (*x509.Certificate, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		d := tls.Dialer{Config: &tls.Config{ServerName: name, RootCAs: roots, MinVersion: tls.VersionTLS12}}
		c, err := d.DialContext(ctx, "tcp", l.Addr().String())
		if err != nil {
			return nil, err
		}
		defer c.Close()
		return c.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
	}
	first, err := visit(domain) // verified against the authority's root
	if err != nil {
		t.Fatal(err)
	}
	if err := first.VerifyHostname(domain); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(cache, domain)); err != nil {
		t.Errorf("the certificate is not kept: %v", err)
	}
	second, err := visit(domain)
	if err != nil || second.SerialNumber.Cmp(first.SerialNumber) != 0 {
		t.Errorf("the second visitor sees another certificate: %v", err)
	}
	if _, err := visit("other.example"); err == nil {
		t.Error("a certificate is shown for a domain that was not named")
	}
}

// serve finishes handshakes until the test ends.
func serve(t *testing.T, l net.Listener) {
	t.Helper()
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			go func() { _, _ = io.Copy(io.Discard, c); _ = c.Close() }()
		}
	}()
}
