package enrich

import (
	"net/url"
	"strings"
	"testing"
)

func pageURLs() []string {
	return []string{
		"https://shop.example/products/17/reviews?utm_source=news&utm_medium=email", "http://shop.example", "https://shop.example/", "https://shop.example?a=b", "https://shop.example:8080/a",
		"https://shop.example:/a", "https://shop.example:x/a", "https://Shop.Example/a", "HTTPS://shop.example/a", "https://user@shop.example/a", "https://user:pw@shop.example:1/a", "https://[::1]:80/a",
		"https://shop.example/a%20b", "https://shop.example/a%zz", "https://shop.example/a?q=%zz", "https://shop.example/a#b", "https://shop.example/a?b#c", "https://shop.example/é", "https://shop.example/a b",
		"https://shop.example/a?b?c", "https://shop.example/a?", "https://shop.example?", "https://", "https:///a", "https://:80/a", "//shop.example/a", "/a?b", "shop.example", "", "https://a_b/c", "https://a..b/c",
		"https://shop.example/a\x7f", "https://shop.example/a?b\x01", "https://shop.example/a;b,c!d$e&f'g(h)i*j+k=l:m@n", "https://1.2.3.4:99/x", "https://shop.example/a?b=é", "https://-a-/", "https://shop.example:80:90/",
	}
}

// checkParts compares with net/url.
func checkParts(t *testing.T, text string) {
	t.Helper()
	host, path, query, ok := parts(text)
	u, err := url.Parse(text)
	if ok != (err == nil) {
		t.Fatalf("%q: taken %v, net/url says %v", text, ok, err)
	}
	if ok && (host != strings.ToLower(u.Hostname()) || path != u.Path || query != u.RawQuery) {
		t.Errorf("%q: got host %q, path %q, query %q, net/url has %q, %q, %q", text, host, path, query, u.Hostname(), u.Path, u.RawQuery)
	}
}

func TestAURLIsTakenApartAsNetURLDoes(t *testing.T) {
	plain := 0
	for _, text := range pageURLs() {
		checkParts(t, text)
		if _, _, _, ok := plainParts(text); ok {
			plain++
		}
	}
	if plain < 8 {
		t.Errorf("only %d of the URLs were taken apart the short way", plain)
	}
}

func FuzzPageURL(f *testing.F) {
	for _, text := range pageURLs() {
		f.Add(text)
	}
	f.Fuzz(checkParts)
}

// matchHost is the rule that the index of sites is an index of: host is h or
// below it, and an h that ends in a dot stands for h under any suffix.
func matchHost(host, h string) bool {
	if strings.HasSuffix(h, ".") {
		return strings.HasPrefix(host, h) || strings.Contains(host, "."+h)
	}
	return host == h || strings.HasSuffix(host, "."+h)
}

func checkSite(t *testing.T, host string) {
	t.Helper()
	want := ""
	for i := range sites {
		for _, h := range sites[i].hosts {
			if want == "" && host != "" && matchHost(host, h) {
				want = sites[i].kind
			}
		}
	}
	if got := siteOf(host); got != want {
		t.Errorf("%q is of kind %q, want %q", host, got, want)
	}
}

func siteHosts() []string {
	hosts := []string{"", ".", "..", "google", "google.", ".google.", "notgoogle.com", "www.google.co.uk", "google.com.evil.example", "gemini.google.com", "a.gemini.google.com", "mail.google.com", "search.yahoo.co.jp", "search.yahoo.", "x.com", "ax.com", "a.x.com", "t.co", "com", "shop.example"}
	for i := range sites {
		for _, h := range sites[i].hosts {
			hosts = append(hosts, h, "www."+h, "x"+h, h+"com", h+".example", "a.b."+h+"de")
		}
	}
	return hosts
}

func TestASiteIsOfTheFirstKindWhoseRuleItMeets(t *testing.T) {
	for _, h := range siteHosts() {
		checkSite(t, h)
	}
}

func FuzzSite(f *testing.F) {
	for _, h := range siteHosts() {
		f.Add(h)
	}
	f.Fuzz(checkSite)
}
