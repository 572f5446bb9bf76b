package headlessly

// Field numbers of event.proto. They are the log's format: append, never reuse
// or renumber.
const (
	maxEventField   = 64 // one above the last string or integer field
	fieldIsBot      = 100
	fieldHasRevenue = 101
	fieldVitalValue = 102
)

// stringField gives the string with this field number, or nil.
func (e *Event) stringField(num int) *string {
	switch num {
	case 1:
		return &e.MessageID
	case 2:
		return &e.Tenant
	case 3:
		return &e.Type
	case 4:
		return &e.Event
	case 5:
		return &e.Source
	case 6:
		return &e.AnonymousID
	case 7:
		return &e.UserID
	case 8:
		return &e.SessionID
	case 9:
		return &e.GroupID
	case 10:
		return &e.PreviousID
	case 15:
		return &e.URL
	case 16:
		return &e.Host
	case 17:
		return &e.Path
	case 18:
		return &e.Query
	case 19:
		return &e.Title
	case 20:
		return &e.Referrer
	case 21:
		return &e.ReferrerHost
	case 22:
		return &e.Channel
	case 23:
		return &e.UTMSource
	case 24:
		return &e.UTMMedium
	case 25:
		return &e.UTMCampaign
	case 26:
		return &e.UTMTerm
	case 27:
		return &e.UTMContent
	case 28:
		return &e.ClickID
	case 29:
		return &e.ClickIDKind
	case 30:
		return &e.IP
	case 31:
		return &e.Country
	case 32:
		return &e.Region
	case 33:
		return &e.City
	case 35:
		return &e.Browser
	case 36:
		return &e.BrowserVersion
	case 37:
		return &e.OS
	case 38:
		return &e.OSVersion
	case 39:
		return &e.Device
	case 44:
		return &e.Language
	case 45:
		return &e.Timezone
	case 46:
		return &e.UserAgent
	case 47:
		return &e.Consent
	case 48:
		return &e.Level
	case 49:
		return &e.ErrorType
	case 50:
		return &e.ErrorMessage
	case 51:
		return &e.ErrorStack
	case 52:
		return &e.Fingerprint
	case 53:
		return &e.Release
	case 54:
		return &e.Environment
	case 55:
		return &e.VitalName
	case 56:
		return &e.VitalRating
	case 58:
		return &e.Currency
	case 59:
		return &e.Properties
	case 60:
		return &e.Traits
	case 61:
		return &e.Context
	case 62:
		return &e.Library
	case 63:
		return &e.LibraryVersion
	}
	return nil
}

// intField gives the integer with this field number, or nil.
func (e *Event) intField(num int) *int64 {
	switch num {
	case 11:
		return &e.Timestamp
	case 12:
		return &e.OriginalTS
	case 13:
		return &e.SentAt
	case 14:
		return &e.ReceivedAt
	case 34:
		return &e.ASN
	case 40:
		return &e.ScreenWidth
	case 41:
		return &e.ScreenHeight
	case 42:
		return &e.ViewportWidth
	case 43:
		return &e.ViewportHeight
	case 57:
		return &e.RevenueE4
	}
	return nil
}
