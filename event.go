package headlessly

import "time"

// Event types that the gateway gives a meaning to. Any other type is stored as
// given. See the "Ingest" section of the events specification.
const (
	TypeTrack    = "track"
	TypePage     = "page"
	TypePageLeft = "pageleave"
	TypeScreen   = "screen"
	TypeIdentify = "identify"
	TypeGroup    = "group"
	TypeAlias    = "alias"
	TypeError    = "error"
	TypeMessage  = "message"
	TypeVital    = "vital"
	TypeClick    = "click"
	TypeForm     = "form"
	TypeSession  = "session"
)

// Sources of an event.
const (
	SourceBrowser = "Browser"
	SourceNode    = "Node"
	SourceAPI     = "API"
	SourceSnippet = "Snippet"
)

// Event is one fact after validation and enrichment: what the log stores, the
// forwarders map and the lakehouse writes. Empty strings, zero times and nil
// pointers mean "not known" and become null columns.
//
// Times are microseconds since the Unix epoch, UTC; zero means not known.
type Event struct {
	// MessageID is the deduplication key, in the 36-character UUID form. A
	// client id that is not a UUID is turned into a UUIDv5; the original stays
	// in Context under "messageId".
	MessageID string
	Tenant    string
	Type      string // one of the Type constants or the client's own
	Event     string // the event's name: "Order Completed", "$pageview" is never stored
	Source    string // one of the Source constants

	AnonymousID string
	UserID      string
	SessionID   string
	GroupID     string
	PreviousID  string // alias only: the id that is replaced

	Timestamp  int64 // µs: client clock corrected by SentAt
	OriginalTS int64 // µs: the client clock as sent
	SentAt     int64 // µs: the client clock when the batch was sent
	ReceivedAt int64 // µs: the gateway's clock

	URL          string
	Host         string
	Path         string
	Query        string
	Title        string
	Referrer     string
	ReferrerHost string
	Channel      string // "direct", "organic search", "paid search", …

	UTMSource   string
	UTMMedium   string
	UTMCampaign string
	UTMTerm     string
	UTMContent  string
	ClickID     string
	ClickIDKind string // "gclid", "fbclid", …

	IP      string // truncated (IPv4 /24, IPv6 /48) unless the tenant keeps it
	Country string // ISO 3166-1 alpha-2
	Region  string
	City    string
	ASN     int64

	Browser        string
	BrowserVersion string
	OS             string
	OSVersion      string
	Device         string // "desktop", "mobile", "tablet", "tv", "bot"
	ScreenWidth    int64  // CSS pixels
	ScreenHeight   int64
	ViewportWidth  int64
	ViewportHeight int64
	Language       string // BCP 47
	Timezone       string // IANA name
	UserAgent      string
	IsBot          bool

	// Consent is "" (not asked), "granted", "denied", or a list of categories
	// such as "analytics:granted,marketing:denied" in alphabetical order.
	Consent string

	Level        string // fatal, error, warning, info, debug
	ErrorType    string
	ErrorMessage string
	// ErrorStack is a JSON array of exceptions {type, value, stacktrace,
	// mechanism}: the thrown one first, then its causes. Frames are newest
	// first, as Error.stack prints them.
	ErrorStack  string
	Fingerprint string
	Release     string
	Environment string

	VitalName   string // LCP, INP, CLS, FCP, TTFB
	VitalValue  float64
	VitalRating string // good, needs-improvement, poor

	// RevenueE4 is the revenue in ten-thousandths of Currency's major unit
	// (decimal(18,4)); HasRevenue tells zero from absent.
	RevenueE4  int64
	HasRevenue bool
	Currency   string // ISO 4217

	Properties string // JSON object or ""
	Traits     string // JSON object or ""
	// Context is a JSON object or "": what has no column of its own. Known
	// keys: breadcrumbs (array), tags, extra, contexts, user (objects),
	// ga {clientId, sessionId, sessionNumber}, integrations, messageId.
	Context string

	Library        string
	LibraryVersion string

	// LogSeq is the event's place in the log, set by a reader ([LogSeq]); it
	// is not part of the binary form.
	LogSeq int64
}

// Time turns one of an Event's microsecond fields into a time in UTC.
func Time(us int64) time.Time { return time.UnixMicro(us).UTC() }
