package collector

import (
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/valyala/fastjson"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/jsontext"
)

// decoder turns a client's JSON event into an Event. It holds scratch space;
// one goroutine uses it at a time. The Event's strings point into the parsed
// JSON and the scratch space: encode it before the next call.
type decoder struct {
	event  headlessly.Event
	common common

	rest         []byte // the context object under construction
	text         []byte // JSON that the event's strings point into
	integrations *fastjson.Object
	cookieless   bool
	name         string
	named        bool // an explicit event name
	rawType      string
	rawID        string
	message      string
	ctx          *fastjson.Object
	props        *fastjson.Object
}

// common is what a batch says about all of its events; each event's own word
// goes before it.
type common struct {
	context      *fastjson.Object
	integrations *fastjson.Object
	kind         string // the type that the route implies
	segment      bool   // the Segment specification's demands apply
	upload       string // name of the upload, from which ids are made
	line         int64  // the event's place in it
}

// decode reads one event. On an error the event must not be used; its field
// is relative to the event.
func (d *decoder) decode(v *fastjson.Value, tenant string) *headlessly.FieldError {
	o := v.GetObject()
	if o == nil {
		return wrongType("", "an object", v)
	}
	*d = decoder{common: d.common, rest: d.rest[:0], text: d.text[:0]}
	e := &d.event
	e.Tenant = tenant
	var fault *headlessly.FieldError
	o.Visit(func(key []byte, v *fastjson.Value) {
		if fault == nil {
			fault = d.field(view(key), v)
		}
	})
	if fault != nil {
		return fault
	}
	if fault = d.classify(); fault != nil {
		return fault
	}
	d.identify()
	d.context()
	d.keepIntegrations()
	d.properties()
	d.finish()
	if d.common.segment {
		return checkSegment(e)
	}
	return nil
}

// field takes one top-level key of an event.
func (d *decoder) field(key string, v *fastjson.Value) *headlessly.FieldError {
	e := &d.event
	switch key {
	case "messageId", "uuid", "eventId", "event_id":
		if d.rawID != "" && key != "messageId" {
			return nil
		}
		return id(&d.rawID, v, key)
	case "type":
		return text(&d.rawType, v, key, headlessly.MaxNameBytes)
	case "event", "name":
		if d.named && key == "name" {
			return nil
		}
		d.named = key == "event"
		return text(&d.name, v, key, headlessly.MaxNameBytes)
	case "userId", "user_id":
		return id(&e.UserID, v, key)
	case "anonymousId", "anonymous_id", "distinct_id":
		return id(&e.AnonymousID, v, key)
	case "sessionId", "session_id":
		return id(&e.SessionID, v, key)
	case "groupId", "group_id":
		return id(&e.GroupID, v, key)
	case "previousId":
		return id(&e.PreviousID, v, key)
	case "ts", "timestamp", "originalTimestamp":
		if e.OriginalTS != 0 && key != "ts" {
			return nil
		}
		return instant(&e.OriginalTS, v, key)
	case "sentAt":
		return instant(&e.SentAt, v, key)
	case "properties":
		d.props = v.GetObject()
		return d.object(&e.Properties, v, key)
	case "traits":
		return d.object(&e.Traits, v, key)
	case "context":
		if d.ctx = v.GetObject(); d.ctx == nil && v.Type() != fastjson.TypeNull {
			return wrongType(key, "an object", v)
		}
		return nil
	}
	if dst, limit := d.column(key); dst != nil {
		return text(dst, v, key, limit)
	}
	switch key {
	case "exception", "error":
		return d.exception(v, key)
	case "message":
		return text(&d.message, v, key, headlessly.MaxEventBytes)
	case "fingerprint":
		return d.fingerprint(v)
	case "breadcrumbs":
		if v.Type() != fastjson.TypeArray && v.Type() != fastjson.TypeNull {
			return wrongType(key, "an array", v)
		}
	case "integrations":
		if d.integrations = v.GetObject(); d.integrations == nil && v.Type() != fastjson.TypeNull {
			return wrongType(key, "an object", v)
		}
		return nil
	case "tags", "extra", "contexts":
		if v.Type() != fastjson.TypeObject && v.Type() != fastjson.TypeNull {
			return wrongType(key, "an object", v)
		}
	case "tenant", "writeKey", "receivedAt", "channel", "version":
		return nil // the tenant comes from the key, the rest from the gateway
	}
	d.keep(key, v)
	return nil
}

