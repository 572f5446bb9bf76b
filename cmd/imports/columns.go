package imports

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// leaveOut is the field of a column that is not wanted.
const leaveOut = "-"

// eventFields are the fields of an event that a column or value may become.
func eventFields() []string {
	return []string{
		"messageId", "type", "event", "userId", "anonymousId", "sessionId", "groupId", "previousId", "timestamp", "url", "path", "referrer", "title",
		"userAgent", "level", "message", "release", "environment", "source", "fingerprint",
	}
}

// bags are the objects of an event that take any name.
func bags() []string { return []string{"properties", "traits", "context"} }

func checkField(field string) error {
	head, rest, dotted := strings.Cut(field, ".")
	if slices.Contains(bags(), head) && (!dotted || rest != "" && !strings.HasPrefix(rest, ".") && !strings.HasSuffix(rest, ".")) {
		return nil
	}
	if slices.Contains(eventFields(), field) {
		return nil
	}
	return fmt.Errorf("%q is no field: known are %s, and properties.x, traits.x, context.x", field, strings.Join(eventFields(), ", "))
}

// knownColumns are the names that are understood without a mapping, among them
// those of the events table.
func knownColumns() map[string]string {
	return map[string]string{
		"message_id": "messageId", "messageid": "messageId", "event_id": "messageId", "uuid": "messageId",
		"type": "type", "event_type": "type", "event": "event", "event_name": "event",
		"user_id": "userId", "userid": "userId", "anonymous_id": "anonymousId", "anonymousid": "anonymousId", "distinct_id": "anonymousId",
		"session_id": "sessionId", "sessionid": "sessionId", "group_id": "groupId", "groupid": "groupId", "previous_id": "previousId",
		"timestamp": "timestamp", "ts": "timestamp", "time": "timestamp", "event_time": "timestamp", "event_timestamp": "timestamp", "occurred_at": "timestamp",
		"url": "url", "page_url": "url", "path": "path", "referrer": "referrer", "title": "title", "user_agent": "userAgent", "useragent": "userAgent",
		"level": "level", "release": "release", "environment": "environment", "source": "source", "fingerprint": "fingerprint",
		"ip": "context.ip", "country": "context.location.country", "region": "context.location.region", "city": "context.location.city",
		"utm_source": "context.campaign.source", "utm_medium": "context.campaign.medium", "utm_campaign": "context.campaign.name",
		"utm_term": "context.campaign.term", "utm_content": "context.campaign.content",
		"screen_width": "context.screen.width", "screen_height": "context.screen.height",
		"viewport_width": "context.viewport.width", "viewport_height": "context.viewport.height",
		"language": "context.locale", "timezone": "context.timezone", "consent": "context.consent",
		"library": "context.library.name", "library_version": "context.library.version",
		"properties": "properties", "traits": "traits", "context": "context",
	}
}

// derivedColumns are columns of the events table that follow from others, or
// are the gateway's own.
func derivedColumns() []string {
	return []string{
		"tenant", "sent_at", "received_at", "original_ts", "log_seq", "host", "query", "referrer_host", "channel", "click_id", "click_id_kind", "asn",
		"browser", "browser_version", "os", "os_version", "device", "is_bot", "error_type", "error_message", "error_stack",
		"vital_name", "vital_value", "vital_rating", "revenue", "currency",
	}
}

// ownTable says whether a row is one of the events table.
func ownTable(fields map[string]any) bool {
	return fields["message_id"] != nil && fields["log_seq"] != nil
}

// columns turns rows of named values into events.
type columns struct {
	mapped map[string]string
	known  map[string]string
	texts  bool // values are texts that may mean numbers
}

func newColumns(mapping []string, texts bool) *columns {
	c := &columns{mapped: map[string]string{}, known: knownColumns(), texts: texts}
	for _, m := range mapping {
		column, field, _ := strings.Cut(m, "=")
		c.mapped[column] = field
	}
	return c
}

// field is what a column becomes.
func (c *columns) field(column string) string {
	if f, ok := c.mapped[column]; ok {
		return f
	}
	if f, ok := c.known[strings.ToLower(column)]; ok {
		return f
	}
	if checkField(column) == nil {
		return column
	}
	return "properties." + column
}

func (c *columns) convert(fields map[string]any) (Event, *Fault) {
	e := Event{}
	own := ownTable(fields)
	if own {
		c.ownColumns(e, fields)
	}
	names := make([]string, 0, len(fields))
	for column := range fields {
		names = append(names, column)
	}
	slices.Sort(names) // whole bags come before what goes into them
	for _, whole := range []bool{true, false} {
		for _, column := range names {
			field := c.field(column)
			if field == leaveOut || own && c.mapped[column] == "" && slices.Contains(derivedColumns(), column) || slices.Contains(bags(), field) != whole {
				continue
			}
			if fault := (assignment{field: field, texts: c.texts}).assign(e, fields[column]); fault != nil {
				fault.Field = column
				return nil, fault
			}
		}
	}
	return e, nil
}

// ownColumns reads the columns of the events table that are one value in an
// event.
func (c *columns) ownColumns(e Event, fields map[string]any) {
	if stack := word(fields["error_stack"]); stack != "" {
		if v, err := value([]byte(stack)); err == nil {
			e["exception"] = v
		}
	} else if t := word(fields["error_type"]); t != "" {
		put(e, t, "exception", "type")
		put(e, word(fields["error_message"]), "exception", "value")
	} else {
		put(e, word(fields["error_message"]), "message")
	}
}

// assignment gives an event's field a value.
type assignment struct {
	field string
	value any
	texts bool
}

func assignments(set []string) []assignment {
	out := make([]assignment, 0, len(set))
	for _, s := range set {
		field, value, _ := strings.Cut(s, "=")
		out = append(out, assignment{field: field, value: value, texts: true})
	}
	return out
}

func (a assignment) assign(e Event, v any) *Fault {
	path := strings.SplitN(a.field, ".", 2)
	switch {
	case len(path) == 2 && path[0] == "context":
		path = strings.Split(a.field, ".")
	case len(path) == 2:
	case slices.Contains(bags(), a.field):
		m := inner(v)
		if m == nil {
			return faultf("wrong_type", a.field, "must hold a JSON object")
		}
		for k, v := range m {
			put(e, v, a.field, k)
		}
		return nil
	default:
		s := word(v)
		if s == "" && v != "" && v != nil {
			return faultf("wrong_type", a.field, "must be a single value")
		}
		put(e, s, a.field)
		return nil
	}
	if s, ok := v.(string); ok && a.texts {
		v = guess(s)
	}
	put(e, v, path...)
	return nil
}

// guess is the number or truth value that a text is, else the text. What would
// not be written the same way again stays a text: 007, 1e5, 12345678901234567890.
func guess(s string) any {
	switch {
	case s == "true" || s == "false":
		return s == "true"
	case len(s) > 15 || s == "" || !json.Valid([]byte(s)) || strings.ContainsAny(s, "eE{}[]\" \t\r\n") || s == "null":
		return s
	}
	return json.Number(s)
}
