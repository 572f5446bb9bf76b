package collector

import (
	"strings"

	"github.com/valyala/fastjson"

	"github.com/headlessly/headlessly"
)

// context spreads the event's context and, below it, the batch's over the
// columns; what has no column stays in the context.
func (d *decoder) context() {
	if d.ctx != nil {
		d.ctx.Visit(func(key []byte, v *fastjson.Value) { d.contextField(view(key), v) })
	}
	if d.common.context != nil {
		d.common.context.Visit(func(key []byte, v *fastjson.Value) {
			if d.ctx == nil || d.ctx.Get(view(key)) == nil {
				d.contextField(view(key), v)
			}
		})
	}
}

func (d *decoder) contextField(key string, v *fastjson.Value) {
	e := &d.event
	used := false
	switch key {
	case "page":
		used = d.page(v)
	case "campaign":
		used = d.campaign(v)
	case "library":
		lookString(&e.Library, v.Get("name"), headlessly.MaxIDBytes)
		lookString(&e.LibraryVersion, v.Get("version"), headlessly.MaxIDBytes)
		used = v.Type() == fastjson.TypeObject
	case "locale", "language":
		used = lookString(&e.Language, v, headlessly.MaxIDBytes)
	case "timezone":
		used = lookString(&e.Timezone, v, headlessly.MaxIDBytes)
	case "screen":
		lookInt(&e.ScreenWidth, v.Get("width"))
		lookInt(&e.ScreenHeight, v.Get("height"))
	case "viewport":
		lookInt(&e.ViewportWidth, v.Get("width"))
		lookInt(&e.ViewportHeight, v.Get("height"))
		used = v.Type() == fastjson.TypeObject
	case "userAgent":
		used = lookString(&e.UserAgent, v, headlessly.MaxEventBytes)
	case "ip":
		lookString(&e.IP, v, headlessly.MaxIDBytes)
		used = true // never kept whole: the column holds the truncated form
	case "groupId":
		used = lookString(&e.GroupID, v, headlessly.MaxIDBytes)
	case "sessionId":
		used = lookString(&e.SessionID, v, headlessly.MaxIDBytes)
	case "traits":
		if e.Traits == "" && v.Type() == fastjson.TypeObject {
			e.Traits, used = d.json(v), true
		}
	case "consent":
		used = d.consent(v)
	case "location": // of an import; who sends it from a page tells of itself
		used = d.location(v)
	case "cookieless":
		d.cookieless = v.Type() == fastjson.TypeTrue
	case "integrations":
		if d.integrations == nil {
			d.integrations = v.GetObject()
		}
		used = d.integrations != nil
	case "os":
		lookString(&e.OS, v.Get("name"), headlessly.MaxIDBytes)
		lookString(&e.OSVersion, v.Get("version"), headlessly.MaxIDBytes)
	}
	if !used {
		d.keep(key, v)
	}
}

func (d *decoder) page(v *fastjson.Value) bool {
	e := &d.event
	lookString(&e.URL, v.Get("url"), headlessly.MaxEventBytes)
	lookString(&e.Path, v.Get("path"), headlessly.MaxEventBytes)
	lookString(&e.Referrer, v.Get("referrer"), headlessly.MaxEventBytes)
	lookString(&e.Title, v.Get("title"), headlessly.MaxEventBytes)
	if lookString(&e.Query, v.Get("search"), headlessly.MaxEventBytes) {
		e.Query = strings.TrimPrefix(e.Query, "?")
	}
	return v.Type() == fastjson.TypeObject
}

func (d *decoder) campaign(v *fastjson.Value) bool {
	e := &d.event
	lookString(&e.UTMSource, v.Get("source"), headlessly.MaxEventBytes)
	lookString(&e.UTMMedium, v.Get("medium"), headlessly.MaxEventBytes)
	lookString(&e.UTMCampaign, v.Get("name"), headlessly.MaxEventBytes)
	lookString(&e.UTMTerm, v.Get("term"), headlessly.MaxEventBytes)
	lookString(&e.UTMContent, v.Get("content"), headlessly.MaxEventBytes)
	return v.Type() == fastjson.TypeObject
}

func (d *decoder) location(v *fastjson.Value) bool {
	e := &d.event
	if len(v.GetStringBytes("country")) == 2 { // ISO 3166-1 alpha-2; names stay in the context
		lookString(&e.Country, v.Get("country"), 2)
	}
	lookString(&e.Region, v.Get("region"), headlessly.MaxIDBytes)
	lookString(&e.City, v.Get("city"), headlessly.MaxIDBytes)
	return false // latitude and the like have no column
}

// consent reads "granted", "denied" or an object of categories into the
// column's canonical form.
func (d *decoder) consent(v *fastjson.Value) bool {
	switch v.Type() {
	case fastjson.TypeString:
		return lookString(&d.event.Consent, v, headlessly.MaxIDBytes)
	case fastjson.TypeObject:
		if d.event.Consent == "" {
			d.event.Consent = consentList(v.GetObject())
		}
		return d.event.Consent != ""
	}
	return false
}

// properties reads the columns that PostHog-style $ properties carry, where
// the event has not said better. They stay in properties too.
func (d *decoder) properties() {
	if d.props == nil {
		return
	}
	e := &d.event
	d.props.Visit(func(k []byte, v *fastjson.Value) {
		key := view(k)
		if key == "distinct_id" {
			lookString(&e.AnonymousID, v, headlessly.MaxIDBytes)
			return
		}
		if key == "" || key[0] != '$' {
			return
		}
		if dst := d.dollar(key); dst != nil {
			lookString(dst, v, headlessly.MaxEventBytes)
			return
		}
		switch key {
		case "$screen_width":
			lookInt(&e.ScreenWidth, v)
		case "$screen_height":
			lookInt(&e.ScreenHeight, v)
		case "$viewport_width":
			lookInt(&e.ViewportWidth, v)
		case "$viewport_height":
			lookInt(&e.ViewportHeight, v)
		case "$set":
			if e.Traits == "" && v.Type() == fastjson.TypeObject {
				e.Traits = d.json(v)
			}
		}
	})
}

func (d *decoder) dollar(key string) *string {
	e := &d.event
	switch key {
	case "$current_url":
		return &e.URL
	case "$pathname":
		return &e.Path
	case "$referrer":
		return &e.Referrer
	case "$title":
		return &e.Title
	case "$session_id":
		return &e.SessionID
	case "$user_id":
		return &e.UserID
	case "$device_id", "$anon_distinct_id":
		return &e.AnonymousID
	case "$lib":
		return &e.Library
	case "$lib_version":
		return &e.LibraryVersion
	case "$raw_user_agent", "$user_agent":
		return &e.UserAgent
	case "$browser_language":
		return &e.Language
	case "$timezone":
		return &e.Timezone
	}
	return nil
}
