package openapi

// parts are the paths of what stands beside the entities: hooks, stored
// handlers, webhooks, deliveries, replays, the deletion of people, agents.
func parts() object {
	out := object{
		"/openapi.json":   object{"get": operation("openapi", "Status", "This document.", answers("api.Any", "200"))},
		"/sql/{id}":       object{"get": operation("sqlProgress", "SQL", "How far the query is that was sent with this id: a share, 0 to 1.", answers("api.Any", "200"), withParameters("queryID"))},
		"/events/live":    object{"get": stream("live", "Events", "What arrives from pages and servers, and what comes of it at each destination.", "text/event-stream", withParameters("liveEvent", "liveType", "liveUser"))},
		"/metrics/{name}": object{"get": operation("metric", "Metrics", "One of the metrics, by currency.", answers("api.Any", "200", "400"), withParameters("metricName"))},
		"/graph/rebuild":  object{"post": stream("rebuild", "Status", "Build the graph's projection anew, for an admin key: how far it is, as NDJSON.", "application/x-ndjson")},
		"/mcp": object{"post": operation("mcp", "Agents", "The Model Context Protocol over streamable HTTP: search, fetch, do.", body("api.RPC", true), func(op object) {
			answers("api.Any", "200", "400", "405", "413", "415")(op)
			r := op["responses"].(object) //nolint:forcetypeassert // made by answers
			r["200"] = object{"description": "The answer, as JSON or as one server-sent event.", "content": object{"application/json": object{}, "text/event-stream": object{}}}
			r["202"] = object{"description": "A notification was taken."}
			for _, s := range []string{"400", "405", "406", "415"} {
				r[s] = object{"description": "It is not a request of the protocol."}
			}
		})},
		"/hooks":    object{"get": operation("listHooks", "Hooks", "Hooks that clients run in their own processes.", answers("api.List", "200"))},
		"/hooks/ws": object{"get": operation("hooksSocket", "Hooks", "Where a client runs hooks, over a WebSocket; HOOKS.md is the protocol.", upgrade)},
		"/hooks/{hook}/{name}": object{"delete": operation("forgetHook", "Hooks", "Forget what is kept of a client's hook.", withParameters("hook", "name"), func(op object) {
			answers("api.Any", "200", "400", "409")(op)
			r := op["responses"].(object) //nolint:forcetypeassert // made by answers
			delete(r, "200")
			r["204"] = object{"description": "Forgotten."}
		})},
	}
	for _, more := range []object{handlers(), webhooks(), forwarding(), forgetting()} {
		for path, what := range more {
			out[path] = what
		}
	}
	return out
}

// handlers are the other paths of the entities of type Handler.
func handlers() object {
	const n = "Handler"
	update := func(id string) object {
		return operation(id, "Handlers", "Change some fields; null removes one.", answers(n, "200", mutation...), withParameters("id", "ifMatch", "ifVersion"), body(n+".Changes", true))
	}
	return object{
		"/handlers": object{
			"get":  operation("listHandlers", "Handlers", "Hooks whose source is stored here.", answers(n+".Page", "200", "400"), withParameters("filter", "sort", "limit", "offset", "cursor", "fields", "asOf")),
			"post": operation("storeHandler", "Handlers", "Store a handler.", created(n), body(n+".Input", true)),
		},
		"/handlers/find":  object{"post": operation("findHandlers", "Handlers", "Find with the query in the body.", answers(n+".Page", "200", "400"), body("api.Query", false))},
		"/handlers/count": object{"get": operation("countHandlers", "Handlers", "Count them.", answers("api.Count", "200", "400"), withParameters("filter", "asOf"))},
		"/handlers/{id}": object{
			"get": operation("getHandlerHere", "Handlers", "A handler.", withNotModified(answers(n, "200", "400")), withParameters("id", "fields", "asOf", "ifNoneMatch")), "patch": update("changeHandler"), "put": update("putHandlerHere"),
			"delete": operation("deleteHandlerHere", "Handlers", "Delete it.", answers("api.Deleted", "200", mutation...), withParameters("id", "ifMatch", "ifVersion")),
		},
		"/handlers/{id}/runs":   object{"get": operation("handlerRuns", "Handlers", "How its runs went at this gateway, and what it did not take.", answers("api.Any", "200"), withParameters("id"))},
		"/handlers/{id}/{verb}": object{"post": operation("handlerVerb", "Handlers", "A verb of handlers: enable, disable, rollback.", answers(n, "200", mutation...), withParameters("id", "handlerVerb"), body("api.Any", false))},
	}
}

