package ga4_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/forwardertest"
	"github.com/headlessly/headlessly/forwarders/ga4"
)

func measurement(base string) headlessly.Destinations {
	return headlessly.Destinations{GA: &headlessly.GADestination{MeasurementID: "G-TEST", APISecret: headlessly.NewSecret("s"), Endpoint: base}}
}

func browser(base string) headlessly.Destinations {
	return headlessly.Destinations{GA: &headlessly.GADestination{MeasurementID: "G-TEST", Endpoint: base}}
}

// rows are the mapping in both protocols: a path in the event of the
// Measurement Protocol (or behind "request/" in its request), and the
// parameters of /g/collect.
func rows() []struct {
	name     string
	kind     string
	change   func(*headlessly.Event)
	mp, page map[string]string
} {
	return []struct {
		name     string
		kind     string
		change   func(*headlessly.Event)
		mp, page map[string]string
	}{
		{"a page view", headlessly.TypePage, nil, map[string]string{
			"name": `"page_view"`, "params/page_location": `"https://shop.example/cart?utm_source=news"`, "params/page_title": `"Cart"`,
			"params/page_referrer": `"https://search.example/"`, "params/engagement_time_msec": "1", "params/session_id": `"1730616044"`,
		}, map[string]string{
			"en": "page_view", "dl": "https://shop.example/cart?utm_source=news", "dt": "Cart", "dr": "https://search.example/", "v": "2", "tid": "G-TEST",
			"sid": "1730616044", "ul": "de-de", "sr": "1920x1080", "_uip": "203.0.113.0",
		}},
		{"an event by its name, made fit", "Wish List: Opened!", nil, map[string]string{"name": `"Wish_List_Opened"`}, map[string]string{"en": "Wish_List_Opened"}},
		{
			"a name that begins with a digit", headlessly.TypeTrack, func(e *headlessly.Event) { e.Event, e.Properties = "3D view", "" },
			map[string]string{"name": `"n3D_view"`},
			map[string]string{"en": "n3D_view"},
		},
		{"an order", headlessly.TypeTrack, nil, map[string]string{
			"name": `"purchase"`, "params/transaction_id": `"o-1"`, "params/currency": `"EUR"`, "params/value": "42.5",
			"params/items": `[{"item_id":"p1","item_name":"Shirt","price":21.25,"quantity":2}]`,
		}, map[string]string{"en": "purchase", "ep.transaction_id": "o-1", "cu": "EUR", "epn.value": "42.5", "pr1": "idp1~nmShirt~pr21.25~qt2"}},
		{"one product viewed", headlessly.TypeTrack, func(e *headlessly.Event) {
			e.Event, e.Properties, e.HasRevenue, e.Currency = "Product Viewed", `{"sku":"p9","name":"Hat","price":"9.5","colour":"red","currency":"USD"}`, false, ""
		}, map[string]string{
			"name": `"view_item"`, "params/items/0/item_id": `"p9"`, "params/items/0/colour": `"red"`, "params/currency": `"USD"`,
		}, map[string]string{"en": "view_item", "cu": "USD"}},
		{"a search", headlessly.TypeTrack, func(e *headlessly.Event) {
			e.Event, e.Properties, e.HasRevenue = "Products Searched", `{"query":"hats"}`, false
		}, map[string]string{"name": `"search"`, "params/search_term": `"hats"`}, map[string]string{"en": "search", "ep.search_term": "hats"}},
		{
			"a sign-up", headlessly.TypeTrack, func(e *headlessly.Event) {
				e.Event, e.Properties, e.HasRevenue = "Signed Up", `{"method":"mail"}`, false
			},
			map[string]string{"name": `"sign_up"`, "params/method": `"mail"`},
			map[string]string{"en": "sign_up"},
		},
		{
			"leaving a page", headlessly.TypePageLeft, nil,
			map[string]string{"name": `"page_leave"`, "params/engagement_time_msec": "15000"},
			map[string]string{"en": "user_engagement", "_et": "15000", "seg": "1"},
		},
		{"a click", headlessly.TypeClick, nil, map[string]string{"name": `"element_click"`, "params/href": `"https://shop.example/buy"`}, map[string]string{"en": "click"}},
		{"a form", headlessly.TypeForm, nil, map[string]string{"name": `"form_submitted"`, "params/form_id": `"checkout"`}, map[string]string{"en": "form_submit"}},
		{"a screen", headlessly.TypeScreen, nil, map[string]string{"name": `"screen_view"`, "params/screen_name": `"Settings"`}, map[string]string{"en": "screen_view"}},
		{
			"a web vital", headlessly.TypeVital, nil,
			map[string]string{"name": `"LCP"`, "params/value": "1234.5", "params/metric_rating": `"good"`},
			map[string]string{"en": "LCP", "epn.value": "1234.5"},
		},
		{"an uncaught error", headlessly.TypeError, nil, map[string]string{
			"name": `"exception"`, "params/description": `"TypeError: x is undefined"`, "params/fatal": "1",
		}, map[string]string{"en": "exception", "epn.fatal": "1"}},
		{"a caught error", headlessly.TypeError, func(e *headlessly.Event) { e.ErrorStack = "" }, map[string]string{"params/fatal": "0"}, map[string]string{"epn.fatal": "0"}},
		{"identify: traits, but no mail address", headlessly.TypeIdentify, nil, map[string]string{
			"name": `"identify"`, "request/user_id": "user-1", "request/user_properties": "map[plan:map[value:pro]]",
		}, map[string]string{"en": "identify", "uid": "user-1", "up.plan": "pro", "up.email": ""}},
		{"a group", headlessly.TypeGroup, nil, map[string]string{"name": `"join_group"`, "params/group_id": `"acme"`}, map[string]string{"en": "join_group", "ep.group_id": "acme"}},
		{
			"gtag's own ids", headlessly.TypePage, func(e *headlessly.Event) {
				e.Context = `{"ga":{"clientId":"GA1.1.1234567890.1700000000","sessionId":"GS2.1.s1700000500$o7$g1$t1700000600$j60$l0$h0"}}`
			},
			map[string]string{"request/client_id": "1234567890.1700000000", "params/session_id": `"1700000500"`},
			map[string]string{"cid": "1234567890.1700000000", "sid": "1700000500", "sct": "7"},
		},
		{"gtag's old session cookie", headlessly.TypePage, func(e *headlessly.Event) {
			e.Context = `{"ga":{"clientId":"1.2","sessionId":"GS1.1.1700000500.3.1.1700000600.0.0.0"}}`
		}, map[string]string{"params/session_id": `"1700000500"`}, map[string]string{"sid": "1700000500", "sct": "3"}},
		{"where the visitor is, and with what", headlessly.TypePage, nil, map[string]string{
			"request/ip_override": "203.0.113.0", "request/user_location": "map[city:Berlin country_id:DE region_id:DE-BE]",
			"request/device": "map[browser:Chrome browser_version:140.0 category:desktop language:de-DE operating_system:Linux screen_resolution:1920x1080]",
		}, nil},
		{"advertising refused", headlessly.TypePage, func(e *headlessly.Event) { e.Consent = "analytics:granted,marketing:denied" }, map[string]string{
			"request/consent": "map[ad_personalization:DENIED ad_user_data:DENIED]",
		}, map[string]string{"gcs": "G101"}},
		{"advertising allowed", headlessly.TypePage, func(e *headlessly.Event) { e.Consent = "granted" }, map[string]string{
			"request/consent": "map[ad_personalization:GRANTED ad_user_data:GRANTED]",
		}, map[string]string{"gcs": "G111"}},
		{"nobody asked about advertising", headlessly.TypePage, nil, map[string]string{"request/consent": "<nil>"}, map[string]string{"gcs": ""}},
		{
			"forbidden names of parameters", headlessly.TypeTrack, func(e *headlessly.Event) {
				e.Event, e.Properties, e.HasRevenue = "x", `{"ga_a":1,"firebase_b":2,"google_c":3,"_d":4,"Price in €":5}`, false
			},
			map[string]string{"params/x_ga_a": "1", "params/x_firebase_b": "2", "params/x_google_c": "3", "params/Price_in": "5"},
			map[string]string{"epn.x_ga_a": "1", "epn.Price_in": "5"},
		},
	}
}

