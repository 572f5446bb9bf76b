package ga4

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/payload"
)

// mpItem is an event as the Measurement Protocol has it, with what its request
// must say of the visitor: an object that is still open.
type mpItem struct {
	index int
	head  string
	event []byte
}

// measurement builds the batch's requests: up to 25 events each, all of one
// visitor in one state.
func (d *Destination) measurement(batch []forwarders.Item, now time.Time, results []forwarders.Result) []request {
	var groups grouped[mpItem]
	var m mapper
	var w payload.Writer
	for i, it := range batch {
		x, err := m.measure(it.Event, now, &w)
		if err != nil {
			results[i].Err = err
			continue
		}
		x.index = i
		groups.add(x.head, x)
	}
	query := url.Values{"measurement_id": {d.conf.MeasurementID}, "api_secret": {d.conf.APISecret.Reveal()}}
	at := d.endpoint + "/mp/collect?" + query.Encode()
	var out []request
	for _, head := range groups.keys {
		list := groups.byKey[head]
		for len(list) > 0 {
			n, size := 0, len(head)+16
			for n < len(list) && n < maxEvents && (n == 0 || size+len(list[n].event) < maxRequest) {
				size += len(list[n].event) + 1
				n++
			}
			out = append(out, d.mpRequest(at, head, list[:n], size))
			list = list[n:]
		}
	}
	return out
}

func (d *Destination) mpRequest(at, head string, list []mpItem, size int) request {
	var r request
	r.Body = append(make([]byte, 0, size), head...)
	r.Body = append(r.Body, `,"events":[`...)
	for i, m := range list {
		if i > 0 {
			r.Body = append(r.Body, ',')
		}
		r.Body = append(r.Body, m.event...)
		r.index = append(r.index, m.index)
	}
	r.Body = append(r.Body, "]}"...)
	r.URL, r.Secrets, r.Header = at, d.secrets(), header("", "application/json")
	return r
}

// measure maps one event onto the Measurement Protocol.
func (m *mapper) measure(e *headlessly.Event, now time.Time, w *payload.Writer) (mpItem, error) {
	if err := tooOld(e, now, maxAge); err != nil {
		return mpItem{}, err
	}
	if e.Type == headlessly.TypeSession {
		return mpItem{}, &forwarders.Skipped{Reason: "the measurement protocol begins sessions itself"}
	}
	h := m.build(e)
	if name, changed := reserved(h.name); changed {
		if name == "" {
			return mpItem{}, &forwarders.Skipped{Reason: "google analytics makes " + h.name + " itself"}
		}
		h.name = name
	}
	w.Reset()
	head(w, e, &h)
	x := mpItem{head: string(w.B)}
	for {
		w.Reset()
		event(w, e, &h)
		if len(w.B) < maxRequest-4096 {
			x.event = append([]byte(nil), w.B...)
			return x, nil
		}
		// A request of its own would still be too big: items go first.
		if len(h.items) == 0 {
			return x, &headlessly.Permanent{Err: fmt.Errorf("event of %d bytes is over google's limit of 130 kB", len(w.B))}
		}
		h.items = h.items[:len(h.items)/2]
	}
}

// head writes what a request says of the visitor and leaves the object open.
func head(w *payload.Writer, e *headlessly.Event, h *hit) {
	w.Open()
	w.Text("client_id", h.ids.client)
	w.Text("user_id", e.UserID)
	if len(h.userProps) > 0 {
		w.Object("user_properties")
		for _, f := range h.userProps {
			w.Object(f.name)
			f.value.write(w, "value")
			w.Close()
		}
		w.Close()
	}
	if c := consent(e.Consent); c != "" {
		w.Object("consent")
		w.Text("ad_user_data", c)
		w.Text("ad_personalization", c)
		w.Close()
	}
	if e.City != "" || e.Country != "" {
		w.Object("user_location")
		w.Text("city", e.City)
		w.Text("region_id", regionID(e))
		w.Text("country_id", e.Country)
		w.Close()
	}
	w.Text("ip_override", e.IP)
	if res := resolution(e); res != "" || e.Device != "" || e.Browser != "" || e.OS != "" || e.Language != "" {
		w.Object("device")
		w.Text("category", e.Device)
		w.Text("language", e.Language)
		w.Text("screen_resolution", res)
		w.Text("operating_system", e.OS)
		w.Text("operating_system_version", e.OSVersion)
		w.Text("browser", e.Browser)
		w.Text("browser_version", e.BrowserVersion)
		w.Close()
	}
}

// event writes the event itself.
func event(w *payload.Writer, e *headlessly.Event, h *hit) {
	w.Open()
	w.Text("name", h.name)
	w.Int("timestamp_micros", e.Timestamp)
	w.Object("params")
	w.Int("engagement_time_msec", int64(h.engaged))
	w.Text("session_id", h.ids.session)
	for _, f := range trim(h.params, maxParams-3) { // session, engagement and items
		f.value.write(w, f.name)
	}
	if len(h.items) > 0 {
		w.Key("items")
		w.B = append(w.B, '[')
		for i, it := range h.items {
			if i > 0 {
				w.B = append(w.B, ',')
			}
			w.Open()
			for _, f := range it {
				f.value.write(w, f.name)
			}
			w.Close()
		}
		w.B = append(w.B, ']')
	}
	w.Close()
	w.Close()
}

func (v value) write(w *payload.Writer, key string) {
	if v.number {
		w.Raw(key, v.text)
	} else {
		w.Key(key)
		w.B = payload.AppendString(w.B, v.text)
	}
}

// consent is what the visitor said of advertising; silence is "".
func consent(state string) string {
	answer := state
	if state != "granted" {
		answer = ""
		for _, category := range []string{"advertising", "ads", "marketing"} {
			if s, ok := forwarders.ConsentFor(state, category); ok {
				answer = s
				break
			}
		}
	}
	switch answer {
	case "granted":
		return "GRANTED"
	case "denied":
		return "DENIED"
	}
	return ""
}

// regionID is the region's ISO 3166-2 code, "" where it cannot be told.
func regionID(e *headlessly.Event) string {
	r := e.Region
	if len(r) < 4 || r[2] != '-' {
		r = e.Country + "-" + r
	}
	if len(r) < 4 || len(r) > 6 || r[2] != '-' {
		return ""
	}
	for i := range len(r) {
		c := r[i]
		if letter, digit := c >= 'A' && c <= 'Z', c >= '0' && c <= '9'; i != 2 && !letter && (i < 2 || !digit) {
			return ""
		}
	}
	return r
}

func resolution(e *headlessly.Event) string {
	if e.ScreenWidth <= 0 || e.ScreenHeight <= 0 {
		return ""
	}
	return strconv.FormatInt(e.ScreenWidth, 10) + "x" + strconv.FormatInt(e.ScreenHeight, 10)
}
