package openapi

// stream is an operation whose answer has no schema.
func stream(id, tag, what, media string, opts ...option) object {
	return operation(id, tag, what, append(opts, func(op object) {
		out := object{"200": object{"description": "A stream.", "content": object{media: object{"schema": object{"type": "string"}}}}}
		for _, s := range []string{"400", "401", "403", "404", "429", "503"} {
			out[s] = ref("responses", s)
		}
		op["responses"] = out
	})...)
}

// upgrade makes an operation a WebSocket's.
func upgrade(op object) {
	answers("api.Error", "101", "400")(op)
	r := op["responses"].(object) //nolint:forcetypeassert // made by answers
	r["101"] = object{"description": "A WebSocket."}
	r["426"] = object{"description": "The request does not ask for a WebSocket.", "content": content("api.Error")}
}

// fixed are the paths that do not depend on the types.
func fixed() object {
	socket := operation("eventsSocket", "Events", "The same over a WebSocket: one event a text message. Go on with after=seq.", withParameters("after", "eventType", "entity", "actor"), upgrade)
	ndjson := func(op object) {
		op["requestBody"] = object{"required": true, "content": object{"application/x-ndjson": object{"schema": object{"type": "string"}}}}
	}
	key := func(id, what string, opts ...option) object {
		return operation(id, "Keys", what, append([]option{answers("api.Key", "200", "400", "405", "409", "412", "413"), withParameters("keyID")}, opts...)...)
	}
	return object{
		"/events":        object{"get": operation("listEvents", "Events", "Entity events: newest first, or from after on oldest first.", answers("api.EventPage", "200", "400"), withParameters("after", "before", "eventType", "entity", "actor", "eventLimit"))},
		"/events/stream": object{"get": stream("eventsStream", "Events", "Server-sent events; each one's id is its seq. Without after or Last-Event-ID: from now on.", "text/event-stream", withParameters("after", "eventType", "entity", "actor", "lastEventID"))},
		"/events/ws":     object{"get": socket},
		"/batch":         object{"post": operation("batch", "Batch", "Up to 1,000 operations, each with its own result.", answers("api.BatchResult", "200", "400", "413"), body("api.Batch", true))},
		"/export":        object{"get": stream("export", "Events", "Every entity of these types (all but ApiKey) as NDJSON.", "application/x-ndjson", withParameters("types", "asOf"))},
		"/import":        object{"post": operation("import", "Batch", "Entities as NDJSON, as export writes them.", answers("api.Imported", "200", "400", "413"), withParameters("importType"), ndjson)},
		"/keys":          object{"get": operation("listKeys", "Keys", "The tenant's keys.", answers("api.KeyPage", "200")), "post": operation("createKey", "Keys", "Make a key; its value is shown this once.", answers("api.Key", "201", "400", "409", "413"), body("api.KeyInput", true))},
		"/keys/{id}": object{
			"get": key("getKey", "A key."), "patch": key("updateKey", "Another name, other scopes.", body("api.KeyChanges", true)), "delete": key("deleteKey", "Revoke it."),
		},
		"/keys/{id}/rotate": object{"post": key("rotateKey", "A new value; the old one works for graceSeconds longer.", body("api.Rotation", false))},
		"/keys/{id}/revoke": object{"post": key("revokeKey", "Stop a key at once.")},
		"/sql": object{"post": operation("sql", "SQL", "One SELECT over the lakehouse.", body("api.SQL", true), func(op object) {
			answers("api.Status", "200", "400", "413")(op)
			r := op["responses"].(object) //nolint:forcetypeassert // made by answers
			r["200"] = object{"description": "Rows in the format asked for.", "content": object{
				"application/json": object{}, "text/csv": object{}, "application/vnd.apache.arrow.stream": object{}, "application/vnd.apache.parquet": object{},
			}}
			for _, s := range []string{"408", "422", "501"} {
				r[s] = object{"description": "The query was refused or took too long.", "content": content("api.Error")}
			}
		})},
		"/metrics": object{"get": operation("metrics", "Metrics", "mrr, arr, churn and what moved them, by currency, at ?at= against ?from=; ?mode=test, ?integration=, ?grossMargin=.", answers("api.Status", "200", "400"))},
		"/status":  object{"get": operation("status", "Status", "Integrations, deliveries, lakehouse, metrics and alerts.", answers("api.Status", "200"))},
	}
}
