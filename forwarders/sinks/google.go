package sinks

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"sort"
	"strings"
	"time"
	"unicode/utf8"
)

var googleName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)

// reservedNames are those that Google keeps for itself; page_view is on
// Google's list as well, and works.
const reservedNames = " ad_impression app_remove app_store_refund app_store_subscription_cancel app_store_subscription_renew" +
	" click error file_download first_open first_visit form_start form_submit in_app_purchase scroll session_start" +
	" user_engagement view_complete video_progress video_start view_search_results "

type mpBody struct {
	ClientID       string `json:"client_id"`
	UserProperties map[string]struct {
		Value any `json:"value"`
	} `json:"user_properties"`
	Consent map[string]string `json:"consent"`
	Events  []json.RawMessage `json:"events"`
}

type mpEvent struct {
	Name   string                     `json:"name"`
	TS     int64                      `json:"timestamp_micros"`
	Params map[string]json.RawMessage `json:"params"`
}

// finding is what Google's validation server says of a request.
type finding struct {
	FieldPath      string `json:"fieldPath"`
	Description    string `json:"description"`
	ValidationCode string `json:"validationCode"`
}

// checkMP finds everything that Google would drop or cut in a request of the
// Measurement Protocol.
func (s *Sinks) checkMP(r *http.Request, body []byte) (mpBody, []mpEvent, []finding) {
	var b mpBody
	var out []finding
	say := func(code, path, format string, args ...any) {
		out = append(out, finding{path, fmt.Sprintf(format, args...), code})
	}
	if r.Method != http.MethodPost {
		say("VALUE_INVALID", "", "method is %s", r.Method)
	}
	if len(body) >= 130_000 {
		say("EXCEEDED_MAX_ENTITIES", "", "body has %d bytes, limit 130 kB", len(body))
	}
	if err := strict(body, &b); err != nil {
		say("VALUE_INVALID", "", "body: %v", err)
		return b, nil, out
	}
	if b.ClientID == "" {
		say("VALUE_REQUIRED", "client_id", "client_id is missing")
	}
	if len(b.Events) == 0 || len(b.Events) > 25 {
		say("EXCEEDED_MAX_ENTITIES", "events", "%d events, between 1 and 25 are allowed", len(b.Events))
	}
	if len(b.UserProperties) > 25 {
		say("EXCEEDED_MAX_ENTITIES", "user_properties", "%d user properties, limit 25", len(b.UserProperties))
	}
	for name, p := range b.UserProperties {
		if !googleName.MatchString(name) || len(name) > 24 || prefixed(name, "_", "firebase_", "ga_", "google_") {
			say("NAME_INVALID", "user_properties", "name %q", name)
		}
		if text, ok := p.Value.(string); ok && utf8.RuneCountInString(text) > 36 {
			say("VALUE_OUT_OF_BOUNDS", "user_properties", "value of %s is over 36 characters", name)
		}
	}
	for k, v := range b.Consent {
		if (k != "ad_user_data" && k != "ad_personalization") || (v != "GRANTED" && v != "DENIED") {
			say("VALUE_INVALID", "consent", "%s=%s", k, v)
		}
	}
	var events []mpEvent
	for i, raw := range b.Events {
		var e mpEvent
		path := fmt.Sprintf("events[%d]", i)
		if err := json.Unmarshal(raw, &e); err != nil {
			say("VALUE_INVALID", path, "%v", err)
		}
		s.checkEvent(e, path, say)
		events = append(events, e)
	}
	return b, events, out
}

func (s *Sinks) checkEvent(e mpEvent, path string, say func(code, path, format string, args ...any)) {
	if !googleName.MatchString(e.Name) || len(e.Name) > 40 || prefixed(e.Name, "_", "firebase_", "ga_", "google_", "gtag.") {
		say("NAME_INVALID", path, "event name %q", e.Name)
	}
	if strings.Contains(reservedNames, " "+e.Name+" ") {
		say("NAME_RESERVED", path, "event name %q is reserved", e.Name)
	}
	if e.TS != 0 {
		if age := s.cfg.Clock().Sub(time.UnixMicro(e.TS)); age > 72*time.Hour {
			say("VALUE_OUT_OF_BOUNDS", path, "event is %s old and would be moved", age.Round(time.Hour))
		}
	}
	if len(e.Params) > 25 {
		say("EXCEEDED_MAX_ENTITIES", path, "%d parameters, limit 25", len(e.Params))
	}
	for _, need := range []string{"engagement_time_msec", "session_id"} {
		if _, ok := e.Params[need]; !ok && need == "engagement_time_msec" {
			say("VALUE_REQUIRED", path, "%s is missing: the event would not show in Realtime", need)
		}
	}
	for name, raw := range e.Params {
		if name == "items" {
			checkItems(raw, path, say)
			continue
		}
		if !googleName.MatchString(name) || len(name) > 40 || prefixed(name, "_", "firebase_", "ga_", "google_", "gtag.") {
			say("NAME_INVALID", path, "parameter name %q", name)
		}
		if limit := valueLimit(name); chars(raw) > limit {
			say("VALUE_OUT_OF_BOUNDS", path, "parameter %s is over %d characters", name, limit)
		}
		if len(raw) > 0 && (raw[0] == '{' || raw[0] == '[') {
			say("VALUE_INVALID", path, "parameter %s is not a scalar", name)
		}
	}
}

func valueLimit(name string) int {
	switch name {
	case "page_title":
		return 300
	case "page_referrer":
		return 420
	case "page_location":
		return 1000
	}
	return 100
}

