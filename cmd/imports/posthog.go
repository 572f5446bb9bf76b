package imports

import "strings"

// postHog is an event of PostHog's batch exports (JSON lines or Parquet) and of
// its events API. Its properties stay what they are; the gateway reads the
// columns that $-properties carry.
func postHog(fields map[string]any) (Event, *Fault) {
	name := word(fields["event"])
	if name == "" {
		return nil, faultf("missing", "event", "is missing: an event of PostHog has a name")
	}
	props := inner(fields["properties"])
	if props == nil {
		props = map[string]any{}
	}
	e := Event{"event": name, "properties": props}
	put(e, first(word(fields["uuid"]), word(fields["id"])), "messageId")
	put(e, first(fields["timestamp"], fields["created_at"]), "ts")
	postHogPerson(e, fields, props)
	put(e, props["$ip"], "context", "ip")
	delete(props, "$ip") // the whole address is kept nowhere
	for path, key := range map[string]string{"country": "$geoip_country_code", "region": "$geoip_subdivision_1_name", "city": "$geoip_city_name"} {
		put(e, props[key], "context", "location", path)
	}
	for path, key := range map[string]string{"source": "utm_source", "medium": "utm_medium", "name": "utm_campaign", "term": "utm_term", "content": "utm_content"} {
		put(e, props[key], "context", "campaign", path)
	}
	put(props, fields["elements_chain"], "$elements_chain")
	if name == "$exception" {
		postHogException(e, props)
	}
	return e, nil
}

// postHogPerson tells who did it: PostHog has one id, which is the user's once
// there is one.
func postHogPerson(e Event, fields, props map[string]any) {
	distinct, device := word(first(fields["distinct_id"], props["distinct_id"])), word(props["$device_id"])
	anonymous := first(word(props["$anon_distinct_id"]), device)
	switch user := word(props["$user_id"]); {
	case user != "":
		put(e, user, "userId")
		put(e, first(anonymous, distinct), "anonymousId")
	case word(e["event"]) == "$identify", device != "" && device != distinct:
		put(e, distinct, "userId")
		put(e, anonymous, "anonymousId")
	default:
		put(e, distinct, "anonymousId")
	}
	put(e, word(props["$session_id"]), "sessionId")
	switch e["event"] {
	case "$groupidentify":
		put(e, word(props["$group_key"]), "groupId")
		put(e, inner(props["$group_set"]), "traits")
	case "$create_alias":
		put(e, word(props["alias"]), "previousId")
		put(e, distinct, "userId")
	}
	if e["traits"] == nil {
		person := inner(fields["person_properties"])
		if person == nil {
			person = inner(inner(fields["person"])["properties"])
		}
		if person == nil {
			person = inner(props["$set"])
		}
		if len(person) > 0 {
			e["traits"] = person
		}
	}
	tidy(e)
}

func postHogException(e Event, props map[string]any) {
	if list, ok := props["$exception_list"].([]any); ok && len(list) > 0 {
		e["exception"] = list
		delete(props, "$exception_list")
	} else {
		put(e, word(props["$exception_type"]), "exception", "type")
		put(e, word(first(props["$exception_message"], props["$exception_values"])), "exception", "value")
	}
	put(e, strings.ToLower(word(props["$exception_level"])), "level")
	put(e, word(props["$exception_fingerprint"]), "fingerprint")
}
