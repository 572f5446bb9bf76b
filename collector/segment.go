package collector

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fastjson"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/jsontext"
)

// face is one way in: what its route implies about the events and how it
// answers.
type face struct {
	segment bool   // the Segment HTTP API's rules and answers
	single  bool   // the body is one event, whatever keys it has
	kind    string // the type of every event; "" where each event says
	image   bool   // answers with a pixel
}

// segmentFace gives the face of a path of the Segment HTTP API. Browsers use
// the short names, which tracker blockers know less well.
func segmentFace(path string) (face, bool) {
	rest, ok := strings.CutPrefix(path, "/v1/")
	if !ok {
		return face{}, false
	}
	f := face{segment: true, single: true}
	switch rest {
	case "batch", "b":
		f.single = false
	case "track", "t":
		f.kind = headlessly.TypeTrack
	case "page", "p":
		f.kind = headlessly.TypePage
	case "identify", "i":
		f.kind = headlessly.TypeIdentify
	case "group", "g":
		f.kind = headlessly.TypeGroup
	case "alias", "a":
		f.kind = headlessly.TypeAlias
	case "screen", "s":
		f.kind = headlessly.TypeScreen
	default:
		return face{}, false
	}
	return f, true
}

// checkSegment applies what the Segment specification demands of each type.
func checkSegment(e *headlessly.Event) *headlessly.FieldError {
	missing := func(field, message string) *headlessly.FieldError {
		return &headlessly.FieldError{Code: codeMissing, Field: field, Message: message}
	}
	switch {
	case e.UserID == "" && e.AnonymousID == "":
		return missing("userId", "is missing, and so is anonymousId: a call needs one of them")
	case e.Type == headlessly.TypeGroup && e.GroupID == "":
		return missing("groupId", "is missing: a group call needs the group's id")
	case e.Type == headlessly.TypeAlias && e.PreviousID == "":
		return missing("previousId", "is missing: an alias call needs the id that is replaced")
	case e.Type == headlessly.TypeAlias && e.UserID == "":
		return missing("userId", "is missing: an alias call needs the new id")
	}
	return nil
}

// answerSegment says what Segment's own API says, and what was refused besides.
func (c *Collector) answerSegment(ctx *fasthttp.RequestCtx, accepted int, rejected []rejection) {
	ctx.Response.Header.SetContentType(contentJSON)
	b := append(ctx.Response.Body()[:0], `{"success":true`...)
	if len(rejected) > 0 {
		b = append(b, `,"accepted":`...)
		b = strconv.AppendInt(b, int64(accepted), 10)
		b = append(b, `,"rejected":`...)
		b = appendRejected(b, rejected)
	}
	ctx.SetBody(append(b, '}'))
}

// settings is what analytics.js asks its CDN for before it sends anything: GET
// /v1/projects/{writeKey}/settings. It turns on the one destination there is,
// this gateway; pages need to change their cdnURL only. It tells nothing about
// the key.
func (c *Collector) settings(ctx *fasthttp.RequestCtx, path string) {
	key, _, _ := strings.Cut(strings.TrimPrefix(path, projectsPath), "/")
	scheme, host := "http", string(ctx.Host())+c.cfg.PathPrefix
	if ctx.IsTLS() {
		scheme = "https"
	}
	if public, err := url.Parse(c.cfg.PublicURL); err == nil && public.Host != "" {
		scheme, host = public.Scheme, public.Host+strings.TrimSuffix(public.Path, "/")
	}
	var a fastjson.Arena
	destination := a.NewObject()
	destination.Set("apiKey", a.NewString(key))
	destination.Set("apiHost", a.NewString(host+"/v1"))
	destination.Set("protocol", a.NewString(scheme))
	b := append(ctx.Response.Body()[:0], `{"integrations":{"Segment.io":`...)
	b = jsontext.AppendValue(b, destination)
	b = append(b, `},"plan":{"track":{"__default":{"enabled":true,"integrations":{}}}},"edgeFunction":{},"enabledMiddleware":{},"remotePlugins":[],"metrics":{"sampleRate":0}}`...)
	h := &ctx.Response.Header
	h.SetContentType(contentJSON)
	h.Set(fasthttp.HeaderAccessControlAllowOrigin, "*")
	h.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
	h.Set(fasthttp.HeaderCacheControl, "public, max-age=3600")
	ctx.SetBody(b)
}

const (
	projectsPath = "/v1/projects/"
	settingsPath = "/settings"
)

// isSettings says whether a path is one of analytics.js's settings.
func isSettings(path string) bool {
	rest, ok := strings.CutPrefix(path, projectsPath)
	if !ok {
		return false
	}
	key, ok := strings.CutSuffix(rest, settingsPath)
	return ok && key != "" && !strings.Contains(key, "/")
}

// integrations keeps the event's integrations object, with the batch's below
// it, so that a forwarder can respect what the sender switched off.
func (d *decoder) keepIntegrations() {
	own, common := d.integrations, d.common.integrations
	if own == nil && common == nil {
		return
	}
	if len(d.rest) > 0 {
		d.rest = append(d.rest, ',')
	}
	d.rest = append(d.rest, `"integrations":{`...)
	comma := false
	add := func(key []byte, v *fastjson.Value) {
		if comma {
			d.rest = append(d.rest, ',')
		}
		comma = true
		d.rest = appendJSONString(d.rest, view(key))
		d.rest = append(d.rest, ':')
		d.rest = jsontext.AppendValue(d.rest, v)
	}
	if own != nil {
		own.Visit(add)
	}
	if common != nil {
		common.Visit(func(key []byte, v *fastjson.Value) {
			if own == nil || own.Get(view(key)) == nil {
				add(key, v)
			}
		})
	}
	d.rest = append(d.rest, '}')
}
