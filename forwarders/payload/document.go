package payload

import (
	"encoding/json"
	"time"

	"github.com/headlessly/headlessly"
)

// Document gives an event in the native format, as it would be posted to the
// collector: what is not known is left out. Times are RFC 3339.
func Document(e *headlessly.Event) map[string]any {
	d := map[string]any{}
	text := func(key, v string) {
		if v != "" {
			d[key] = v
		}
	}
	number := func(key string, v int64) {
		if v != 0 {
			d[key] = v
		}
	}
	moment := func(key string, us int64) {
		if t := headlessly.Time(us); us != 0 && t.Year() > 0 && t.Year() < 10_000 {
			d[key] = t.Format(time.RFC3339Nano)
		}
	}
	object := func(key, v string) {
		var m map[string]json.RawMessage
		if json.Unmarshal([]byte(v), &m) == nil && len(m) > 0 {
			d[key] = json.RawMessage(v)
		}
	}
	text("messageId", e.MessageID)
	text("tenant", e.Tenant)
	text("type", e.Type)
	text("event", e.Event)
	text("source", e.Source)
	text("anonymousId", e.AnonymousID)
	text("userId", e.UserID)
	text("sessionId", e.SessionID)
	text("groupId", e.GroupID)
	text("previousId", e.PreviousID)
	moment("timestamp", e.Timestamp)
	moment("receivedAt", e.ReceivedAt)
	text("url", e.URL)
	text("host", e.Host)
	text("path", e.Path)
	text("query", e.Query)
	text("title", e.Title)
	text("referrer", e.Referrer)
	text("referrerHost", e.ReferrerHost)
	text("channel", e.Channel)
	text("utmSource", e.UTMSource)
	text("utmMedium", e.UTMMedium)
	text("utmCampaign", e.UTMCampaign)
	text("utmTerm", e.UTMTerm)
	text("utmContent", e.UTMContent)
	text("clickId", e.ClickID)
	text("clickIdKind", e.ClickIDKind)
	text("ip", e.IP)
	text("country", e.Country)
	text("region", e.Region)
	text("city", e.City)
	text("browser", e.Browser)
	text("browserVersion", e.BrowserVersion)
	text("os", e.OS)
	text("osVersion", e.OSVersion)
	text("device", e.Device)
	number("screenWidth", e.ScreenWidth)
	number("screenHeight", e.ScreenHeight)
	number("viewportWidth", e.ViewportWidth)
	number("viewportHeight", e.ViewportHeight)
	text("language", e.Language)
	text("timezone", e.Timezone)
	text("userAgent", e.UserAgent)
	text("consent", e.Consent)
	text("level", e.Level)
	text("errorType", e.ErrorType)
	text("errorMessage", e.ErrorMessage)
	if json.Valid([]byte(e.ErrorStack)) {
		d["errorStack"] = json.RawMessage(e.ErrorStack)
	}
	text("fingerprint", e.Fingerprint)
	text("release", e.Release)
	text("environment", e.Environment)
	text("vitalName", e.VitalName)
	text("vitalRating", e.VitalRating)
	if e.VitalName != "" {
		d["vitalValue"] = e.VitalValue
	}
	if e.HasRevenue {
		d["revenue"] = json.Number(Decimal(e.RevenueE4))
		text("currency", e.Currency)
	}
	if e.IsBot {
		d["isBot"] = true
	}
	object("properties", e.Properties)
	object("traits", e.Traits)
	object("context", e.Context)
	text("library", e.Library)
	text("libraryVersion", e.LibraryVersion)
	return d
}
