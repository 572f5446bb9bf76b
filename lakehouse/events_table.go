package lakehouse

import (
	"github.com/google/uuid"
	"github.com/headlessly/headlessly"
)

// eventRow is one row of the events table.
type eventRow struct {
	headlessly.Event
	id uuid.UUID

	promoted  []promotedValue
	conflicts []int64 // values so far that did not fit, by promotion
}

// counts implements counter.
func (r *eventRow) counts() []int64 { return r.conflicts }

func (r *eventRow) happened() int64 { return happened(r.Timestamp, r.ReceivedAt) }

// happened is when an event happened: when it was received, if its own time is
// not known or in no calendar.
func happened(timestamp, received int64) int64 {
	if timestamp == 0 || timestamp < minTime || timestamp > maxTime {
		return received
	}
	return timestamp
}

// eventColumns is the events table. Ids are never reused or renumbered: new
// columns go at the end with the next id. The order is the order of SELECT *.
func eventColumns() []column[eventRow] {
	return []column[eventRow]{
		identifier(1, "message_id", func(r *eventRow) uuid.UUID { return r.id }).must().distinct(),
		name(2, "tenant", func(r *eventRow) string { return r.Tenant }).bounded(),
		text(3, "type", func(r *eventRow) string { return r.Type }).bounded(),
		text(4, "event", func(r *eventRow) string { return r.Event.Event }).bounded(),
		text(5, "source", func(r *eventRow) string { return r.Source }),
		text(6, "anonymous_id", func(r *eventRow) string { return r.AnonymousID }).bounded(),
		text(7, "user_id", func(r *eventRow) string { return r.UserID }).bounded(),
		text(8, "session_id", func(r *eventRow) string { return r.SessionID }).bounded(),
		text(9, "group_id", func(r *eventRow) string { return r.GroupID }).bounded(),
		instant(10, "timestamp", (*eventRow).happened).must().distinct().bounded(),
		instant(11, "sent_at", func(r *eventRow) int64 { return r.SentAt }).distinct(),
		instant(12, "received_at", func(r *eventRow) int64 { return r.ReceivedAt }).must().distinct().bounded(),
		text(13, "url", func(r *eventRow) string { return r.URL }),
		text(14, "host", func(r *eventRow) string { return r.Host }).bounded(),
		text(15, "path", func(r *eventRow) string { return r.Path }).bounded(),
		text(16, "query", func(r *eventRow) string { return r.Query }),
		text(17, "title", func(r *eventRow) string { return r.Title }),
		text(18, "referrer", func(r *eventRow) string { return r.Referrer }),
		text(19, "referrer_host", func(r *eventRow) string { return r.ReferrerHost }),
		text(20, "channel", func(r *eventRow) string { return r.Channel }),
		text(21, "utm_source", func(r *eventRow) string { return r.UTMSource }),
		text(22, "utm_medium", func(r *eventRow) string { return r.UTMMedium }),
		text(23, "utm_campaign", func(r *eventRow) string { return r.UTMCampaign }),
		text(24, "utm_term", func(r *eventRow) string { return r.UTMTerm }),
		text(25, "utm_content", func(r *eventRow) string { return r.UTMContent }),
		text(26, "click_id", func(r *eventRow) string { return r.ClickID }),
		text(27, "click_id_kind", func(r *eventRow) string { return r.ClickIDKind }),
		text(28, "ip", func(r *eventRow) string { return r.IP }),
		text(29, "country", func(r *eventRow) string { return r.Country }).bounded(),
		text(30, "region", func(r *eventRow) string { return r.Region }),
		text(31, "city", func(r *eventRow) string { return r.City }),
		long(32, "asn", func(r *eventRow) (int64, bool) { return r.ASN, r.ASN != 0 }),
		text(33, "browser", func(r *eventRow) string { return r.Browser }),
		text(34, "browser_version", func(r *eventRow) string { return r.BrowserVersion }),
		text(35, "os", func(r *eventRow) string { return r.OS }),
		text(36, "os_version", func(r *eventRow) string { return r.OSVersion }),
		text(37, "device", func(r *eventRow) string { return r.Device }),
		pixels(38, "screen_width", func(r *eventRow) int64 { return r.ScreenWidth }),
		pixels(39, "screen_height", func(r *eventRow) int64 { return r.ScreenHeight }),
		pixels(40, "viewport_width", func(r *eventRow) int64 { return r.ViewportWidth }),
		pixels(41, "viewport_height", func(r *eventRow) int64 { return r.ViewportHeight }),
		text(42, "language", func(r *eventRow) string { return r.Language }),
		text(43, "timezone", func(r *eventRow) string { return r.Timezone }),
		text(44, "user_agent", func(r *eventRow) string { return r.UserAgent }),
		flag(45, "is_bot", func(r *eventRow) bool { return r.IsBot }),
		text(46, "consent", func(r *eventRow) string { return r.Consent }),
		text(47, "level", func(r *eventRow) string { return r.Level }).bounded(),
		text(48, "error_type", func(r *eventRow) string { return r.ErrorType }),
		text(49, "error_message", func(r *eventRow) string { return r.ErrorMessage }),
		text(50, "error_stack", func(r *eventRow) string { return r.ErrorStack }),
		text(51, "fingerprint", func(r *eventRow) string { return r.Fingerprint }).bounded(),
		text(52, "release", func(r *eventRow) string { return r.Release }),
		text(53, "environment", func(r *eventRow) string { return r.Environment }),
		text(54, "vital_name", func(r *eventRow) string { return r.VitalName }).bounded(),
		double(55, "vital_value", func(r *eventRow) (float64, bool) {
			return r.VitalValue, r.VitalName != "" || r.VitalValue != 0
		}).distinct(),
		text(56, "vital_rating", func(r *eventRow) string { return r.VitalRating }),
		money(57, "revenue", func(r *eventRow) (int64, bool) { return r.RevenueE4, r.HasRevenue }),
		text(58, "currency", func(r *eventRow) string { return r.Currency }),
		text(59, "properties", func(r *eventRow) string { return r.Properties }).distinct(),
		text(60, "traits", func(r *eventRow) string { return r.Traits }),
		text(61, "context", func(r *eventRow) string { return r.Context }).distinct(),
		text(62, "library", func(r *eventRow) string { return r.Library }),
		text(63, "library_version", func(r *eventRow) string { return r.LibraryVersion }),
		long(64, "log_seq", func(r *eventRow) (int64, bool) { return r.LogSeq, true }).must().distinct().bounded(),
		instant(65, "original_ts", func(r *eventRow) int64 { return r.OriginalTS }).distinct(),
		text(66, "previous_id", func(r *eventRow) string { return r.PreviousID }),
	}
}
