package enrich

import (
	"net/url"
	"strings"

	"github.com/headlessly/headlessly"
)

// clickIDs are the query parameters by which ad networks mark a click.
var clickIDs = [...]string{"gclid", "gbraid", "wbraid", "fbclid", "msclkid", "ttclid", "twclid", "li_fat_id"}

// Page fills host, path, query, campaign and click id from the URL, and the
// referring host from the referrer. A URL that cannot be parsed stays as it is
// and fills nothing.
func Page(e *headlessly.Event) {
	if e.URL != "" {
		if host, path, query, ok := parts(e.URL); ok {
			fill(&e.Host, host)
			fill(&e.Path, path)
			fill(&e.Query, query)
		}
	}
	if e.Query != "" {
		campaign(e)
	}
	if e.Referrer != "" && e.ReferrerHost == "" {
		if host, _, _, ok := parts(e.Referrer); ok {
			e.ReferrerHost = host
		}
	}
}

// parts takes a URL apart as net/url does, the host in lower case.
func parts(text string) (host, path, query string, ok bool) {
	if host, path, query, ok = plainParts(text); ok {
		return host, path, query, true
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", "", "", false
	}
	return strings.ToLower(u.Hostname()), u.Path, u.RawQuery, true
}

// plainParts does so without memory of its own for what most pages' URLs are: no
// user, no escape in the path, no fragment, ASCII, the host in lower case.
func plainParts(text string) (host, path, query string, ok bool) {
	rest, ok := strings.CutPrefix(text, "https://")
	if !ok {
		if rest, ok = strings.CutPrefix(text, "http://"); !ok {
			return "", "", "", false
		}
	}
	end, colon := len(rest), -1
	for i := range len(rest) {
		c := rest[i]
		if c == '/' || c == '?' {
			end = i
			break
		}
		switch {
		case c >= '0' && c <= '9':
		case colon < 0 && (c >= 'a' && c <= 'z' || c == '.' || c == '-'):
		case colon < 0 && c == ':':
			colon = i
		default:
			return "", "", "", false
		}
	}
	host, rest = rest[:end], rest[end:]
	if colon >= 0 {
		host = host[:colon]
	}
	path, asked := rest, false
	for i := range len(rest) {
		switch c := rest[i]; {
		case c == '?' && !asked:
			path, query, asked = rest[:i], rest[i+1:], true
		case c <= ' ' || c >= 0x7f || c == '#' || c == '%' && !asked:
			return "", "", "", false
		}
	}
	return host, path, query, true
}

// campaign reads utm_* and click ids without building a map of the query.
func campaign(e *headlessly.Event) {
	rest := strings.TrimPrefix(e.Query, "?")
	for rest != "" {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		key, value, _ := strings.Cut(pair, "=")
		if value == "" {
			continue
		}
		if dst := utmField(e, key); dst != nil {
			fill(dst, unescape(value))
			continue
		}
		for _, kind := range clickIDs {
			if key == kind && e.ClickID == "" {
				e.ClickID, e.ClickIDKind = unescape(value), kind
			}
		}
	}
}

func utmField(e *headlessly.Event, key string) *string {
	switch key {
	case "utm_source":
		return &e.UTMSource
	case "utm_medium":
		return &e.UTMMedium
	case "utm_campaign":
		return &e.UTMCampaign
	case "utm_term":
		return &e.UTMTerm
	case "utm_content":
		return &e.UTMContent
	}
	return nil
}

func unescape(s string) string {
	if v, err := url.QueryUnescape(s); err == nil {
		return strings.ToValidUTF8(v, "\uFFFD")
	}
	return s
}
