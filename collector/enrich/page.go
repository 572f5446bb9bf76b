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
		if u, err := url.Parse(e.URL); err == nil {
			fill(&e.Host, strings.ToLower(u.Hostname()))
			fill(&e.Path, u.Path)
			fill(&e.Query, u.RawQuery)
		}
	}
	if e.Query != "" {
		campaign(e)
	}
	if e.Referrer != "" && e.ReferrerHost == "" {
		if u, err := url.Parse(e.Referrer); err == nil {
			e.ReferrerHost = strings.ToLower(u.Hostname())
		}
	}
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