// itemFields are Google's own fields of an item; others count as custom.
const itemFields = " item_id item_name affiliation coupon discount index item_brand item_category item_category2 item_category3" +
	" item_category4 item_category5 item_list_id item_list_name item_variant location_id price quantity" +
	" creative_name creative_slot promotion_id promotion_name google_business_vertical "

func checkItems(raw json.RawMessage, path string, say func(code, path, format string, args ...any)) {
	var list []map[string]json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		say("VALUE_INVALID", path+".params.items", "items is not an array of objects")
		return
	}
	if len(list) > 200 {
		say("EXCEEDED_MAX_ENTITIES", path+".params.items", "%d items, limit 200", len(list))
	}
	for _, it := range list {
		if it["item_id"] == nil && it["item_name"] == nil {
			say("VALUE_REQUIRED", path+".params.items", "an item has neither item_id nor item_name")
		}
		custom := 0
		for name, v := range it {
			if !strings.Contains(itemFields, " "+name+" ") {
				custom++
			}
			if chars(v) > 100 {
				say("VALUE_OUT_OF_BOUNDS", path+".params.items", "%s is over 100 characters", name)
			}
		}
		if custom > 10 {
			say("EXCEEDED_MAX_ENTITIES", path+".params.items", "%d custom fields in an item, limit 10", custom)
		}
	}
}

// chars counts the characters of a text value.
func chars(raw json.RawMessage) int {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return 0
	}
	return utf8.RuneCountInString(s)
}

func prefixed(name string, prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// mpCollect answers 204 to everything, as Google does.
func (s *Sinks) mpCollect(w http.ResponseWriter, r *http.Request, body []byte) {
	q := r.URL.Query()
	b, events, findings := s.checkMP(r, body)
	var problems []string
	for _, need := range []string{"measurement_id", "api_secret"} {
		if q.Get(need) == "" {
			problems = append(problems, need+" is missing from the query")
		}
	}
	for _, f := range findings {
		problems = append(problems, f.ValidationCode+" "+f.FieldPath+": "+f.Description)
	}
	if len(events) == 0 {
		s.add(Event{Kind: GA4, Route: r.URL.Path, Project: q.Get("measurement_id"), Violations: problems, Payload: asJSON(body)})
	}
	var head map[string]any
	_ = json.Unmarshal(body, &head)
	delete(head, "events")
	for i, e := range events {
		ev := Event{
			Kind: GA4, Route: r.URL.Path, Project: q.Get("measurement_id"), Name: e.Name, Visitor: b.ClientID,
			Request: head, Payload: b.Events[i],
		}
		if i == 0 {
			ev.Violations = problems
		}
		s.add(ev)
	}
	w.WriteHeader(http.StatusNoContent)
}

// mpDebug is Google's validation server: it checks, and keeps nothing.
func (s *Sinks) mpDebug(w http.ResponseWriter, r *http.Request, body []byte) {
	_, _, findings := s.checkMP(r, body)
	if findings == nil {
		findings = []finding{}
	}
	writeJSON(w, http.StatusOK, map[string]any{"validationMessages": findings})
}

// gCollect takes the browser's protocol.
func (s *Sinks) gCollect(w http.ResponseWriter, r *http.Request, body []byte) {
	common := r.URL.Query()
	lines := strings.Split(strings.ReplaceAll(string(body), "\r\n", "\n"), "\n")
	for _, line := range lines {
		if line == "" && len(lines) > 1 {
			continue
		}
		q, err := url.ParseQuery(line)
		var problems []string
		if err != nil {
			problems = append(problems, "a line cannot be read: "+err.Error())
		}
		all := map[string]string{}
		for k := range common {
			all[k] = common.Get(k)
		}
		for k := range q {
			all[k] = q.Get(k)
		}
		problems = append(problems, checkHit(all, len(lines))...)
		payload, _ := json.Marshal(all) // strings only
		s.add(Event{
			Kind: GA4, Route: r.URL.Path, Project: all["tid"], Name: all["en"], Visitor: all["cid"], Payload: payload,
			Request: map[string]any{"user_agent": r.UserAgent()}, Violations: problems,
		})
	}
	w.WriteHeader(http.StatusNoContent)
}

func checkHit(q map[string]string, lines int) []string {
	var out []string
	if q["v"] != "2" {
		out = append(out, "v is not 2")
	}
	for _, need := range []string{"tid", "cid", "en"} {
		if q[need] == "" {
			out = append(out, need+" is missing")
		}
	}
	if lines > 25 {
		out = append(out, fmt.Sprintf("%d events, limit 25", lines))
	}
	if n := q["en"]; !googleName.MatchString(n) || len(n) > 40 {
		out = append(out, "event name "+n)
	}
	params := 0
	for k, v := range q {
		name, isParam := "", false
		for _, prefix := range []string{"ep.", "epn."} {
			if rest, ok := strings.CutPrefix(k, prefix); ok {
				name, isParam = rest, true
			}
		}
		if !isParam {
			continue
		}
		params++
		if !googleName.MatchString(name) || len(name) > 40 {
			out = append(out, "parameter name "+name)
		}
		if utf8.RuneCountInString(v) > 100 {
			out = append(out, "parameter "+name+" is over 100 characters")
		}
	}
	if params > 25 {
		out = append(out, fmt.Sprintf("%d parameters, limit 25", params))
	}
	sort.Strings(out)
	return out
}
