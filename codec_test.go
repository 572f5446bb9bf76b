package headlessly_test

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/headlessly/headlessly"
)

// filled sets every field of a struct to a value of its own, so that a field
// that the codec forgets shows.
func filled(t testing.TB, r *rand.Rand, v any) {
	t.Helper()
	s := reflect.ValueOf(v).Elem()
	for i := range s.NumField() {
		f, name := s.Field(i), s.Type().Field(i).Name
		switch f.Interface().(type) {
		case string:
			f.SetString(name + strings.Repeat("é", r.IntN(200)))
		case int64:
			f.SetInt(r.Int64() - r.Int64())
		case float64:
			f.SetFloat(r.NormFloat64())
		case bool:
			f.SetBool(true)
		case []byte:
			f.SetBytes([]byte{0, 255, byte(i)})
		default:
			t.Fatalf("field %s has type %s: teach the test", name, f.Type())
		}
	}
}

func TestEventSurvivesTheBinaryForm(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var want, got headlessly.Event
		filled(t, r, &want)
		b, err := want.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		got.LogSeq = want.LogSeq // not part of the form
		if err := got.UnmarshalBinary(b); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
		if err := got.UnmarshalShared(b); err != nil || got != want {
			t.Fatalf("shared: got %+v, %v\nwant %+v", got, err, want)
		}
	}
}

func TestRejectedSurvivesTheBinaryForm(t *testing.T) {
	var want, got headlessly.Rejected
	filled(t, rand.New(rand.NewPCG(1, 2)), &want)
	b, err := want.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	got.LogSeq = want.LogSeq
	if err := got.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v\nwant %+v", got, want)
	}
}

func TestReceiptSurvivesTheBinaryForm(t *testing.T) {
	var want, got headlessly.Receipt
	filled(t, rand.New(rand.NewPCG(1, 2)), &want)
	want.Headers = "x-github-event: push\nx-hub-signature-256: sha256=00\n"
	b, err := want.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	got.LogSeq = want.LogSeq
	if err := got.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) || got.Header("X-GitHub-Event") != "push" || got.Header("x-none") != "" {
		t.Fatalf("got %+v\nwant %+v", got, want)
	}
}

func TestProjectedRecordsSurviveTheBinaryForm(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	type record interface {
		AppendBinary([]byte) ([]byte, error)
		UnmarshalBinary([]byte) error
	}
	for range 20 {
		for _, c := range []struct{ want, got record }{
			{new(headlessly.Delivery), new(headlessly.Delivery)},
			{new(headlessly.EntityEvent), new(headlessly.EntityEvent)},
			{new(headlessly.MetricSnapshot), new(headlessly.MetricSnapshot)},
		} {
			filled(t, r, c.want)
			b, err := c.want.AppendBinary(nil)
			if err != nil {
				t.Fatal(err)
			}
			seq := reflect.ValueOf(c.got).Elem().FieldByName("LogSeq") // not part of the form
			seq.Set(reflect.ValueOf(c.want).Elem().FieldByName("LogSeq"))
			if err := c.got.UnmarshalBinary(b); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(c.got, c.want) {
				t.Fatalf("got %+v\nwant %+v", c.got, c.want)
			}
			if err := c.got.UnmarshalBinary(b[:len(b)-1]); err == nil {
				t.Errorf("%T: a form that is cut short is read without an error", c.want)
			}
		}
	}
}

func TestAFieldOfANewerVersionIsSkipped(t *testing.T) {
	b, err := (&headlessly.Event{Tenant: "acme"}).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, 0xfa, 0x7f, 2, 'h', 'i') // field 2047, two bytes
	var got headlessly.Event
	if err := got.UnmarshalBinary(b); err != nil || got.Tenant != "acme" {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestTheTenantIsReadWithoutTheRest(t *testing.T) {
	full, err := (&headlessly.Event{MessageID: "m", Tenant: "acme", Type: "page", Timestamp: 5}).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	without, err := (&headlessly.Event{MessageID: "m", Type: "page"}).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{"there": {full, "acme"}, "absent": {without, ""}, "empty": {nil, ""}, "cut inside the tenant": {full[:6], ""}, "no record": {[]byte{0xff, 0xff}, ""}} {
		if got := headlessly.EventTenant(c.data); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func FuzzEventUnmarshal(f *testing.F) {
	var e headlessly.Event
	filled(f, rand.New(rand.NewPCG(3, 4)), &e)
	b, _ := e.MarshalBinary()
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		var first, second headlessly.Event
		if first.UnmarshalBinary(data) != nil {
			return
		}
		again, err := first.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if err := second.UnmarshalBinary(again); err != nil {
			t.Fatalf("own output not readable: %v", err)
		}
		if second.VitalValue != second.VitalValue { // NaN equals nothing
			first.VitalValue, second.VitalValue = 0, 0
		}
		if first != second {
			t.Fatalf("got %+v\nwant %+v", second, first)
		}
	})
}

func BenchmarkEventBinary(b *testing.B) {
	var e headlessly.Event
	e.Tenant, e.Type, e.Event, e.URL = "acme", "track", "Order Completed", "https://shop.example/cart?x=1"
	e.Properties, e.UserAgent = `{"total":12.5,"items":[1,2,3]}`, "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"
	e.Timestamp, e.ReceivedAt = 1700000000000000, 1700000000000001
	var buf []byte
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf, _ = e.AppendBinary(buf[:0])
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		var got headlessly.Event
		for b.Loop() {
			_ = got.UnmarshalBinary(buf)
		}
	})
}

func TestEventIDReadsTheFirstTwoFields(t *testing.T) {
	b, err := (&headlessly.Event{MessageID: "m-1", Tenant: "acme", Event: "x", Timestamp: 5}).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if tenant, id, err := headlessly.EventID(b); tenant != "acme" || id != "m-1" || err != nil {
		t.Errorf("got %q, %q, %v", tenant, id, err)
	}
	if _, _, err := headlessly.EventID(b[:len(b)-1]); err == nil {
		t.Error("a truncated record is read without an error")
	}
}

func TestAnEventsKeyIsReadAsTheEventIs(t *testing.T) {
	e := headlessly.Event{
		MessageID: "01900000-0000-7000-8000-000000000001", Tenant: "acme", Type: "track", Event: strings.Repeat("Order Completed ", 20), UserID: "user-1",
		Timestamp: 1_760_000_000_000_000, OriginalTS: 5, SentAt: 6, ReceivedAt: 1_760_000_000_000_100, URL: "https://shop.example/", ASN: -1, IsBot: true, VitalValue: 1.5,
	}
	data, err := e.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	var k headlessly.EventKey
	if err := k.UnmarshalShared(data); err != nil {
		t.Fatal(err)
	}
	want := headlessly.EventKey{MessageID: e.MessageID, Tenant: e.Tenant, Event: e.Event, Timestamp: e.Timestamp, ReceivedAt: e.ReceivedAt}
	if k != want {
		t.Errorf("got %+v, want %+v", k, want)
	}
	for n := 1; n < len(data); n++ {
		var whole headlessly.Event
		broken, key := whole.UnmarshalShared(data[:n]), k.UnmarshalShared(data[:n])
		if (broken == nil) != (key == nil) {
			t.Errorf("of the first %d bytes the event says %v and the key %v", n, broken, key)
		}
	}
}
