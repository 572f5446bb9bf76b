package imports

// segment is a call as Segment stores it: the raw data of its S3 and Google
// Cloud Storage destinations, one call a line.
func segment(fields map[string]any) (Event, *Fault) {
	e := Event(fields)
	for _, k := range []string{"writeKey", "projectId", "version", "channel", "_metadata", "metadata", "sourceId"} {
		delete(e, k)
	}
	context := inner(e["context"])
	if context == nil {
		context = map[string]any{}
	}
	e["context"] = context
	// Some libraries send these as numbers.
	for _, m := range []map[string]any{e, context} {
		for _, k := range []string{"userId", "anonymousId", "groupId", "previousId", "sessionId"} {
			if m[k] != nil {
				m[k] = word(m[k])
			}
		}
	}
	if word(e["type"]) == "" {
		return nil, faultf("missing", "type", "is missing: a call says what it is (track, page, identify, …)")
	}
	if word(e["userId"]) == "" && word(e["anonymousId"]) == "" {
		return nil, faultf("missing", "userId", "is missing, and so is anonymousId: a call has one of them")
	}
	return e, nil
}

// rudderStack is a call as RudderStack's object storage destinations write it:
// Segment's, with some names of its own.
func rudderStack(fields map[string]any) (Event, *Fault) {
	e, fault := segment(fields)
	if fault != nil {
		return nil, fault
	}
	put(e, first(inner(e["context"])["ip"], e["request_ip"]), "context", "ip")
	put(e, e["rudderId"], "context", "rudderId")
	for _, k := range []string{"request_ip", "rudderId", "sourceId", "destinationId", "_source"} {
		delete(e, k)
	}
	return e, nil
}
