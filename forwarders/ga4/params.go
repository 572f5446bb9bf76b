package ga4

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"

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
}

// item is one product: Google's own fields and at most ten more.
type item []field

// build maps an event. sessionID is the two protocols' own affair.
func build(e *headlessly.Event) hit {
	h := hit{name: name(e)}
	props := payload.Object(e.Properties)
	set := func(name, text string, limit int) {
		if text != "" {
			h.params = append(h.params, field{name, value{text: payload.Cut(text, limit)}})
		}
	}
	switch e.Type {
	case headlessly.TypeError, headlessly.TypeMessage:
		set("description", describe(e), maxValue)
		h.number("fatal", boolean(e.Type == headlessly.TypeError && e.Level == "fatal" || unhandled(e)))
	case headlessly.TypeVital:
		h.number("value", e.VitalValue)
		set("metric_rating", e.VitalRating, maxValue)
	case headlessly.TypeGroup:
		set("group_id", e.GroupID, maxValue)
	case headlessly.TypeScreen:
		set("screen_name", e.Event, maxValue)
	case headlessly.TypeIdentify:
		h.userProps = userProps(payload.Object(e.Traits))
	case headlessly.TypeTrack, headlessly.TypePage, headlessly.TypePageLeft:
		h.commerce(e, props)
	}
	set("page_location", e.URL, maxLocation)
	set("page_referrer", e.Referrer, maxReferrer)
	set("page_title", e.Title, maxTitle)
	taken := map[string]bool{}
	for _, f := range h.params {
		taken[f.name] = true
	}
	for _, key := range keys(props) {
		n := param(key)
		if n == "" || taken[n] || own(key) || !payload.IsScalar(props[key]) {
			continue
		}
		taken[n] = true
		h.params = append(h.params, field{n, scalar(props[key], maxValue)})
	}
	return h
}

// own are properties that become something else than a parameter.
func own(key string) bool {
	switch key {
	case "products", "items", "engagement_time_msec", "engagedMs",
		"session_id", "session_number", "gclid", "url", "path", "title", "referrer":
		return true
	}
	return key[:1] == "$" || key[:1] == "_"
}

func (h *hit) number(name string, f float64) {
	h.params = append(h.params, field{name, value{text: strconv.FormatFloat(f, 'f', -1, 64), number: true}})
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

func scalar(raw json.RawMessage, limit int) value {
	if f, err := strconv.ParseFloat(string(raw), 64); err == nil && !math.IsInf(f, 0) {
		return value{text: string(raw), number: true}
	}
	return value{text: payload.Cut(payload.Scalar(raw), limit)}
}

// keys gives an object's keys in order, so that the same event always maps to
// the same parameters.
func keys(m map[string]json.RawMessage) []string {
	list := make([]string, 0, len(m))
	for k := range m {
		if k != "" {
			list = append(list, k)
		}
	}
	slices.Sort(list)
	return list
}

func userProps(traits map[string]json.RawMessage) []field {
	var out []field
	for _, key := range keys(traits) {
		n := userProperty(key)
		if n == "" || len(out) == maxUserProps || !payload.IsScalar(traits[key]) || personal(key) {
			continue
		}
		out = append(out, field{n, scalar(traits[key], maxUserValue)})
	}
	return out
}

// personal are traits that Google's terms forbid to send.
func personal(key string) bool {
	switch key {
	case "email", "phone", "name", "firstName", "lastName", "first_name", "last_name", "username", "address", "street", "birthday", "ip":
		return true
	}
	return key[:1] == "$"
}

// trim keeps at most n parameters, the first ones.
func trim(list []field, n int) []field {
	if len(list) > n {
		return list[:n]
	}
	return list
}
