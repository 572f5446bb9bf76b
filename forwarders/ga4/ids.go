package ga4

import (
	"strconv"
	"strings"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders/payload"
)

// ids are what Google tells visitors and sessions by.
type ids struct {
	client  string // random.seconds
	session string // seconds
	number  string // which session of the visitor it is, "" for unknown
}

// identify takes gtag's own ids where the page had them, so that both count
// the same visitor, and else derives them from ours in the same form.
func identify(e *headlessly.Event, parser *payload.Parser) ids {
	var out ids
	if strings.Contains(e.Context, `"ga"`) {
		ga := payload.Of(parser.Props(e.Context).Get("ga"))
		out = ids{client: ClientID(ga.Text("clientId")), session: ga.Text("sessionId"), number: ga.Text("sessionNumber")}
	}
	if s, n, ok := SessionCookie(out.session); ok {
		out.session, out.number = s, n
	}
	if !digits(out.session) {
		out.session = ""
	}
	if !digits(out.number) {
		out.number = ""
	}
	if out.client == "" {
		who := e.AnonymousID
		if who == "" {
			who = payload.Visitor(e)
		}
		if out.client = ClientID(who); out.client == "" {
			out.client = payload.Numbers(who)
		}
	}
	if out.session == "" && e.SessionID != "" {
		switch s, ok := payload.Seconds(e.SessionID); {
		case ok:
			out.session = strconv.FormatInt(s, 10)
		case digits(e.SessionID):
			out.session = e.SessionID
		default:
			_, out.session, _ = strings.Cut(payload.Numbers(e.SessionID), ".")
		}
	}
	return out
}

// ClientID reads a client id from a _ga cookie ("GA1.1.123.456") or from the
// id alone ("123.456"); "" for anything else.
func ClientID(text string) string {
	parts := strings.Split(text, ".")
	if len(parts) >= 4 && strings.HasPrefix(parts[0], "GA") {
		parts = parts[len(parts)-2:]
	}
	if len(parts) != 2 || !digits(parts[0]) || !digits(parts[1]) {
		return ""
	}
	return parts[0] + "." + parts[1]
}

// SessionCookie reads session id and number from a _ga_<container> cookie, in
// its old form (GS1, by position) and its new one (GS2, by letter).
func SessionCookie(text string) (session, number string, ok bool) {
	parts := strings.SplitN(text, ".", 3)
	if len(parts) != 3 {
		return "", "", false
	}
	switch parts[0] {
	case "GS1":
		f := strings.Split(parts[2], ".")
		if len(f) < 2 || !digits(f[0]) || !digits(f[1]) {
			return "", "", false
		}
		return f[0], f[1], true
	case "GS2":
		for f := range strings.SplitSeq(parts[2], "$") {
			if f == "" || !digits(f[1:]) {
				continue
			}
			switch f[0] {
			case 's':
				session = f[1:]
			case 'o':
				number = f[1:]
			}
		}
		return session, number, session != ""
	}
	return "", "", false
}

func digits(s string) bool {
	return s != "" && len(s) <= 20 && strings.Trim(s, "0123456789") == ""
}

// engagement is how long the visitor was there for this event, in
// milliseconds; at least one, or Google leaves the event out of Realtime.
func engagement(props payload.Props) int {
	if f, ok := props.Number("engagement_time_msec", "engagedMs"); ok && f >= 1 && f < 1e9 {
		return int(f)
	}
	return 1
}
