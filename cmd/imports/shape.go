package imports

import "maps"

// shape turns a row of one program into a native event. It may keep and change
// the fields.
type shape func(fields map[string]any) (Event, *Fault)

// shapeOf gives the shape of a file's rows.
func shapeOf(o Options, format string) shape {
	switch o.From {
	case FromSegment:
		return segment
	case FromRudderStack:
		return rudderStack
	case FromSnowplow:
		return snowplow
	case FromPostHog:
		return postHog
	}
	columns := newColumns(o.Map, format == FormatCSV || format == FormatTSV)
	if format != FormatNDJSON || len(o.Map) > 0 {
		return columns.convert
	}
	return func(fields map[string]any) (Event, *Fault) {
		if ownTable(fields) {
			return columns.convert(fields)
		}
		return native(fields)
	}
}

// native is an event as the gateway takes it.
func native(fields map[string]any) (Event, *Fault) {
	e := Event(maps.Clone(fields))
	for _, alias := range []string{"uuid", "eventId", "event_id"} {
		if _, ok := e["messageId"]; !ok && e[alias] != nil {
			e["messageId"] = word(e[alias])
		}
	}
	return e, nil
}
