package posthog

import (
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fastjson"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/payload"
)

// library is what we call ourselves in $lib where the client said nothing.
const library = "headlessly"

// encoder writes events as PostHog's capture messages: posthog-go's
// CaptureInApi (a test reads them back into it), written by hand because it
// stands on the path of every event. Not safe for concurrent use.
type encoder struct {
	profiles string // headlessly.PostHogDestination.Profiles
	v1       bool   // in the form of the newer interface
	personal *bool  // what options say of the person profile, v1 only
	w        payload.Writer
	props    payload.Parser
	traits   payload.Parser
	taken    []string // properties already written, which the client's give way to
}

// encode appends an event's message to b.
func (c *encoder) encode(b []byte, e *headlessly.Event) []byte {
	w := &c.w
	w.B, c.taken = b, c.taken[:0]
	props := c.props.Props(e.Properties)
	w.Open()
	w.Text("uuid", id(e.MessageID))
	w.Key("timestamp")
	w.B = append(headlessly.Time(e.Timestamp).AppendFormat(append(w.B, '"'), time.RFC3339Nano), '"')
	w.Text("distinct_id", payload.Visitor(e))
	w.Text("event", name(e))
	w.Object("properties")
	c.properties(e, props)
	w.Close()
	if c.v1 {
		c.options(e)
	} else {
		w.Text("type", "capture")
		w.Text("library", orText(e.Library, library))
		w.Text("library_version", e.LibraryVersion)
	}
	w.Close()
	out := w.B
	w.Reset()
	return out
}

func (c *encoder) properties(e *headlessly.Event, props payload.Props) {
	switch e.Type {
	case headlessly.TypeIdentify:
		c.identify(e)
	case headlessly.TypeGroup:
		c.group(e, props)
	case headlessly.TypeAlias:
		c.text("alias", orText(e.PreviousID, e.AnonymousID))
		c.text("distinct_id", payload.Visitor(e))
	case headlessly.TypeError, headlessly.TypeMessage:
		c.exception(e)
	case headlessly.TypeVital:
		c.vital(e)
	case headlessly.TypeClick:
		c.click(props)
	case headlessly.TypeScreen:
		c.text("$screen_name", e.Event)
	}
	c.common(e, props)
	props.Each(func(key string, v *fastjson.Value) {
		for _, t := range c.taken {
			if t == key {
				return
			}
		}
		c.w.Key(key)
		c.w.B = v.MarshalTo(c.w.B)
	})
}

// text writes a property that is not empty and keeps its name for it.
func (c *encoder) text(key, v string) {
	if v != "" {
		c.w.Text(key, v)
		c.taken = append(c.taken, key)
	}
}

func (c *encoder) number(key string, v int64) {
	if v != 0 {
		c.w.Int(key, v)
		c.taken = append(c.taken, key)
	}
}

func (c *encoder) truth(key string, v bool) {
	c.w.Bool(key, v)
	c.taken = append(c.taken, key)
}

func (c *encoder) raw(key, v string) {
	c.w.Raw(key, v)
	c.taken = append(c.taken, key)
}

func (c *encoder) value(key string, v any) {
	c.w.Value(key, v)
	c.taken = append(c.taken, key)
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

// common are the properties that every event carries, before the client's own.
func (c *encoder) common(e *headlessly.Event, props payload.Props) {
	c.text("$lib", orText(e.Library, library))
	c.text("$lib_version", e.LibraryVersion)
	c.text("$current_url", e.URL)
	c.text("$host", e.Host)
	c.text("$pathname", e.Path)
	c.text("title", e.Title)
	if e.Referrer != "" || e.Type == headlessly.TypePage {
		c.text("$referrer", orText(e.Referrer, "$direct"))
		c.text("$referring_domain", orText(e.ReferrerHost, "$direct"))
	}
	c.text("utm_source", e.UTMSource)
	c.text("utm_medium", e.UTMMedium)
	c.text("utm_campaign", e.UTMCampaign)
	c.text("utm_term", e.UTMTerm)
	c.text("utm_content", e.UTMContent)
	if e.ClickIDKind != "" {
		c.text(e.ClickIDKind, e.ClickID)
	}
	c.text("$browser", e.Browser)
	c.text("$browser_version", e.BrowserVersion)
	c.text("$os", e.OS)
	c.text("$os_version", e.OSVersion)
	if e.Device != "" {
		c.text("$device_type", strings.ToUpper(e.Device[:1])+e.Device[1:])
	}
	c.text("$raw_user_agent", e.UserAgent)
	c.text("$browser_language", e.Language)
	c.text("$timezone", e.Timezone)
	c.number("$screen_width", e.ScreenWidth)
	c.number("$screen_height", e.ScreenHeight)
	c.number("$viewport_width", e.ViewportWidth)
	c.number("$viewport_height", e.ViewportHeight)
	if payload.IsV7(e.SessionID) {
		c.text("$session_id", e.SessionID)
	} else {
		c.text("session_id", e.SessionID)
		c.taken = append(c.taken, "$session_id") // what is no UUIDv7 is no session there
	}
	c.text("$device_id", e.AnonymousID)
	c.text("channel", e.Channel)
	c.text("release", e.Release)
	c.text("environment", e.Environment)
	if e.HasRevenue {
		c.raw("revenue", payload.Decimal(e.RevenueE4))
		c.text("currency", e.Currency)
	}
	c.place(e)
	if e.GroupID != "" {
		c.value("$groups", map[string]string{groupType(props): e.GroupID})
	}
	c.truth("$is_identified", e.UserID != "")
	c.profile(e)
}

// profile says whether the event makes a person at PostHog.
func (c *encoder) profile(e *headlessly.Event) {
	switch e.Type {
	case headlessly.TypeIdentify, headlessly.TypeGroup, headlessly.TypeAlias:
		if c.profiles != "never" {
			c.taken = append(c.taken, "$process_person_profile")
			return // these are about persons: PostHog's own rule stands
		}
	}
	if c.profiles == "never" || c.profiles != "always" && e.UserID == "" {
		if c.v1 {
			c.taken = append(c.taken, "$process_person_profile")
			c.personal = new(bool)
			return
		}
		c.truth("$process_person_profile", false)
	}
}

// options are what the newer interface takes out of the properties. The clock
// was put right at the edge, so PostHog shall not do it again.
func (c *encoder) options(e *headlessly.Event) {
	if payload.IsV7(e.SessionID) {
		c.w.Text("session_id", e.SessionID)
	}
	c.w.Object("options")
	c.w.Bool("disable_skew_correction", true)
	if c.personal != nil {
		c.w.Bool("process_person_profile", *c.personal)
		c.personal = nil
	}
	c.w.Close()
}

// place keeps PostHog from taking the gateway's address for the visitor's.
func (c *encoder) place(e *headlessly.Event) {
	if e.IP != "" {
		c.text("$ip", e.IP)
	} else {
		c.truth("$geoip_disable", true)
	}
	if e.Country != "" {
		c.text("$geoip_country_code", e.Country)
		c.text("$geoip_city_name", e.City)
	}
}