func TestMappingToTheMeasurementProtocol(t *testing.T) {
	now := headlessly.SystemClock().Truncate(time.Microsecond)
	for _, row := range rows() {
		t.Run(row.name, func(t *testing.T) {
			e := forwardertest.Event("acme", row.kind, 1, now)
			if row.change != nil {
				row.change(e)
			}
			got, results := forwardertest.Send(t, ga4.Kind(), measurement, e)
			if len(got) != 1 || got[0].Route != "/mp/collect" {
				t.Fatalf("%+v arrived, %v", got, results)
			}
			for path, want := range row.mp {
				text := forwardertest.At(got[0].Payload, path)
				if part, ok := strings.CutPrefix(path, "request/"); ok {
					text = forwardertest.Print(got[0].Request[part])
				}
				if text != want {
					t.Errorf("%s: got %s, want %s", path, text, want)
				}
			}
			if ts := forwardertest.At(got[0].Payload, "timestamp_micros"); ts != forwardertest.Print(now.UnixMicro()) {
				t.Errorf("timestamp: got %s, want %d", ts, now.UnixMicro())
			}
		})
	}
}

func TestMappingToTheBrowsersProtocol(t *testing.T) {
	for _, row := range rows() {
		t.Run(row.name, func(t *testing.T) {
			e := forwardertest.Event("acme", row.kind, 1, headlessly.SystemClock())
			if row.change != nil {
				row.change(e)
			}
			got, results := forwardertest.Send(t, ga4.Kind(), browser, e)
			if len(got) != 1 || got[0].Route != "/g/collect" {
				t.Fatalf("%+v arrived, %v", got, results)
			}
			if got[0].Request["user_agent"] != e.UserAgent {
				t.Errorf("user agent %v, want the visitor's", got[0].Request["user_agent"])
			}
			for key, want := range row.page {
				if want != "" {
					want = `"` + want + `"`
				}
				if text := forwardertest.At(got[0].Payload, key); text != want {
					t.Errorf("%s: got %s, want %s", key, text, want)
				}
			}
		})
	}
}

