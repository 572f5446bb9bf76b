package ga4

import (
	"encoding/json"
	"math"
	"strconv"

	"github.com/valyala/fastjson"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/payload"
)

// value is a parameter: text, or a number as Google wants it unquoted.
type value struct {
	text   string
	number bool
}

// field is one named parameter; order matters where there are too many.
type field struct {
	name  string
	value value
}

// hit is one event in Google's words, before either protocol's form.
type hit struct {
	name      string
	params    []field
	items     []item
	userProps []field
	engaged   int // milliseconds
	ids       ids
}

// item is one product: Google's own fields and at most ten more.
type item []field

// mapper maps events; it keeps its parsers' memory. Not safe for concurrent
// use.
type mapper struct{ props, other payload.Parser }

// build maps an event.
func (m *mapper) build(e *headlessly.Event) hit {
	h := hit{name: name(e), params: make([]field, 0, 12)}
	props := m.props.Props(e.Properties)
	h.engaged = engagement(props)
	switch e.Type {
	case headlessly.TypeError, headlessly.TypeMessage:
		h.text("description", describe(e), maxValue)
		h.number("fatal", boolean(e.Type == headlessly.TypeError && e.Level == "fatal" || unhandled(e)))
	case headlessly.TypeVital:
		h.number("value", e.VitalValue)
		h.text("metric_rating", e.VitalRating, maxValue)
	case headlessly.TypeGroup:
		h.text("group_id", e.GroupID, maxValue)
	case headlessly.TypeScreen:
		h.text("screen_name", e.Event, maxValue)
	case headlessly.TypeIdentify:
		h.userProps = userProps(m.other.Props(e.Traits))
	}
	used := ""
	if e.Type == headlessly.TypeTrack || e.Type == headlessly.TypePage || e.Type == headlessly.TypePageLeft {
		used = h.commerce(e, props)
	}
	h.text("page_location", e.URL, maxLocation)
	h.text("page_referrer", e.Referrer, maxReferrer)
	h.text("page_title", e.Title, maxTitle)
	props.Each(func(key string, v *fastjson.Value) {
		if !payload.Flat(v) || own(key) || listed(used, key) {
			return
		}
		if n := param(key); n != "" && !h.has(n) {
			h.params = append(h.params, field{n, scalar(v, maxValue)})
		}
	})
	h.ids = identify(e, &m.other)
	if n := props.Text("number"); h.ids.number == "" && e.Type == headlessly.TypeSession && digits(n) {
		h.ids.number = n // as the browser script counts them
	}
	return h
}

func (h *hit) text(name, text string, limit int) {
	if text != "" {
		h.params = append(h.params, field{name, value{text: payload.Cut(text, limit)}})
	}
}

func (h *hit) number(name string, f float64) {
	if !math.IsNaN(f) && !math.IsInf(f, 0) {
		h.params = append(h.params, field{name, value{text: strconv.FormatFloat(f, 'f', -1, 64), number: true}})
	}
}

func (h *hit) has(name string) bool {
	for i := range h.params {
		if h.params[i].name == name {
			return true
		}
	}
	return false
}

// own are properties that become something else than a parameter.
func own(key string) bool {
	switch key {
	case "", "products", "items", "engagement_time_msec", "engagedMs",
		"session_id", "session_number", "gclid", "url", "path", "title", "referrer":
		return true
	}
	return key[0] == '$' || key[0] == '_'
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func describe(e *headlessly.Event) string {
	switch {
	case e.ErrorType != "" && e.ErrorMessage != "":
		return e.ErrorType + ": " + e.ErrorMessage
	case e.ErrorType != "":
		return e.ErrorType
	case e.ErrorMessage != "":
		return e.ErrorMessage
	}
	return e.Event
}

// unhandled says whether nobody caught the error.
func unhandled(e *headlessly.Event) bool {
	if e.Type != headlessly.TypeError || e.ErrorStack == "" {
		return false
	}
	chain := payload.Stack(e.ErrorStack, "", "")
	var handled bool
	return len(chain) > 0 && json.Unmarshal(chain[0].Mechanism["handled"], &handled) == nil && !handled
}

// scalar is a flat value within a limit of characters.
func scalar(v *fastjson.Value, limit int) value {
	switch v.Type() {
	case fastjson.TypeNumber:
		if f, err := v.Float64(); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return value{text: v.String(), number: true}
		}
		return value{text: payload.Cut(v.String(), limit)}
	case fastjson.TypeString:
		return value{text: payload.Cut(string(v.GetStringBytes()), limit)}
	}
	return value{text: v.String()}
}

func userProps(traits payload.Props) []field {
	var out []field
	traits.Each(func(key string, v *fastjson.Value) {
		n := userProperty(key)
		if n == "" || len(out) == maxUserProps || !payload.Flat(v) || personal(key) {
			return
		}
		for i := range out {
			if out[i].name == n {
				return
			}
		}
		out = append(out, field{n, scalar(v, maxUserValue)})
	})
	return out
}

// personal are traits that Google's terms forbid to send.
func personal(key string) bool {
	switch key {
	case "", "email", "phone", "name", "firstName", "lastName", "first_name", "last_name", "username", "address", "street", "birthday", "ip":
		return true
	}
	return key[0] == '$'
}

// trim keeps at most n parameters, the first ones.
func trim(list []field, n int) []field {
	if len(list) > n {
		return list[:n]
	}
	return list
}

// listed finds a key in a list of keys that is joined by spaces, each with a
// space before and behind.
func listed(list, key string) bool {
	for len(list) > 0 {
		var word string
		word, list = cutSpace(list)
		if word == key {
			return true
		}
	}
	return false
}

func cutSpace(s string) (word, rest string) {
	for i := range len(s) {
		if s[i] == ' ' {
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}