// column gives the string column of a top-level key.
func (d *decoder) column(key string) (*string, int) {
	e := &d.event
	switch key {
	case "url":
		return &e.URL, headlessly.MaxEventBytes
	case "path":
		return &e.Path, headlessly.MaxEventBytes
	case "referrer":
		return &e.Referrer, headlessly.MaxEventBytes
	case "title":
		return &e.Title, headlessly.MaxEventBytes
	case "userAgent":
		return &e.UserAgent, headlessly.MaxEventBytes
	case "level":
		return &e.Level, headlessly.MaxNameBytes
	case "release":
		return &e.Release, headlessly.MaxIDBytes
	case "environment":
		return &e.Environment, headlessly.MaxIDBytes
	case "source":
		return &e.Source, headlessly.MaxNameBytes
	}
	return nil, 0
}

// keep puts a value without a column into the context.
func (d *decoder) keep(key string, v *fastjson.Value) {
	if v.Type() == fastjson.TypeNull {
		return
	}
	if len(d.rest) > 0 {
		d.rest = append(d.rest, ',')
	}
	d.rest = appendJSONString(d.rest, key)
	d.rest = append(d.rest, ':')
	d.rest = jsontext.AppendValue(d.rest, v)
}

// classify settles type and event name.
func (d *decoder) classify() *headlessly.FieldError {
	e := &d.event
	known, ok := typeOf(d.rawType)
	switch {
	case d.common.kind != "":
		e.Type = d.common.kind
	case d.rawType != "" && ok:
		e.Type = known
	case d.rawType != "":
		e.Type = d.rawType
	case d.name != "":
		if e.Type, ok = typeOf(d.name); !ok {
			e.Type = headlessly.TypeTrack
		}
	case e.ErrorStack != "":
		e.Type = headlessly.TypeError
	default:
		return &headlessly.FieldError{Code: codeMissing, Field: "type", Message: `is missing: send "type" (track, page, identify, …) or "event" (the event's name)`}
	}
	e.Event = d.name
	if _, alias := typeOf(d.name); alias && strings.HasPrefix(d.name, "$") || e.Event == "" {
		e.Event = e.Type
	}
	if e.Type == headlessly.TypeTrack && d.name == "" {
		return &headlessly.FieldError{Code: codeMissing, Field: "event", Message: "is missing: a track call needs the event's name"}
	}
	return nil
}

// idSpace is the namespace of message ids that are not UUIDs.
var idSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://headless.ly/message-id")) //nolint:gochecknoglobals // a constant

// MessageID is the UUID under which a client's message id is stored, and
// whether it is that id itself.
func MessageID(tenant, id string) (stored string, same bool) {
	if canonicalUUID(id) {
		return id, true
	}
	if u, err := uuid.Parse(id); err == nil {
		return u.String(), true
	}
	return uuid.NewSHA1(idSpace, []byte(tenant+"\x00"+id)).String(), false
}

// canonicalUUID says whether an id is a UUID as it is stored.
func canonicalUUID(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return false
		}
	}
	return true
}

// held is what a decoder keeps for the next event.
func (d *decoder) held() int { return cap(d.rest) + cap(d.text) }

// json gives a value's text, which is valid as long as the event.
func (d *decoder) json(v *fastjson.Value) string {
	from := len(d.text)
	d.text = jsontext.AppendValue(d.text, v)
	return view(d.text[from:])
}

// identify gives the event its UUID.
func (d *decoder) identify() {
	e := &d.event
	if d.rawID == "" && d.common.upload != "" {
		d.rawID = d.common.upload + ":" + strconv.FormatInt(d.common.line, 10)
	}
	if d.rawID == "" {
		e.MessageID = uuid.Must(uuid.NewV7()).String()
		return
	}
	var kept bool
	if e.MessageID, kept = MessageID(e.Tenant, d.rawID); kept {
		return
	}
	if len(d.rest) > 0 {
		d.rest = append(d.rest, ',')
	}
	d.rest = append(d.rest, `"messageId":`...)
	d.rest = appendJSONString(d.rest, d.rawID)
}

// finish derives what follows from the rest.
func (d *decoder) finish() {
	e := &d.event
	switch e.Type {
	case headlessly.TypeError, headlessly.TypeMessage:
		d.errorColumns()
	case headlessly.TypeVital:
		d.vital()
	}
	if d.props != nil {
		d.revenue()
	}
	if e.Source == "" {
		e.Source = sourceOf(e.Library)
	}
	if len(d.rest) > 0 {
		from := len(d.text)
		d.text = append(append(append(d.text, '{'), d.rest...), '}')
		e.Context = view(d.text[from:])
	}
}

// sourceOf tells where an event came from by the library that sent it, "" for
// one that is not known.
func sourceOf(library string) string {
	switch library {
	case "@headlessly/js", "web", "posthog-js", "analytics.js", "sentry.javascript.browser":
		return headlessly.SourceBrowser
	case "@headlessly/node", "posthog-node", "@segment/analytics-node":
		return headlessly.SourceNode
	}
	return ""
}

// appendJSONString appends s as a JSON string.
func appendJSONString(b []byte, s string) []byte {
	return jsontext.AppendString(b, s)
}
