package egress_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly/forwarders/egress"
)

func get(t testing.TB, client *http.Client, url string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return client.Do(req)
}

func TestWhatIsRefused(t *testing.T) {
	reached := false
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer server.Close()
	port := server.URL[strings.LastIndexByte(server.URL, ':'):]
	for _, row := range []struct {
		name, url string
		private   bool
		want      error
	}{
		{"http", "http://example.com/", false, egress.ErrScheme},
		{"http on loopback", server.URL, false, egress.ErrScheme},
		{"a file", "file:///etc/passwd", true, egress.ErrScheme},
		{"credentials", "https://user:pass@example.com/", false, egress.ErrCredentials},
		{"loopback", "https://127.0.0.1" + port, false, egress.ErrAddress},
		{"loopback by name", "https://localhost" + port, false, egress.ErrAddress},
		{"loopback of IPv6", "https://[::1]" + port, false, egress.ErrAddress},
		{"IPv4 in IPv6", "https://[::ffff:127.0.0.1]" + port, false, egress.ErrAddress},
		{"private", "https://10.1.2.3/", false, egress.ErrAddress},
		{"CGNAT", "https://100.64.0.1/", false, egress.ErrAddress},
		{"metadata", "https://169.254.169.254/", false, egress.ErrAddress},
		{"metadata, private allowed", "http://169.254.169.254/", true, egress.ErrAddress},
		{"metadata of IPv6, private allowed", "https://[fe80::a9fe:a9fe]/", true, egress.ErrAddress},
		{"multicast, private allowed", "https://224.0.0.1/", true, egress.ErrAddress},
		{"http to the public, private allowed", "http://8.8.8.8/", true, egress.ErrAddress},
		{"the unspecified address", "https://0.0.0.0" + port, true, egress.ErrAddress},
	} {
		t.Run(row.name, func(t *testing.T) {
			client := egress.New(egress.Config{AllowPrivate: row.private, Timeout: 5 * time.Second})
			res, err := get(t, client, row.url)
			if err == nil {
				_ = res.Body.Close()
			}
			if !errors.Is(err, row.want) {
				t.Errorf("got %v, want %v", err, row.want)
			}
		})
	}
	if reached {
		t.Error("a request reached the inside")
	}
}

func TestWhatTheOperatorAllows(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1") // must not be asked
	var encoding string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		encoding = r.Header.Get("Accept-Encoding")
		_, _ = w.Write(make([]byte, 1<<20))
	}))
	defer server.Close()
	res, err := get(t, egress.New(egress.Config{AllowPrivate: true}), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || len(body) != egress.MaxAnswer {
		t.Errorf("read %d bytes, %v; want %d", len(body), err, egress.MaxAnswer)
	}
	if encoding != "" {
		t.Errorf("asked for %q: an answer must not have to be unpacked", encoding)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	hits := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits++
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	defer server.Close()
	res, err := get(t, egress.New(egress.Config{AllowPrivate: true}), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusFound || hits != 1 {
		t.Errorf("status %d after %d requests, want the redirect itself", res.StatusCode, hits)
	}
}

func TestURLsAreCheckedBeforeTheyAreUsed(t *testing.T) {
	for _, row := range []struct {
		url     string
		private bool
		want    error // nil for good
	}{
		{"https://eu.i.posthog.com", false, nil},
		{"https://8.8.8.8/x", false, nil},
		{"http://localhost:9000", true, nil},
		{"https://10.0.0.1", true, nil},
		{"http://eu.i.posthog.com", false, egress.ErrScheme},
		{"https://a:b@host", false, egress.ErrCredentials},
		{"https://10.0.0.1", false, egress.ErrAddress},
		{"https://[::1]", false, egress.ErrAddress},
		{"https://169.254.169.254", true, egress.ErrAddress},
	} {
		if err := egress.Check(t.Context(), row.url, row.private); !errors.Is(err, row.want) {
			t.Errorf("%s (private %v): got %v, want %v", row.url, row.private, err, row.want)
		}
	}
	for _, url := range []string{"", "https://", "\x00", "host/path"} {
		if egress.Check(t.Context(), url, true) == nil {
			t.Errorf("%q was taken", url)
		}
	}
}
