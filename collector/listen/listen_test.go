package listen_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly/collector/listen"
)

// certificate makes a self-signed certificate and gives its PEM parts.
func certificate(t testing.TB, host string, serial int64) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// handshake gives the serial number and protocol that a server shows for host.
func handshake(t testing.TB, conf *tls.Config, host string, protos ...string) (int64, string, error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go func() { _ = tls.Server(b, conf).HandshakeContext(context.Background()) }()
	c := tls.Client(a, &tls.Config{ServerName: host, InsecureSkipVerify: true, NextProtos: protos})
	if err := c.HandshakeContext(context.Background()); err != nil {
		return 0, "", err
	}
	s := c.ConnectionState()
	return s.PeerCertificates[0].SerialNumber.Int64(), s.NegotiatedProtocol, nil
}

func TestCertificateFilesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := listen.Files(certFile, keyFile); err == nil {
		t.Error("files that are not there are no error")
	}
	cert, key := certificate(t, "x.example", 1)
	write(t, certFile, cert)
	write(t, keyFile, key)
	conf, err := listen.Files(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	expect := func(when string, want int64) {
		t.Helper()
		serial, proto, err := handshake(t, conf, "x.example", "h2", "http/1.1")
		if err != nil || serial != want || proto != "http/1.1" {
			t.Errorf("%s: got certificate %d, protocol %q, %v; want %d", when, serial, proto, err, want)
		}
	}
	expect("at first", 1)
	newCert, newKey := certificate(t, "x.example", 2)
	write(t, certFile, newCert) // half way through a renewal
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(certFile, later, later); err != nil {
		t.Fatal(err)
	}
	expect("with a key that does not fit", 1)
	write(t, keyFile, newKey)
	if err := os.Chtimes(keyFile, later, later); err != nil {
		t.Fatal(err)
	}
	expect("renewed", 2)
	if err := os.Remove(keyFile); err != nil {
		t.Fatal(err)
	}
	expect("with the key gone", 2)
}

func TestACMEServesItsDomainsOnly(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificate(t, "x.example", 7)
	write(t, filepath.Join(dir, "x.example"), append(key, cert...))
	asked := 0
	client := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) { asked++; return nil, errors.New("no network here") })}
	conf, challenges, err := listen.ACME(listen.ACMEConfig{Domains: []string{"x.example"}, Cache: dir, Client: client})
	if err != nil || challenges == nil {
		t.Fatal(err)
	}
	if serial, proto, err := handshake(t, conf, "x.example", "h2", "http/1.1"); err != nil || serial != 7 || proto != "http/1.1" {
		t.Errorf("from the cache: got %d, %q, %v", serial, proto, err)
	}
	if _, _, err := handshake(t, conf, "evil.example", "http/1.1"); err == nil {
		t.Error("a certificate is shown for another domain")
	}
	if asked != 0 {
		t.Errorf("the authority was asked %d times", asked)
	}
	_, _, err = listen.ACME(listen.ACMEConfig{Domains: []string{"*.example"}})
	if err == nil || len(strings.Split(err.Error(), "\n")) != 3 {
		t.Errorf("got %v, want three faults", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// echoAddr listens and answers every connection with its client's address and
// what it sent.
func echoAddr(t testing.TB, from ...string) string {
	t.Helper()
	var lc net.ListenConfig
	tcp, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var prefixes []netip.Prefix
	for _, f := range from {
		prefixes = append(prefixes, netip.MustParsePrefix(f))
	}
	l := listen.Proxied(tcp, prefixes, time.Minute)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 256)
				n, err := c.Read(buf)
				fmt.Fprintf(c, "%s %q %v", c.RemoteAddr(), buf[:n], err)
			}()
		}
	}()
	return l.Addr().String()
}

func ask(t testing.TB, addr, send string) string {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(context.Background(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, send); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, net.ErrClosed) && len(got) == 0 {
		t.Fatal(err)
	}
	return string(got)
}

func TestTheProxysHeaderCountsFromTrustedPeersOnly(t *testing.T) {
	const header = "PROXY TCP4 203.0.113.7 198.51.100.1 5555 443\r\n"
	v2 := append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"), 203, 0, 113, 9, 198, 51, 100, 1, 0x15, 0xb3, 1, 0xbb)
	trusted, other := echoAddr(t, "127.0.0.0/8"), echoAddr(t, "10.0.0.0/8")
	if got := ask(t, trusted, header+"GET /"); !strings.HasPrefix(got, `203.0.113.7:5555 "GET /"`) {
		t.Errorf("version 1: got %s", got)
	}
	if got := ask(t, trusted, string(v2)+"GET /"); !strings.HasPrefix(got, `203.0.113.9:5555 "GET /"`) {
		t.Errorf("version 2: got %s", got)
	}
	if got := ask(t, trusted, "GET / HTTP/1.1"); !strings.HasPrefix(got, "127.0.0.1:") || !strings.Contains(got, "GET / HTTP/1.1") {
		t.Errorf("without a header: got %s", got)
	}
	if got := ask(t, other, header+"GET /"); !strings.HasPrefix(got, "127.0.0.1:") || !strings.Contains(got, "PROXY TCP4") {
		t.Errorf("from a peer that is not trusted: got %s", got)
	}
}

func TestAPeerWhoseHeaderIsSlowHoldsUpNobody(t *testing.T) {
	addr := echoAddr(t, "127.0.0.0/8")
	var d net.Dialer
	for range 20 {
		c, err := d.DialContext(context.Background(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("PROX")); err != nil {
			t.Fatal(err)
		}
	}
	if got := ask(t, addr, "PROXY TCP4 203.0.113.7 198.51.100.1 5555 443\r\nGET /"); !strings.HasPrefix(got, "203.0.113.7:5555") {
		t.Errorf("got %s", got)
	}
}
