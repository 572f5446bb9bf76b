package posthog

import (
	"encoding/json"
	"strings"

	"github.com/google/uuid"
	posthog "github.com/posthog/posthog-go"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/payload"
)

// library is what we call ourselves in $lib where the client said nothing.
const library = "headlessly"

// encode maps an event onto PostHog's capture message.
func encode(e *headlessly.Event) (message, error) {
	c := posthog.CaptureInApi{
		Type: "capture", Uuid: id(e.MessageID), Timestamp: headlessly.Time(e.Timestamp),
		DistinctId: payload.Visitor(e), Event: name(e), Properties: common(e),
		Library: orText(e.Library, library), LibraryVersion: e.LibraryVersion,
	}
	switch e.Type {
	case headlessly.TypeIdentify:
		identify(e, c.Properties)
	case headlessly.TypeGroup:
		group(e, c.Properties)
	case headlessly.TypeAlias:
		c.Properties["alias"] = orText(e.PreviousID, e.AnonymousID)
		c.Properties["distinct_id"] = c.DistinctId
	case headlessly.TypeError, headlessly.TypeMessage:
		exception(e, c.Properties)
	case headlessly.TypeVital:
		vital(e, c.Properties)
	case headlessly.TypeClick:
		click(c.Properties)
	case headlessly.TypeScreen:
		c.Properties["$screen_name"] = e.Event
	}
	b, err := json.Marshal(c)
	return message{json: b}, err
}

func id(messageID string) string {
	if u, err := uuid.Parse(messageID); err == nil {
		return u.String()
	}
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(messageID)).String()
}

// name is the event's name at PostHog.
func name(e *headlessly.Event) string {
	switch e.Type {
	case headlessly.TypePage:
		return "$pageview"
	case headlessly.TypePageLeft:
		return "$pageleave"
	case headlessly.TypeScreen:
		return "$screen"
	case headlessly.TypeIdentify:
		return "$identify"
	case headlessly.TypeGroup:
		return "$groupidentify"
	case headlessly.TypeAlias:
		return "$create_alias"
	case headlessly.TypeError, headlessly.TypeMessage:
		return "$exception"
	case headlessly.TypeVital:
		return "$web_vitals"
	case headlessly.TypeClick:
		return "$autocapture"
	}
	return orText(e.Event, orText(e.Type, "event"))
}

func orText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// common are the properties that every event carries, over the client's own.
func common(e *headlessly.Event) posthog.Properties {
	p := posthog.Properties{}
	for k, v := range payload.Object(e.Properties) {
		p[k] = v
	}
	text := func(key, v string) {
		if v != "" {
			p[key] = v
		}
	}
	number := func(key string, v int64) {
		if v != 0 {
			p[key] = v
		}
	}
	text("$lib", orText(e.Library, library))
	text("$lib_version", e.LibraryVersion)
	text("$current_url", e.URL)
	text("$host", e.Host)
	text("$pathname", e.Path)
	text("title", e.Title)
	if e.Referrer != "" || e.Type == headlessly.TypePage {
		text("$referrer", orText(e.Referrer, "$direct"))
		text("$referring_domain", orText(e.ReferrerHost, "$direct"))
	}
	text("utm_source", e.UTMSource)
	text("utm_medium", e.UTMMedium)
	text("utm_campaign", e.UTMCampaign)
	text("utm_term", e.UTMTerm)
	text("utm_content", e.UTMContent)
	if e.ClickIDKind != "" {
		text(e.ClickIDKind, e.ClickID)
	}
	text("$browser", e.Browser)
	text("$browser_version", e.BrowserVersion)
	text("$os", e.OS)
	text("$os_version", e.OSVersion)
	text("$device_type", device(e.Device))
	text("$raw_user_agent", e.UserAgent)
	text("$browser_language", e.Language)
	text("$timezone", e.Timezone)
	number("$screen_width", e.ScreenWidth)
	number("$screen_height", e.ScreenHeight)
	number("$viewport_width", e.ViewportWidth)
	number("$viewport_height", e.ViewportHeight)
	if payload.IsV7(e.SessionID) {
		p["$session_id"] = e.SessionID
	} else {
		text("session_id", e.SessionID)
	}
	text("$device_id", e.AnonymousID)
	text("channel", e.Channel)
	text("release", e.Release)
	text("environment", e.Environment)
	if e.HasRevenue {
		p["revenue"] = json.Number(payload.Decimal(e.RevenueE4))
		text("currency", e.Currency)
	}
	place(e, p)
	if e.GroupID != "" {
		p["$groups"] = map[string]string{groupType(p): e.GroupID}
	}
	identified := e.UserID != ""
	p["$is_identified"] = identified
	if !identified && e.Type != headlessly.TypeAlias {
		p["$process_person_profile"] = false
	}
	return p
}

// place keeps PostHog from taking the gateway's address for the visitor's.
func place(e *headlessly.Event, p posthog.Properties) {
	if e.IP != "" {
		p["$ip"] = e.IP
	} else {
		p["$geoip_disable"] = true
	}
	if e.Country != "" {
		p["$geoip_country_code"] = e.Country
		if e.City != "" {
			p["$geoip_city_name"] = e.City
		}
	}
}

func device(d string) string {
	if d == "" {
		return ""
	}
	return strings.ToUpper(d[:1]) + d[1:]
}
