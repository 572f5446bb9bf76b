package forwardertest

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/headlessly/headlessly"
)

// ID gives the n-th message id, always the same.
func ID(n int) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "event %d", n)).String()
}

// Event gives the n-th sample event of a tenant, as the collector would leave
// it: a visitor of a shop in Berlin.
func Event(tenant, kind string, n int, at time.Time) *headlessly.Event {
	us := at.UnixMicro()
	e := &headlessly.Event{
		MessageID: ID(n), Tenant: tenant, Type: kind, Source: headlessly.SourceBrowser,
		AnonymousID: "0192f0c1-2c40-7c3e-9a55-0b6a7d1c9e01", SessionID: "0192f0c1-2c40-7c3e-9a55-0b6a7d1c9e02",
		Timestamp: us, OriginalTS: us, SentAt: us, ReceivedAt: us,
		URL: "https://shop.example/cart?utm_source=news", Host: "shop.example", Path: "/cart", Query: "utm_source=news",
		Title: "Cart", Referrer: "https://search.example/", ReferrerHost: "search.example", Channel: "email", UTMSource: "news",
		IP: "203.0.113.0", Country: "DE", Region: "BE", City: "Berlin",
		Browser: "Chrome", BrowserVersion: "140.0", OS: "Linux", Device: "desktop",
		ScreenWidth: 1920, ScreenHeight: 1080, ViewportWidth: 1200, ViewportHeight: 800, Language: "de-DE", Timezone: "Europe/Berlin",
		UserAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36",
		Library:   "@headlessly/js", LibraryVersion: "1.0.0", Release: "shop@1.2.3", Environment: "production",
	}
	switch kind {
	case headlessly.TypeTrack:
		e.Event = "Order Completed"
		e.Properties = `{"order_id":"o-1","total":42.5,"currency":"EUR","products":[{"product_id":"p1","name":"Shirt","price":21.25,"quantity":2}]}`
		e.RevenueE4, e.HasRevenue, e.Currency = 425000, true, "EUR"
	case headlessly.TypeIdentify:
		e.UserID = "user-1"
		e.Traits = `{"plan":"pro","email":"ada@shop.example"}`
	case headlessly.TypeGroup:
		e.UserID, e.GroupID = "user-1", "acme"
		e.Traits = `{"seats":12}`
	case headlessly.TypeAlias:
		e.UserID, e.PreviousID = "user-1", e.AnonymousID
	case headlessly.TypeError:
		e.Level, e.ErrorType, e.ErrorMessage = "error", "TypeError", "x is undefined"
		e.ErrorStack = `[{"type":"TypeError","value":"x is undefined","stacktrace":[` +
			`{"filename":"https://shop.example/a.js","function":"inner","lineno":10,"colno":5,"in_app":true},` +
			`{"filename":"https://shop.example/a.js","function":"outer","lineno":20,"colno":7,"in_app":true}],` +
			`"mechanism":{"type":"auto.browser.global_handlers.onerror","handled":false}},` +
			`{"type":"RangeError","value":"cause","stacktrace":[{"filename":"b.js","function":"deep","lineno":1,"colno":1}]}]`
		e.Fingerprint = "0123456789abcdef"
		e.Context = `{"breadcrumbs":[{"timestamp":1700000000,"type":"navigation","category":"navigation","data":{"from":"/","to":"/cart"}}],` +
			`"tags":{"cart":"big"},"extra":{"items":3},"contexts":{"shop":{"theme":"dark"}},"user":{"id":"user-1","email":"ada@shop.example"}}`
	case headlessly.TypeMessage:
		e.Level, e.ErrorMessage = "info", "cart was restored"
	case headlessly.TypeVital:
		e.Event, e.VitalName, e.VitalValue, e.VitalRating = "LCP", "LCP", 1234.5, "good"
	case headlessly.TypeClick:
		e.Event, e.Properties = "click", `{"tag":"a","text":"Buy","href":"https://shop.example/buy"}`
	case headlessly.TypeForm:
		e.Event, e.Properties = "form_submit", `{"form_id":"checkout"}`
	case headlessly.TypePageLeft:
		e.Properties = `{"engagedMs":15000,"scrollDepth":80}`
	case headlessly.TypeScreen:
		e.Event = "Settings"
	}
	return e
}

// Types are all event types that have a meaning.
func Types() []string {
	return []string{
		headlessly.TypeTrack, headlessly.TypePage, headlessly.TypePageLeft, headlessly.TypeScreen, headlessly.TypeIdentify,
		headlessly.TypeGroup, headlessly.TypeAlias, headlessly.TypeError, headlessly.TypeMessage, headlessly.TypeVital,
		headlessly.TypeClick, headlessly.TypeForm, headlessly.TypeSession,
	}
}