func TestASessionsFirstHitIsMarkedInTheBrowsersProtocol(t *testing.T) {
	e := forwardertest.Event("acme", headlessly.TypeSession, 1, headlessly.SystemClock())
	e.Properties = `{"number":1}`
	own, _ := forwardertest.Send(t, ga4.Kind(), browser, e)
	if len(own) != 1 || forwardertest.At(own[0].Payload, "_fv") != `"1"` || forwardertest.At(own[0].Payload, "sct") != `"1"` {
		t.Errorf("as the browser script counts: %+v", own)
	}
	e.Context, e.Properties = `{"ga":{"sessionNumber":1}}`, ""
	got, _ := forwardertest.Send(t, ga4.Kind(), browser, e)
	if len(got) != 1 || forwardertest.At(got[0].Payload, "_ss") != `"1"` || forwardertest.At(got[0].Payload, "_fv") != `"1"` {
		t.Errorf("got %+v", got)
	}
	got, results := forwardertest.Send(t, ga4.Kind(), measurement, e)
	var skipped *forwarders.Skipped
	if len(got) != 0 || !errors.As(results[0].Err, &skipped) {
		t.Errorf("measurement protocol: %+v, %v", got, results[0].Err)
	}
}

func TestEventsOfOneVisitorShareARequest(t *testing.T) {
	for name, connect := range map[string]func(string) headlessly.Destinations{"measurement": measurement, "browser": browser} {
		var events []*headlessly.Event
		for n := range 60 {
			e := forwardertest.Event("acme", headlessly.TypeForm, n, headlessly.SystemClock())
			if n%2 == 1 {
				e.AnonymousID = "somebody else"
			}
			events = append(events, e)
		}
		got, results := forwardertest.Send(t, ga4.Kind(), connect, events...)
		visitors := map[string]int{}
		for _, e := range got {
			visitors[e.Visitor]++
		}
		if len(got) != 60 || len(visitors) != 2 {
			t.Errorf("%s: %d events of %d visitors arrived", name, len(got), len(visitors))
		}
		for i, r := range results {
			if r.Err != nil {
				t.Errorf("%s: item %d: %v", name, i, r.Err)
			}
		}
	}
}

