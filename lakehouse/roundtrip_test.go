package lakehouse_test

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/lakehouse"
	"github.com/headlessly/headlessly/lakehouse/internal/laketest"
)

// columnOf names the column of an Event's field where it is not the field's
// name in snake case.
var columnOf = map[string]string{
	"OriginalTS": "original_ts", "RevenueE4": "revenue", "HasRevenue": "", "LogSeq": "log_seq", "ASN": "asn", "IP": "ip", "OS": "os", "URL": "url",
	"UTMSource": "utm_source", "UTMMedium": "utm_medium", "UTMCampaign": "utm_campaign", "UTMTerm": "utm_term", "UTMContent": "utm_content",
	"OSVersion": "os_version", "MessageID": "message_id", "AnonymousID": "anonymous_id", "UserID": "user_id", "SessionID": "session_id",
	"GroupID": "group_id", "PreviousID": "previous_id", "ClickID": "click_id", "ClickIDKind": "click_id_kind",
}

func snake(s string) string {
	var b strings.Builder
	for i, r := range s {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}

// write commits one frame of events and gives a way to read its rows.
func write(t testing.TB, events ...headlessly.Event) func(column string, row int) string {
	t.Helper()
	log, lake := laketest.NewLog(), openLake(t, t.TempDir())
	var records []headlessly.Record
	for _, e := range events {
		records = append(records, laketest.Record(e))
	}
	log.Append(records...)
	w, stop := startWriter(t, lake, log)
	flush(t, w)
	stop()
	if s := w.Stats(); s.Rows != int64(len(events)) || s.Corrupt != 0 {
		t.Fatalf("got stats %+v", s)
	}
	data := scan(t, lake, lakehouse.TableEvents)
	return func(name string, row int) string {
		col := column(t, data, name)
		if col.IsNull(row) {
			return "NULL"
		}
		return col.ValueStr(row)
	}
}

func TestEveryFieldOfAnEventHasItsColumn(t *testing.T) {
	var e headlessly.Event
	want := map[string]string{}
	v := reflect.ValueOf(&e).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i).Name
		col, ok := columnOf[field]
		if !ok {
			col = snake(field)
		}
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString(fmt.Sprintf("%s-%d é 日", field, i))
			want[col] = f.String()
		case reflect.Int64:
			f.SetInt(int64(1000 + i))
			want[col] = fmt.Sprint(1000 + i)
		case reflect.Float64:
			f.SetFloat(0.5 + float64(i))
			want[col] = fmt.Sprint(0.5 + float64(i))
		case reflect.Bool:
			f.SetBool(true)
			want[col] = "true"
		default:
			t.Fatalf("field %s is a %s: teach the test", field, f.Kind())
		}
	}
	delete(want, "")
	e.MessageID, want["message_id"] = "0190f0c4-7b1e-7abc-8def-0123456789ab", "0190f0c4-7b1e-7abc-8def-0123456789ab"
	e.Tenant, want["tenant"] = "acme", "acme"
	e.RevenueE4, want["revenue"] = -123456789, "-12345.6789"
	want["log_seq"] = fmt.Sprint(headlessly.LogSeq(1, 0))
	for i, col := range []string{"timestamp", "original_ts", "sent_at", "received_at"} {
		*[]*int64{&e.Timestamp, &e.OriginalTS, &e.SentAt, &e.ReceivedAt}[i] = laketest.Noon + int64(i)
		want[col] = fmt.Sprintf("2025-10-09T12:00:00.%06dZ", i)
	}
	got := write(t, e)
	for col, value := range want {
		text := got(col, 0)
		if strings.HasPrefix(value, "2025-") { // Arrow prints the zone's name and drops zeros
			text = strings.Replace(strings.TrimSuffix(text, "Z"), " ", "T", 1)
			value = strings.TrimSuffix(value, "Z")
			value = strings.TrimSuffix(value, ".000000")
		}
		if text != value {
			t.Errorf("%s: got %q, want %q", col, text, value)
		}
	}
	if n := len(want); n != 66 {
		t.Errorf("compared %d columns, want 66", n)
	}
}

