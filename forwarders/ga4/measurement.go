package ga4

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
)

// mpBody is a request of the Measurement Protocol.
type mpBody struct {
	ClientID       string                `json:"client_id"`
	UserID         string                `json:"user_id,omitempty"`
	UserProperties map[string]mpProperty `json:"user_properties,omitempty"`
	Consent        *mpConsent            `json:"consent,omitempty"`
	UserLocation   *mpLocation           `json:"user_location,omitempty"`
	IPOverride     string                `json:"ip_override,omitempty"`
	Device         *mpDevice             `json:"device,omitempty"`
	Events         []mpEvent             `json:"events"`
}

type mpProperty struct {
	Value any `json:"value"`
}

type mpConsent struct {
	AdUserData        string `json:"ad_user_data"`
	AdPersonalization string `json:"ad_personalization"`
}

type mpLocation struct {
	City      string `json:"city,omitempty"`
	RegionID  string `json:"region_id,omitempty"`
	CountryID string `json:"country_id,omitempty"`
}

type mpDevice struct {
	Category         string `json:"category,omitempty"`
	Language         string `json:"language,omitempty"`
	ScreenResolution string `json:"screen_resolution,omitempty"`
	OperatingSystem  string `json:"operating_system,omitempty"`
	OSVersion        string `json:"operating_system_version,omitempty"`
	Browser          string `json:"browser,omitempty"`
	BrowserVersion   string `json:"browser_version,omitempty"`
}

type mpEvent struct {
	Name            string         `json:"name"`
	TimestampMicros int64          `json:"timestamp_micros"`
	Params          map[string]any `json:"params"`
}

// mpItem is an event with what its request must say of the visitor.
type mpItem struct {
	index int
	head  mpBody
	event mpEvent
	size  int
}

// measurement builds the batch's requests: up to 25 events each, all of one
// visitor in one state.
func (d *Destination) measurement(batch []forwarders.Item, now time.Time, results []forwarders.Result) []request {
	var groups grouped[mpItem]
	for i, it := range batch {
		m, err := mpMap(it.Event, now)
		if err != nil {
			results[i].Err = err
			continue
		}
		m.index = i
		key, err := json.Marshal(m.head)
		if err != nil {
			results[i].Err = &headlessly.Permanent{Err: fmt.Errorf("event cannot be encoded: %w", err)}
			continue
		}
		groups.add(string(key), m)
	}
	query := url.Values{"measurement_id": {d.conf.MeasurementID}, "api_secret": {d.conf.APISecret.Reveal()}}
	at := d.endpoint + "/mp/collect?" + query.Encode()
	var out []request
	for _, key := range groups.keys {
		list := groups.byKey[key]
		for len(list) > 0 {
			n, size := 0, len(key)
			for n < len(list) && n < maxEvents && (n == 0 || size+list[n].size < maxRequest) {
				size += list[n].size
				n++
			}
			out = append(out, d.mpRequest(at, list[:n]))
			list = list[n:]
		}
	}
	return out
}

func (d *Destination) mpRequest(at string, list []mpItem) request {
	body := list[0].head
	var r request
	for _, m := range list {
		body.Events = append(body.Events, m.event)
		r.index = append(r.index, m.index)
	}
	r.URL, r.Secrets, r.Header = at, d.secrets(), header("", "application/json")
	r.Body, _ = json.Marshal(body) // each part was encoded before
	return r
}

// mpMap maps one event onto the Measurement Protocol.
func mpMap(e *headlessly.Event, now time.Time) (mpItem, error) {
	if err := tooOld(e, now, maxAge); err != nil {
		return mpItem{}, err
	}
	if e.Type == headlessly.TypeSession {
		return mpItem{}, &forwarders.Skipped{Reason: "the measurement protocol begins sessions itself"}
	}
	h := build(e)
	if name, changed := reserved(h.name); changed {
		if name == "" {
			return mpItem{}, &forwarders.Skipped{Reason: "google analytics makes " + h.name + " itself"}
		}
		h.name = name
	}
	id := identify(e)
	m := mpItem{
		head: mpBody{
			ClientID: id.client, UserID: e.UserID, Consent: consent(e.Consent), IPOverride: e.IP,
			UserLocation: location(e), Device: device(e),
		},
		event: mpEvent{Name: h.name, TimestampMicros: e.Timestamp, Params: map[string]any{}},
	}
	engaged, _ := strconv.Atoi(engagement(e))
	m.event.Params["engagement_time_msec"] = engaged
	if id.session != "" {
		m.event.Params["session_id"] = id.session
	}
	for _, f := range trim(h.params, maxParams-3) { // session, engagement and items
		m.event.Params[f.name] = f.value.json()
	}
	if len(h.items) > 0 {
		m.event.Params["items"] = jsonItems(h.items)
	}
	for _, f := range h.userProps {
		if m.head.UserProperties == nil {
			m.head.UserProperties = map[string]mpProperty{}
		}
		m.head.UserProperties[f.name] = mpProperty{f.value.json()}
	}
	b, err := json.Marshal(m.event)
	if err != nil {
		return mpItem{}, &headlessly.Permanent{Err: fmt.Errorf("event cannot be encoded: %w", err)}
	}
	for len(b) > maxRequest-4096 { // a request of its own would still be too big: items go first
		if len(h.items) == 0 {
			return mpItem{}, &headlessly.Permanent{Err: fmt.Errorf("event of %d bytes is over google's limit of 130 kB", len(b))}
		}
		h.items = h.items[:len(h.items)/2]
		m.event.Params["items"] = jsonItems(h.items)
		if b, err = json.Marshal(m.event); err != nil {
			return mpItem{}, &headlessly.Permanent{Err: fmt.Errorf("event cannot be encoded: %w", err)}
		}
	}
	m.size = len(b) + 1
	return m, nil
}

func (v value) json() any {
	if v.number {
		return json.Number(v.text)
	}
	return v.text
}

func jsonItems(list []item) []map[string]any {
	out := make([]map[string]any, 0, len(list))
	for _, it := range list {
		m := make(map[string]any, len(it))
		for _, f := range it {
			m[f.name] = f.value.json()
		}
		out = append(out, m)
	}
	return out
}

// consent says what the visitor said of advertising; silence is left out.
func consent(state string) *mpConsent {
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
		return &mpConsent{"GRANTED", "GRANTED"}
	case "denied":
		return &mpConsent{"DENIED", "DENIED"}
	}
	return nil
}

// region is an ISO 3166-2 code.
var region = regexp.MustCompile(`^[A-Z]{2}-[A-Z0-9]{1,3}$`)

func location(e *headlessly.Event) *mpLocation {
	l := mpLocation{City: e.City, CountryID: e.Country}
	switch {
	case region.MatchString(e.Region):
		l.RegionID = e.Region
	case region.MatchString(e.Country + "-" + e.Region):
		l.RegionID = e.Country + "-" + e.Region
	}
	if l == (mpLocation{}) {
		return nil
	}
	return &l
}

func device(e *headlessly.Event) *mpDevice {
	d := mpDevice{
		Category: e.Device, Language: e.Language, OperatingSystem: e.OS, OSVersion: e.OSVersion,
		Browser: e.Browser, BrowserVersion: e.BrowserVersion, ScreenResolution: resolution(e),
	}
	if d == (mpDevice{}) {
		return nil
	}
	return &d
}

func resolution(e *headlessly.Event) string {
	if e.ScreenWidth <= 0 || e.ScreenHeight <= 0 {
		return ""
	}
	return fmt.Sprintf("%dx%d", e.ScreenWidth, e.ScreenHeight)
}