// webhooks are Integrations of provider webhook or slack, and their deliveries.
func webhooks() object {
	const tag = "Webhooks"
	change := func(id string) object {
		return operation(id, tag, "Change it: the same as Integration.connect.", answers("api.Webhook", "200", mutation...), withParameters("id"), body("api.WebhookInput", true))
	}
	do := func(id, what, answer, status string, opts ...option) object {
		return object{"post": operation(id, tag, what, append([]option{answers(answer, status, append([]string{}, mutation...)...), withParameters("id")}, opts...)...)}
	}
	return object{
		"/webhooks": object{
			"get":  operation("listWebhooks", tag, "The tenant's webhooks; 100 a page unless limit says less.", answers("Integration.Page", "200", "400"), withParameters("limit", "cursor")),
			"post": operation("connectWebhook", tag, "Connect one; the secrets are in the answer.", answers("api.Webhook", "201", mutation...), body("api.WebhookInput", true)),
		},
		"/webhooks/{id}": object{
			"get": operation("getWebhook", tag, "A webhook, and how its deliveries stand.", answers("api.Webhook", "200"), withParameters("id")), "put": change("putWebhook"), "patch": change("updateWebhook"),
			"delete": operation("disconnectWebhook", tag, "Disconnect it.", answers("api.Webhook", "200", mutation...), withParameters("id")),
		},
		"/webhooks/{id}/secret":     object{"get": operation("webhookSecret", tag, "What the two ends share.", answers("api.Any", "200"), withParameters("id"))},
		"/webhooks/{id}/rotate":     do("rotateWebhook", "Another secret; the former one signs too, for overlapHours.", "api.Webhook", "200", body("api.WebhookRotation", false)),
		"/webhooks/{id}/test":       do("testWebhook", "Send an event that happened nowhere.", "api.Any", "200"),
		"/webhooks/{id}/replay":     do("replayWebhook", "Send a range again: what is parked, or with all everything.", "api.Any", "202", body("api.WebhookRange", false)),
		"/webhooks/{id}/deliveries": object{"get": operation("listWebhookDeliveries", tag, "Its deliveries, newest first.", answers("api.List", "200", "400"), withParameters("id", "state", "event", "deliveriesLimit", "beforeSeq"))},
		"/webhooks/{id}/deliveries/{delivery}": object{
			"get": operation("getWebhookDelivery", tag, "A delivery and its attempts that failed.", answers("api.Any", "200"), withParameters("id", "delivery")),
		},
		"/webhooks/{id}/deliveries/{delivery}/replay": object{
			"post": operation("replayWebhookDelivery", tag, "Send it again.", answers("api.Any", "202", "409"), withParameters("id", "delivery")),
		},
	}
}

// forwarding is about events at their destinations.
func forwarding() object {
	const tag = "Forwarding"
	return object{
		"/events/{message}/trace": object{"get": operation("trace", tag, "Where one event went, when, and with what answer.", answers("api.Any", "200", "400"), withParameters("message"))},
		"/deliveries":             object{"get": operation("listDeliveries", tag, "Attempts at destinations, newest first.", answers("api.List", "200", "400"), withParameters("destination", "outcome", "messageId", "since", "until", "attemptsLimit"))},
		"/replays": object{
			"get":  operation("listReplays", tag, "Jobs that send past events again.", answers("api.List", "200")),
			"post": operation("startReplay", tag, "Start one.", answers("api.Any", "202", "400", "409", "413"), body("api.Replay", true)),
		},
		"/replays/{job}":        object{"get": operation("getReplay", tag, "How far it is.", answers("api.Any", "200"), withParameters("job"))},
		"/replays/{job}/stop":   object{"post": operation("stopReplay", tag, "Stop it; resume goes on where it was.", answers("api.Any", "200", "409"), withParameters("job"))},
		"/replays/{job}/resume": object{"post": operation("resumeReplay", tag, "Go on.", answers("api.Any", "200", "409"), withParameters("job"))},
	}
}

// forgetting is the deletion of people.
func forgetting() object {
	const tag = "Forgetting"
	pending := func(op object) {
		r := op["responses"].(object) //nolint:forcetypeassert // made by answers
		r["202"] = object{"description": "It goes on; ask again at forget/{id}.", "headers": object{"Retry-After": ref("headers", "Retry-After")}, "content": content("api.Any")}
	}
	return object{
		"/forget": object{
			"post":   operation("forget", tag, "Delete everything about a person, everywhere; the answer is a signed receipt.", answers("api.Any", "200", "400", "413"), pending, body("api.Who", true)),
			"delete": operation("liftForget", tag, "Let the person's events in again.", answers("api.Any", "200", "400", "413"), body("api.Who", true)),
		},
		"/forget/verify":    object{"post": operation("verifyForget", tag, "Check a receipt and search again.", answers("api.Any", "200", "400", "413"), body("api.Who", true))},
		"/forget/{receipt}": object{"get": operation("forgetReceipt", tag, "A deletion's receipt.", answers("api.Any", "200"), pending, withParameters("receipt"))},
	}
}

