package laketest

import (
	"encoding"
	"fmt"
	"math/rand/v2"

	"github.com/google/uuid"
	"github.com/headlessly/headlessly"
)

// Noon is a time of receipt: 2025-10-09T12:00:00Z in µs.
const Noon = 1_760_011_200_000_000

// Event makes the n-th event of a seeded stream: like real traffic in its mix
// of types, and always the same for the same arguments.
func Event(tenant string, n int) headlessly.Event {
	r := rand.New(rand.NewPCG(uint64(n), 7)) //nolint:gosec // test data
	e := headlessly.Event{
		MessageID: uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%s/%d", tenant, n)).String(),
		Tenant:    tenant, Source: headlessly.SourceBrowser,
		AnonymousID: fmt.Sprintf("anon-%d", r.IntN(5000)), SessionID: fmt.Sprintf("s-%d", r.IntN(20000)),
		Timestamp: Noon + int64(n)*1000, OriginalTS: Noon + int64(n)*1000 - 50, SentAt: Noon + int64(n)*1000 + 10, ReceivedAt: Noon + int64(n)*1000 + 30,
		URL: fmt.Sprintf("https://shop.example/products/%d?ref=x", r.IntN(300)), Host: "shop.example", Path: fmt.Sprintf("/products/%d", r.IntN(300)), Query: "ref=x",
		Title: "A product", Referrer: "https://www.google.com/", ReferrerHost: "www.google.com", Channel: "organic search",
		IP: fmt.Sprintf("203.0.%d.0", r.IntN(256)), Country: []string{"DE", "US", "FR", "JP"}[r.IntN(4)], City: "Berlin", ASN: int64(r.IntN(60000)),
		Browser: "Chrome", BrowserVersion: "141.0", OS: "macOS", OSVersion: "15.1", Device: "desktop",
		ScreenWidth: 1920, ScreenHeight: 1080, ViewportWidth: 1400, ViewportHeight: 900, Language: "en-US", Timezone: "Europe/Berlin",
		UserAgent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
		Consent:   "granted", Release: "web@4.2.0", Environment: "production", Library: "@headlessly/js", LibraryVersion: "0.1.0",
	}
	if n%3 == 0 {
		e.UserID = fmt.Sprintf("user-%d", r.IntN(900))
	}
	switch k := r.IntN(10); {
	case k < 5:
		e.Type = headlessly.TypePage
	case k < 8:
		e.Type, e.Event = headlessly.TypeTrack, []string{"Order Completed", "Product Viewed", "Cart Opened"}[r.IntN(3)]
		e.HasRevenue, e.RevenueE4, e.Currency = true, r.Int64N(10_000_000), "EUR"
		e.Properties = fmt.Sprintf(`{"total":%d,"coupon":"SPRING","items":[{"sku":"A%d","qty":%d}]}`, r.IntN(500), r.IntN(1000), 1+r.IntN(5))
	case k < 9:
		e.Type, e.VitalName, e.VitalValue, e.VitalRating = headlessly.TypeVital, "LCP", r.Float64()*4000, "good"
	default:
		e.Type, e.Level, e.ErrorType, e.ErrorMessage = headlessly.TypeError, "error", "TypeError", "x is not a function"
		e.Fingerprint = fmt.Sprintf("f%d", r.IntN(20))
		e.ErrorStack = `[{"type":"TypeError","value":"x is not a function","stacktrace":[{"filename":"app.js","function":"go","lineno":12,"colno":3,"in_app":true}]}]`
		e.Context = `{"breadcrumbs":[{"message":"click"}]}`
	}
	return e
}

// Record is an event as the log holds it.
func Record(e headlessly.Event) headlessly.Record {
	b, _ := e.AppendBinary(nil) // never fails
	return headlessly.Record{Kind: headlessly.RecordEvent, Data: b}
}

// RejectedRecord is a refused input as the log holds it.
func RejectedRecord(r headlessly.Rejected) headlessly.Record {
	b, _ := r.AppendBinary(nil) // never fails
	return headlessly.Record{Kind: headlessly.RecordRejected, Data: b}
}

// Encode is a record of any kind as the log holds it.
func Encode(kind headlessly.RecordKind, v encoding.BinaryAppender) headlessly.Record {
	b, _ := v.AppendBinary(nil) // never fails
	return headlessly.Record{Kind: kind, Data: b}
}

// Records are events from to to (exclusive) of a tenant.
func Records(tenant string, from, to int) []headlessly.Record {
	out := make([]headlessly.Record, 0, to-from)
	for n := from; n < to; n++ {
		out = append(out, Record(Event(tenant, n)))
	}
	return out
}