func TestWhatIsNotKnownIsNull(t *testing.T) {
	got := write(t, headlessly.Event{Tenant: "acme", Type: "track", ReceivedAt: laketest.Noon})
	for _, col := range []string{"event", "user_id", "sent_at", "asn", "screen_width", "vital_value", "revenue", "properties", "context", "original_ts"} {
		if v := got(col, 0); v != "NULL" {
			t.Errorf("%s: got %q, want null", col, v)
		}
	}
	if v := got("is_bot", 0); v != "false" {
		t.Errorf("is_bot: got %q, want false", v)
	}
	if v := got("timestamp", 0); !strings.HasPrefix(v, "2025-10-09") {
		t.Errorf("timestamp: got %q, want the time of receipt", v)
	}
}

func TestExtremeValuesNeverStopTheWriter(t *testing.T) {
	base := laketest.Event("acme", 1)
	events := make([]headlessly.Event, 6)
	for i := range events {
		events[i] = base
		events[i].MessageID = laketest.Event("acme", 100+i).MessageID
		events[i].Timestamp = laketest.Noon + int64(i) // keeps the order
		events[i].Type, events[i].Event = "track", "same"
	}
	events[0].HasRevenue, events[0].RevenueE4, events[0].ScreenWidth = true, math.MaxInt64, math.MaxInt64
	events[1].HasRevenue, events[1].RevenueE4 = true, -999_999_999_999_999_999
	events[2].SentAt, events[2].OriginalTS = math.MinInt64, math.MaxInt64
	events[3].Title, events[3].Properties = "bad \xff utf-8 \x00", strings.Repeat("x", 100_000)
	events[4].MessageID, events[4].VitalName, events[4].VitalValue = "not a uuid", "CLS", math.NaN()
	events[5].MessageID, events[5].VitalName, events[5].VitalValue = "", "CLS", math.Inf(-1)
	got := write(t, events...)
	for _, c := range []struct {
		row       int
		col, want string
	}{
		{0, "revenue", "NULL"},
		{0, "screen_width", "NULL"},
		{1, "revenue", "-99999999999999.9999"},
		{2, "sent_at", "NULL"},
		{2, "original_ts", "NULL"},
		{3, "title", "bad � utf-8 \x00"},
		{4, "vital_value", "NaN"},
		{5, "vital_value", "-Inf"},
	} {
		if v := got(c.col, c.row); v != c.want {
			t.Errorf("row %d %s: got %q, want %q", c.row, c.col, v, c.want)
		}
	}
}

func TestARejectedInputKeepsItsBytes(t *testing.T) {
	log, lake := laketest.NewLog(), openLake(t, t.TempDir())
	log.Append(
		laketest.RejectedRecord(headlessly.Rejected{
			Tenant: "acme", ReceivedAt: laketest.Noon, Reason: "invalid_json", Field: "events[3]", Message: "not JSON", Path: "/e",
			ContentType: "text/plain", IP: "203.0.113.0", Raw: []byte{0, 0xff, '{'}, Truncated: true,
		}),
		laketest.RejectedRecord(headlessly.Rejected{Reason: "unknown_tenant", ReceivedAt: laketest.Noon + 1}),
	)
	w, stop := startWriter(t, lake, log)
	flush(t, w)
	stop()
	data := scan(t, lake, lakehouse.TableRejected)
	want := map[string][2]string{
		"tenant": {"acme", ""}, "reason": {"invalid_json", "unknown_tenant"}, "field": {"events[3]", "(null)"}, "message": {"not JSON", "(null)"},
		"path": {"/e", "(null)"}, "content_type": {"text/plain", "(null)"}, "ip": {"203.0.113.0", "(null)"}, "raw": {"AP97", "(null)"},
		"truncated": {"true", "false"}, "log_seq": {"65536", "65537"},
	}
	first := 0
	if column(t, data, "reason").ValueStr(0) != "invalid_json" {
		first = 1
	}
	for col, values := range want {
		a := column(t, data, col)
		if got := [2]string{a.ValueStr(first), a.ValueStr(1 - first)}; got != values {
			t.Errorf("%s: got %q, want %q", col, got, values)
		}
	}
}