// partSchemas are the schemas of the parts.
func partSchemas() object {
	str, n := object{"type": "string"}, object{"type": "integer"}
	list := object{"type": "array", "items": object{"type": "object"}}
	return object{
		"api.Any":  object{"type": "object"},
		"api.List": object{"type": "object", "required": []string{"results"}, "properties": object{"results": list, "total": n, "hasMore": object{"type": "boolean"}}},
		"api.RPC": object{"type": "object", "required": []string{"jsonrpc", "method"}, "properties": object{
			"jsonrpc": object{"const": "2.0"}, "id": object{"anyOf": []object{str, n}}, "method": str, "params": object{"type": "object"},
		}},
		"api.Webhook": object{"type": "object", "required": []string{"integration"}, "properties": object{
			"integration": schema("Integration"), "secret": str, "webhookSecret": str, "inboundUrl": str, "deliveries": object{"type": "object"},
		}},
		"api.WebhookInput": object{"type": "object", "description": "The arguments of Integration.connect.", "properties": object{
			"provider": object{"enum": []string{"webhook", "slack"}}, "name": str, "url": str, "events": object{"type": "array", "items": str}, "secret": str, "headers": object{"type": "object"}, "timeout": object{}, "inbound": object{"type": "object"},
		}},
		"api.WebhookRotation": object{"type": "object", "properties": object{"secret": str, "overlapHours": object{"type": "number", "minimum": 0}}},
		"api.WebhookRange":    object{"type": "object", "properties": object{"from": object{"type": "string", "format": "date-time"}, "to": object{"type": "string", "format": "date-time"}, "all": object{"type": "boolean"}}},
		"api.Replay": object{"type": "object", "required": []string{"destination"}, "properties": object{
			"destination": str, "from": object{"type": "string", "description": "lake, log or parked; chosen by since unless given."}, "since": str, "until": str, "filter": str, "perSecond": object{"type": "number", "minimum": 0}, "dryRun": object{"type": "boolean"},
		}},
		"api.Who": object{"type": "object", "required": []string{"userId"}, "properties": object{
			"userId": object{"type": "string", "minLength": 1}, "anonymousIds": object{"type": "array", "items": str}, "receipt": object{"type": "object"},
		}, "additionalProperties": false},
	}
}

// partParameters are the parameters of the parts.
func partParameters() object {
	str, word := object{"type": "string"}, object{"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$"}
	number := func(most int) object { return object{"type": "integer", "minimum": 1, "maximum": most} }
	return object{
		"queryID": parameter("id", "path", "The query's id.", word),
		"name":    parameter("name", "path", "Its name.", word), "hook": parameter("hook", "path", "Such as Integration.connecting.", word), "metricName": parameter("name", "path", "Such as mrr or churn_rate.", word),
		"handlerVerb": parameter("verb", "path", "The verb.", object{"enum": []string{"enable", "disable", "rollback", "update", "delete"}}),
		"delivery":    parameter("delivery", "path", "The delivery's event.", word), "message": parameter("message", "path", "The event's message id.", object{"type": "string", "format": "uuid"}),
		"job": parameter("job", "path", "The replay's id.", word), "receipt": parameter("receipt", "path", "The deletion's id.", word),
		"liveEvent": parameter("event", "query", "Only events of this name or pattern.", str), "liveType": parameter("type", "query", "Only events of this type or pattern.", str), "liveUser": parameter("user", "query", "Only this user id or anonymous id.", str),
		"state": parameter("state", "query", "Only deliveries in this state.", str), "event": parameter("event", "query", "Only deliveries of this event.", str), "deliveriesLimit": parameter("limit", "query", "How many; 25 unless given.", number(1000)),
		"beforeSeq": parameter("before", "query", "From the page before.", number(1<<31-1)), "destination": parameter("destination", "query", "Only this destination.", str), "outcome": parameter("outcome", "query", "Only this outcome.", str),
		"messageId": parameter("messageId", "query", "Only this event.", object{"type": "string", "format": "uuid"}), "since": parameter("since", "query", "A time, a date, or a span before now such as 36h.", str), "until": parameter("until", "query", "Likewise.", str),
		"attemptsLimit": parameter("limit", "query", "How many; 100 unless given.", number(10_000)),
	}
}
