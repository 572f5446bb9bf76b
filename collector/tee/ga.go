package tee

import (
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/headlessly/headlessly"
)

// readGA reads gtag's hits: what they share in the query, and an event a line
// in the body, or the only event in the query too.
func readGA(r *Request) (Result, error) {
	var out Result
	common, err := url.ParseQuery(r.Query)
	if err != nil {
		return out, errors.New("the query cannot be read")
	}
	for _, id := range common["tid"] {
		out.Claim.Keys = add(out.Claim.Keys, id)
	}
	lines := strings.FieldsFunc(string(r.Body), func(c rune) bool { return c == '\n' || c == '\r' })
	if len(lines) == 0 {
		lines = []string{""}
	}
	for _, line := range lines {
		own, err := url.ParseQuery(line)
		if err != nil {
			return out, errors.New("a line of the body cannot be read")
		}
		for _, id := range own["tid"] { // a line cannot send its event elsewhere
			out.Claim.Keys = add(out.Claim.Keys, id)
		}
		hit := gaHit{common, own}
		if hit.get("en") == "" {
			continue
		}
		e, err := native(headlessly.DestinationGA4, hit.event(), hit.context())
		if err != nil {
			return out, err
		}
		out.Events = append(out.Events, e)
	}
	return out, nil
}

// gaHit is one event's parameters before the common ones.
type gaHit struct{ common, own url.Values }

func (h gaHit) get(key string) string {
	if v := h.own.Get(key); v != "" {
		return v
	}
	return h.common.Get(key)
}

// each calls f for every parameter of the event.
func (h gaHit) each(f func(key, v string)) {
	for k := range h.common {
		if _, again := h.own[k]; !again {
			f(k, h.common.Get(k))
		}
	}
	for k := range h.own {
		f(k, h.own.Get(k))
	}
}

func (h gaHit) event() fields {
	e, props, traits := fields{}, fields{}, fields{}
	switch name := h.get("en"); name {
	case "page_view":
		e["type"] = headlessly.TypePage
	case "user_engagement":
		e["type"] = headlessly.TypePageLeft
	case "screen_view":
		e["type"] = headlessly.TypeScreen
	case "form_submit":
		e["type"] = headlessly.TypeForm
	case "click":
		e["type"] = headlessly.TypeClick
	default:
		e["type"], e["event"] = headlessly.TypeTrack, name
	}
	h.each(func(k, v string) {
		switch {
		case strings.HasPrefix(k, "ep."):
			props.set(k[3:], v)
		case strings.HasPrefix(k, "epn."):
			props.set(k[4:], gaNumber(v))
		case strings.HasPrefix(k, "up."):
			traits.set(k[3:], v)
		case strings.HasPrefix(k, "upn."):
			traits.set(k[4:], gaNumber(v))
		}
	})
	if items := h.items(); len(items) > 0 {
		props["items"] = items
	}
	props.set("currency", h.get("cu"))
	if ms, err := strconv.Atoi(h.get("_et")); err == nil {
		props["engagement_time_msec"] = ms
	}
	e.set("properties", props)
	e.set("traits", traits)
	e.set("anonymousId", h.get("cid"))
	e.set("userId", h.get("uid"))
	e.set("sessionId", h.get("sid"))
	e.set("url", h.get("dl"))
	e.set("referrer", h.get("dr"))
	e.set("title", h.get("dt"))
	return e
}

func (h gaHit) context() fields {
	c, ga := fields{"library": fields{"name": "gtag"}}, fields{}
	ga.set("clientId", h.get("cid"))
	ga.set("sessionId", h.get("sid"))
	ga.set("sessionNumber", h.get("sct"))
	c.set("ga", ga)
	c.set("locale", h.get("ul"))
	if w, height, ok := strings.Cut(h.get("sr"), "x"); ok {
		if x, err := strconv.Atoi(w); err == nil {
			if y, err := strconv.Atoi(height); err == nil {
				c["screen"] = fields{"width": x, "height": y}
			}
		}
	}
	// gcs is G1, then a digit for ads and one for analytics: 1 is granted.
	if gcs := h.get("gcs"); len(gcs) == 4 && strings.HasPrefix(gcs, "G1") {
		c["consent"] = map[string]bool{"marketing": gcs[2] == '1', "analytics": gcs[3] == '1'}
	}
	return c
}

// items reads pr1, pr2, …: pairs joined by tildes, each with a name of two
// letters, or numbered names (k0) and values (v0) of the page's own.
func (h gaHit) items() []fields {
	var out []fields
	for n := 1; n <= 200; n++ {
		text := h.get("pr" + strconv.Itoa(n))
		if text == "" {
			break
		}
		it, own := fields{}, map[string]string{}
		for pair := range strings.SplitSeq(text, "~") {
			if len(pair) < 2 {
				continue
			}
			code, v := pair[:2], pair[2:]
			switch {
			case code[0] == 'k' && code[1] >= '0' && code[1] <= '9':
				own[code[1:]] = v
			case code[0] == 'v' && code[1] >= '0' && code[1] <= '9':
				it.set(own[code[1:]], v)
			default:
				name, number := itemField(code)
				if number {
					it.set(name, gaNumber(v))
				} else {
					it.set(name, v)
				}
			}
		}
		delete(it, "")
		out = append(out, it)
	}
	return out
}

// itemField is the name behind an item's two letters.
func itemField(code string) (name string, number bool) {
	switch code {
	case "id":
		return "item_id", false
	case "nm":
		return "item_name", false
	case "br":
		return "item_brand", false
	case "ca":
		return "item_category", false
	case "va":
		return "item_variant", false
	case "pr":
		return "price", true
	case "qt":
		return "quantity", true
	case "cp":
		return "coupon", false
	case "ds":
		return "discount", true
	case "lp":
		return "index", true
	case "li":
		return "item_list_id", false
	case "ln":
		return "item_list_name", false
	case "af":
		return "affiliation", false
	}
	return code, false
}

// gaNumber is a number where the text is one, else the text.
func gaNumber(s string) any {
	if f, err := strconv.ParseFloat(s, 64); err == nil && f-f == 0 { // neither NaN nor infinite
		return f
	}
	return s
}
