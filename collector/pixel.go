package collector

import (
	"strings"

	"github.com/valyala/fasthttp"
)

// gif is a transparent image of one pixel.
const gif = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x01D\x00;"

// pixel takes one event from the query of GET /e.gif: the parameters are the
// event's top-level fields, and p.NAME=… one of its properties. Without type
// and event it is a page, whose URL is the referring page unless url says
// otherwise. Instead of all that, d=… may hold a whole native body, as for POST
// /e: the browser script's last resort where a page may load images only.
func (c *Collector) pixel(ctx *fasthttp.RequestCtx) {
	who, refusal := c.identify(ctx, face{image: true})
	if refusal != nil {
		c.refuse(ctx, refusal)
		return
	}
	ctx.Response.Header.Set("Cross-Origin-Resource-Policy", "cross-origin") // for pages that are isolated
	w := c.batches.get()
	defer c.batches.put(w)
	d := ctx.QueryArgs().Peek("d")
	if refusal := w.visit.come(c.door, c.clientIP(ctx), len(d)); refusal != nil {
		c.refuse(ctx, refusal)
		return
	}
	if len(d) > 0 {
		c.take(ctx, w, face{image: true}, who, d)
		return
	}
	b := append(w.visit.small[:0], '{')
	var props []byte
	named, url := false, false
	for k, v := range ctx.QueryArgs().All() {
		key := view(k)
		switch key {
		case "t", "tenant", "key":
			continue
		case "type", "event":
			named = true
		case "url":
			url = true
		}
		if name, ok := strings.CutPrefix(key, "p."); ok {
			props = appendPair(props, name, view(v))
			continue
		}
		b = appendPair(b, key, view(v))
	}
	if !named {
		b = appendPair(b, "type", "page")
	}
	if referer := view(ctx.Request.Header.Referer()); !url && referer != "" {
		b = appendPair(b, "url", referer)
	}
	if len(props) > 0 {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(append(b, `"properties":{`...), props...), '}')
	}
	c.take(ctx, w, face{single: true, image: true}, who, append(b, '}'))
}

// appendPair appends a member to a JSON object under construction.
func appendPair(b []byte, key, value string) []byte {
	if n := len(b); n > 0 && b[n-1] != '{' {
		b = append(b, ',')
	}
	b = appendJSONString(b, key)
	b = append(b, ':')
	return appendJSONString(b, value)
}

func answerPixel(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.SetContentType("image/gif")
	ctx.SetBodyString(gif)
}
