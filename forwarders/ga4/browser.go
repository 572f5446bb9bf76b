package ga4

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/payload"
)

// browserItem is one event in the browser's protocol: what its request must
// say of visitor and page, and the event's own line.
type browserItem struct {
	index int
	agent string
	line  string
}

// browser builds the batch's requests in the form that gtag sends: visitor and
// page in the query, and an event a line in the body where there are several.
func (d *Destination) browser(batch []forwarders.Item, now time.Time, results []forwarders.Result) []request {
	var groups grouped[browserItem]
	var m mapper
	for i, it := range batch {
		if err := tooOld(it.Event, now, maxAgeBrowser); err != nil {
			results[i].Err = err
			continue
		}
		h := m.build(it.Event)
		common := d.common(it.Event, &h).Encode()
		groups.add(common+"\n"+it.Event.UserAgent, browserItem{i, it.Event.UserAgent, line(it.Event, &h)})
	}
	var out []request
	for _, key := range groups.keys {
		common, _, _ := strings.Cut(key, "\n")
		list := groups.byKey[key]
		for len(list) > 0 {
			n, size := 0, len(common)
			for n < len(list) && n < maxEvents && (n == 0 || size+len(list[n].line) < maxRequest) {
				size += len(list[n].line) + 2
				n++
			}
			out = append(out, d.browserRequest(common, list[:n]))
			list = list[n:]
		}
	}
	return out
}

func (d *Destination) browserRequest(common string, list []browserItem) request {
	var r request
	var lines []string
	for _, it := range list {
		lines = append(lines, it.line)
		r.index = append(r.index, it.index)
	}
	// _p stands for the page load. It is made from the events, so that a retry
	// says the same.
	common += "&_p=" + strconv.FormatUint(payload.Hash(strings.Join(lines, ""))%2_147_483_647, 10)
	r.URL = d.endpoint + "/g/collect?" + common
	if len(lines) == 1 {
		r.URL += "&" + lines[0]
	} else {
		r.Body = []byte(strings.Join(lines, "\r\n"))
	}
	r.Secrets, r.Header = d.secrets(), header(list[0].agent, "text/plain;charset=UTF-8")
	return r
}

// common are the parameters of visitor and page.
func (d *Destination) common(e *headlessly.Event, h *hit) url.Values {
	q := url.Values{"v": {"2"}, "tid": {d.conf.MeasurementID}, "cid": {h.ids.client}, "_s": {"1"}}
	set := func(key, v string) {
		if v != "" {
			q.Set(key, v)
		}
	}
	set("sid", h.ids.session)
	set("sct", h.ids.number)
	set("uid", e.UserID)
	set("ul", strings.ToLower(e.Language))
	set("sr", resolution(e))
	set("dl", payload.Cut(e.URL, maxLocation))
	set("dr", payload.Cut(e.Referrer, maxReferrer))
	set("dt", payload.Cut(e.Title, maxTitle))
	set("_uip", e.IP)
	switch consent(e.Consent) {
	case "GRANTED":
		q.Set("gcs", "G111")
	case "DENIED":
		q.Set("gcs", "G101")
	}
	engaged := "0"
	switch e.Type {
	case headlessly.TypePage, headlessly.TypeSession, headlessly.TypeVital, headlessly.TypeError, headlessly.TypeMessage:
	case headlessly.TypePageLeft:
		if h.engaged >= 10_000 {
			engaged = "1"
		}
	default:
		engaged = "1"
	}
	q.Set("seg", engaged)
	return q
}

// line is the event's own part.
func line(e *headlessly.Event, h *hit) string {
	q := url.Values{"en": {h.name}, "_et": {strconv.Itoa(h.engaged)}}
	if e.Type == headlessly.TypeSession {
		q.Set("_ss", "1")
		if h.ids.number == "1" {
			q.Set("_fv", "1")
		}
	}
	n := 0
	for _, f := range h.params {
		switch f.name {
		case "page_location", "page_referrer", "page_title":
			continue // in the common part
		case "currency":
			q.Set("cu", f.value.text)
			continue
		}
		if n++; n > maxParams {
			break
		}
		q.Set("ep"+f.value.kind()+"."+f.name, f.value.text)
	}
	for i, it := range h.items {
		q.Set("pr"+strconv.Itoa(i+1), pair(it))
	}
	for _, f := range h.userProps {
		q.Set("up"+f.value.kind()+"."+f.name, f.value.text)
	}
	return q.Encode()
}

// kind is the letter by which numbers are told from text.
func (v value) kind() string {
	if v.number {
		return "n"
	}
	return ""
}

// short are the two letters of an item's field in the browser's protocol.
func short(name string) string {
	switch name {
	case "item_id":
		return "id"
	case "item_name":
		return "nm"
	case "item_brand":
		return "br"
	case "item_category":
		return "ca"
	case "item_variant":
		return "va"
	case "price":
		return "pr"
	case "quantity":
		return "qt"
	case "coupon":
		return "cp"
	case "discount":
		return "ds"
	case "index":
		return "lp"
	case "item_list_id":
		return "li"
	case "item_list_name":
		return "ln"
	case "affiliation":
		return "af"
	}
	return ""
}

// pair joins an item's fields by tildes; fields of the client's own follow as
// numbered names and values.
func pair(it item) string {
	var parts []string
	own := 0
	for _, f := range it {
		text := strings.ReplaceAll(f.value.text, "~", "~~")
		if s := short(f.name); s != "" {
			parts = append(parts, s+text)
			continue
		}
		n := strconv.Itoa(own)
		parts = append(parts, "k"+n+f.name, "v"+n+text)
		own++
	}
	return strings.Join(parts, "~")
}
