package lakehouse

import (
	"errors"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/extensions"

	"github.com/headlessly/headlessly"
)

// errStopped says that the receiver wants no more.
var errStopped = errors.New("stopped")

// eventFields are the fields of an event that its columns fill: pointers to
// string, int64, float64 or bool. It is [eventColumns] the other way round.
func eventFields(e *headlessly.Event) map[string]any {
	return map[string]any{
		"message_id": &e.MessageID, "tenant": &e.Tenant, "type": &e.Type, "event": &e.Event, "source": &e.Source,
		"anonymous_id": &e.AnonymousID, "user_id": &e.UserID, "session_id": &e.SessionID, "group_id": &e.GroupID, "previous_id": &e.PreviousID,
		"timestamp": &e.Timestamp, "original_ts": &e.OriginalTS, "sent_at": &e.SentAt, "received_at": &e.ReceivedAt,
		"url": &e.URL, "host": &e.Host, "path": &e.Path, "query": &e.Query, "title": &e.Title,
		"referrer": &e.Referrer, "referrer_host": &e.ReferrerHost, "channel": &e.Channel,
		"utm_source": &e.UTMSource, "utm_medium": &e.UTMMedium, "utm_campaign": &e.UTMCampaign, "utm_term": &e.UTMTerm, "utm_content": &e.UTMContent,
		"click_id": &e.ClickID, "click_id_kind": &e.ClickIDKind,
		"ip": &e.IP, "country": &e.Country, "region": &e.Region, "city": &e.City, "asn": &e.ASN,
		"browser": &e.Browser, "browser_version": &e.BrowserVersion, "os": &e.OS, "os_version": &e.OSVersion, "device": &e.Device,
		"screen_width": &e.ScreenWidth, "screen_height": &e.ScreenHeight, "viewport_width": &e.ViewportWidth, "viewport_height": &e.ViewportHeight,
		"language": &e.Language, "timezone": &e.Timezone, "user_agent": &e.UserAgent, "is_bot": &e.IsBot, "consent": &e.Consent,
		"level": &e.Level, "error_type": &e.ErrorType, "error_message": &e.ErrorMessage, "error_stack": &e.ErrorStack,
		"fingerprint": &e.Fingerprint, "release": &e.Release, "environment": &e.Environment,
		"vital_name": &e.VitalName, "vital_value": &e.VitalValue, "vital_rating": &e.VitalRating,
		"revenue": &e.RevenueE4, "currency": &e.Currency, "properties": &e.Properties, "traits": &e.Traits, "context": &e.Context,
		"library": &e.Library, "library_version": &e.LibraryVersion, "log_seq": &e.LogSeq,
	}
}

// eventSetters makes one function for each column of a record batch, which
// sets e's field to the value in a row. e must be empty before a row is set.
func eventSetters(rec arrow.RecordBatch, e *headlessly.Event) ([]func(row int), error) {
	targets := eventFields(e)
	var out []func(int)
	for i, f := range rec.Schema().Fields() {
		target := targets[f.Name]
		if target == nil {
			continue // a promoted property, or a column of a newer version
		}
		set := setter(rec.Column(i), target)
		if set == nil {
			return nil, fmt.Errorf("column %s has type %s", f.Name, f.Type)
		}
		if f.Name == "revenue" {
			plain := set
			set = func(row int) { plain(row); e.HasRevenue = true }
		}
		col := rec.Column(i)
		out = append(out, func(row int) {
			if !col.IsNull(row) {
				set(row)
			}
		})
	}
	return out, nil
}

// setter copies a column's values into a field, nil where their types do not
// go together.
func setter(col arrow.Array, target any) func(row int) {
	switch to := target.(type) {
	case *string:
		switch a := col.(type) {
		case *extensions.UUIDArray:
			return func(row int) { *to = a.Value(row).String() }
		case array.StringLike:
			return func(row int) { *to = strings.Clone(a.Value(row)) } // the batch is released
		}
	case *int64:
		switch a := col.(type) {
		case *array.Int64:
			return func(row int) { *to = a.Value(row) }
		case *array.Int32:
			return func(row int) { *to = int64(a.Value(row)) }
		case *array.Timestamp:
			return func(row int) { *to = int64(a.Value(row)) }
		case *array.Decimal128:
			return func(row int) { *to = int64(a.Value(row).LowBits()) } //nolint:gosec // below revenueLimit
		}
	case *float64:
		if a, ok := col.(*array.Float64); ok {
			return func(row int) { *to = a.Value(row) }
		}
	case *bool:
		if a, ok := col.(*array.Boolean); ok {
			return func(row int) { *to = a.Value(row) }
		}
	}
	return nil
}