func TestWhatGoogleWouldMoveIsRefused(t *testing.T) {
	now := headlessly.SystemClock()
	for _, row := range []struct {
		name    string
		connect func(string) headlessly.Destinations
		age     time.Duration
		want    bool
	}{
		{"measurement protocol, 71 hours", measurement, 71 * time.Hour, true},
		{"measurement protocol, 73 hours", measurement, 73 * time.Hour, false},
		{"browser's protocol, 23 hours", browser, 23 * time.Hour, true},
		{"browser's protocol, 25 hours", browser, 25 * time.Hour, false},
	} {
		got, results := forwardertest.Send(t, ga4.Kind(), row.connect, forwardertest.Event("acme", headlessly.TypePage, 1, now.Add(-row.age)))
		var permanent *headlessly.Permanent
		if row.want != (len(got) == 1) || !row.want && (!errors.As(results[0].Err, &permanent) || !strings.Contains(permanent.Error(), "older than")) {
			t.Errorf("%s: %d arrived, %v", row.name, len(got), results[0].Err)
		}
	}
}

func TestOddEventsStayWithinGooglesRules(t *testing.T) {
	for name, connect := range map[string]func(string) headlessly.Destinations{"measurement": measurement, "browser": browser} {
		for _, kind := range forwardertest.Types() {
			for odd, e := range forwardertest.Odd(kind) {
				if !ga4.Kind().Takes(e) {
					continue
				}
				t.Run(name+": "+kind+": "+odd, func(t *testing.T) {
					got, results := forwardertest.Send(t, ga4.Kind(), connect, e)
					if results[0].Err == nil && len(got) != 1 {
						t.Errorf("%d events arrived", len(got))
					}
				})
			}
		}
	}
}

func TestIdsFromCookies(t *testing.T) {
	for _, row := range []struct{ name, cookie, want string }{
		{"the cookie", "GA1.1.123.456", "123.456"},
		{"a cookie of a deeper level", "GA1.2-3.123.456", "123.456"},
		{"the id alone", "123.456", "123.456"},
		{"nothing", "", ""},
		{"a UUID", "0192f0c1-2c40-7c3e-9a55-0b6a7d1c9e01", ""},
		{"letters", "GA1.1.abc.456", ""},
	} {
		if got := ga4.ClientID(row.cookie); got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
	for _, row := range []struct{ name, cookie, session, number string }{
		{"old form", "GS1.1.1700000500.3.1.1700000600.0.0.0", "1700000500", "3"},
		{"new form", "GS2.1.s1700000500$o7$g1$t1700000600$j60$l0$h0", "1700000500", "7"},
		{"new form in another order", "GS2.1.o7$s1700000500", "1700000500", "7"},
		{"unknown form", "GS3.1.s1", "", ""},
		{"cut short", "GS1.1.17", "", ""},
		{"empty fields", "GS2.1.$$s$o", "", ""},
	} {
		session, number, _ := ga4.SessionCookie(row.cookie)
		if session != row.session || number != row.number {
			t.Errorf("%s: got %q %q, want %q %q", row.name, session, number, row.session, row.number)
		}
	}
}
