package collector_test

import (
	"encoding/json"
	"testing"

	"github.com/headlessly/headlessly"
)

// TestWhatEachFieldBecomes reads as the mapping from the wire to columns.
func TestWhatEachFieldBecomes(t *testing.T) {
	for _, c := range []struct {
		name, event string
		got         func(e *headlessly.Event) any
		want        any
	}{
		{"a type alone", `{"type":"page"}`, func(e *headlessly.Event) any { return e.Type + "/" + e.Event }, "page/page"},
		{"an event alone is a track", `{"event":"Buy"}`, func(e *headlessly.Event) any { return e.Type + "/" + e.Event }, "track/Buy"},
		{"$pageview is a page", `{"event":"$pageview"}`, func(e *headlessly.Event) any { return e.Type + "/" + e.Event }, "page/page"},
		{"$web_vitals is a vital", `{"type":"$web_vitals","properties":{"name":"LCP","value":1234.5,"rating":"good"}}`, func(e *headlessly.Event) any { return []any{e.Type, e.VitalName, e.VitalValue, e.VitalRating} }, []any{"vital", "LCP", 1234.5, "good"}},
		{"a type of the client's own", `{"type":"weather","event":"Rain"}`, func(e *headlessly.Event) any { return e.Type + "/" + e.Event }, "weather/Rain"},
		{"a page's name", `{"type":"page","name":"Pricing"}`, func(e *headlessly.Event) any { return e.Event }, "Pricing"},
		{"an upper-case UUID", `{"event":"x","messageId":"0192F0C1-7A2B-7C3D-8E4F-5A6B7C8D9E0F"}`, func(e *headlessly.Event) any { return e.MessageID }, "0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f"},
		{"Sentry's event id", `{"type":"error","message":"m","eventId":"0192f0c17a2b7c3d8e4f5a6b7c8d9e0f"}`, func(e *headlessly.Event) any { return e.MessageID }, "0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f"},
		{"an id of the client's own is kept", `{"event":"x","messageId":"order-7"}`, func(e *headlessly.Event) any { return e.Context }, `{"messageId":"order-7"}`},
		{"milliseconds", `{"event":"x","ts":1772366399123}`, func(e *headlessly.Event) any { return e.Timestamp }, int64(1772366399123000)},
		{"seconds", `{"event":"x","timestamp":1772366400}`, func(e *headlessly.Event) any { return e.Timestamp }, int64(1772366400000000)},
		{"RFC 3339 with a zone", `{"event":"x","timestamp":"2026-03-01T13:00:00.5+01:00"}`, func(e *headlessly.Event) any { return e.Timestamp }, testTime.UnixMicro()},
		{"no time is now", `{"event":"x"}`, func(e *headlessly.Event) any { return e.Timestamp }, testTime.UnixMicro()},
		{"a future time is now", `{"event":"x","ts":"2027-01-01T00:00:00Z"}`, func(e *headlessly.Event) any { return e.Timestamp }, testTime.UnixMicro()},
		{"a clock an hour slow is corrected", `{"event":"x","ts":"2026-03-01T10:59:50Z","sentAt":"2026-03-01T11:00:00Z"}`, func(e *headlessly.Event) any { return testTime.UnixMicro() - e.Timestamp }, int64(10_000_000)},
		{"one exception", `{"type":"error","exception":{"type":"TypeError","value":"x is null"}}`, func(e *headlessly.Event) any { return []any{e.ErrorType, e.ErrorMessage, e.ErrorStack, e.Level} }, []any{"TypeError", "x is null", `[{"type":"TypeError","value":"x is null"}]`, "error"}},
		{"a cause chain", `{"type":"error","exception":[{"type":"A","value":"a"},{"type":"B","value":"b"}]}`, func(e *headlessly.Event) any { return e.ErrorType }, "A"},
		{"Sentry's chain is turned around", `{"exception":{"values":[{"type":"B","value":"b"},{"type":"A","value":"a"}]}}`, func(e *headlessly.Event) any { return []any{e.Type, e.ErrorType, e.ErrorStack} }, []any{"error", "A", `[{"type":"A","value":"a"},{"type":"B","value":"b"}]`}},
		{"a message", `{"type":"message","message":"disk low","level":"warning"}`, func(e *headlessly.Event) any { return []any{e.ErrorMessage, e.Level} }, []any{"disk low", "warning"}},
		{"breadcrumbs, tags, extra", `{"type":"error","message":"m","breadcrumbs":[{"message":"b"}],"tags":{"a":"1"},"extra":{"x":2}}`, func(e *headlessly.Event) any { return e.Context }, `{"breadcrumbs":[{"message":"b"}],"tags":{"a":"1"},"extra":{"x":2}}`},
		{"an unknown field is kept", `{"event":"x","weather":"rain"}`, func(e *headlessly.Event) any { return e.Context }, `{"weather":"rain"}`},
		{"Segment's context", `{"event":"x","context":{"page":{"url":"https://a.example/p","title":"T","referrer":"https://www.google.com/"},"library":{"name":"analytics.js","version":"2"},"locale":"en-GB","app":{"name":"shop"}}}`, func(e *headlessly.Event) any {
			return []any{e.URL, e.Title, e.ReferrerHost, e.Channel, e.Library, e.LibraryVersion, e.Language, e.Context, e.Source}
		}, []any{"https://a.example/p", "T", "www.google.com", "organic search", "analytics.js", "2", "en-GB", `{"app":{"name":"shop"}}`, "Browser"}},
		{"PostHog's properties", `{"event":"Buy","properties":{"$current_url":"https://a.example/","$session_id":"s1","distinct_id":"d1","$viewport_width":800,"$set":{"plan":"pro"}}}`, func(e *headlessly.Event) any {
			return []any{e.URL, e.SessionID, e.AnonymousID, e.ViewportWidth, e.Traits}
		}, []any{"https://a.example/", "s1", "d1", int64(800), `{"plan":"pro"}`}},
		{"where it was", `{"event":"x","context":{"location":{"country":"DE","region":"Berlin","city":"Berlin","latitude":52.5}}}`, func(e *headlessly.Event) any {
			return []any{e.Country, e.Region, e.City, e.Context}
		}, []any{"DE", "Berlin", "Berlin", `{"location":{"country":"DE","region":"Berlin","city":"Berlin","latitude":52.5}}`}},
		{"a country's name is no code", `{"event":"x","context":{"location":{"country":"Germany"}}}`, func(e *headlessly.Event) any { return e.Country }, ""},
		{"revenue", `{"event":"Order Completed","properties":{"revenue":"19.99","currency":"eur"}}`, func(e *headlessly.Event) any { return []any{e.HasRevenue, e.RevenueE4, e.Currency} }, []any{true, int64(199900), "EUR"}},
		{"an order's total is revenue", `{"event":"Order Completed","properties":{"total":5}}`, func(e *headlessly.Event) any { return e.RevenueE4 }, int64(50000)},
		{"a paid click", `{"type":"page","url":"https://a.example/?gclid=abc"}`, func(e *headlessly.Event) any { return []any{e.Channel, e.ClickID, e.ClickIDKind} }, []any{"paid search", "abc", "gclid"}},
		{"an AI assistant", `{"type":"page","url":"https://a.example/","referrer":"https://chatgpt.com/"}`, func(e *headlessly.Event) any { return e.Channel }, "ai assistant"},
		{"consent by category", `{"event":"x","context":{"consent":{"marketing":false,"analytics":true}}}`, func(e *headlessly.Event) any { return e.Consent }, "analytics:granted,marketing:denied"},
		{"an address in the context is cut", `{"event":"x","context":{"ip":"203.0.113.77"}}`, func(e *headlessly.Event) any { return e.IP }, "203.0.113.0"},
		{"an IPv6 address is cut", `{"event":"x","context":{"ip":"2001:db8:1:2:3:4:5:6"}}`, func(e *headlessly.Event) any { return e.IP }, "2001:db8:1::"},
		{"a server's own user agent says nothing", `{"event":"x"}`, func(e *headlessly.Event) any { return []any{e.Source, e.UserAgent, e.IsBot, e.IP} }, []any{"API", "", false, ""}},
		{"escapes are undone", `{"event":"a\u00e9\ud83d\ude00\"b"}`, func(e *headlessly.Event) any { return e.Event }, "aé😀\"b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t)
			if res, r := g.post(t, "/e?t=acme", []byte(c.event)); res.StatusCode != 202 {
				t.Fatalf("got %d %+v", res.StatusCode, r)
			}
			e := g.log.events(t)[0]
			got, _ := json.Marshal(c.got(&e))
			want, _ := json.Marshal(c.want)
			if string(got) != string(want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestErrorsOfOneKindShareAFingerprint(t *testing.T) {
	g := start(t)
	stack := `"stacktrace":[{"filename":"a.js","function":"f","lineno":1},{"filename":"b.js","function":"g","lineno":2}]`
	for _, body := range []string{
		`{"type":"error","exception":{"type":"E","value":"user 1",` + stack + `}}`,
		`{"type":"error","exception":{"type":"E","value":"user 2",` + stack + `}}`,
		`{"type":"error","exception":{"type":"F","value":"user 2",` + stack + `}}`,
		`{"type":"error","message":"m","fingerprint":["mine","b"]}`,
		`{"type":"error","exception":{"values":[{"type":"E","value":"user 3","stacktrace":{"frames":[{"filename":"b.js","function":"g","lineno":2},{"filename":"a.js","function":"f","lineno":1}]}}]}}`,
	} {
		if res, r := g.post(t, "/e?t=acme", []byte(body)); res.StatusCode != 202 {
			t.Fatalf("got %d %+v", res.StatusCode, r)
		}
	}
	e := g.log.events(t)
	if e[0].Fingerprint == "" || e[0].Fingerprint != e[1].Fingerprint || e[1].Fingerprint == e[2].Fingerprint || e[3].Fingerprint != "mine|b" {
		t.Errorf("got %q %q %q %q", e[0].Fingerprint, e[1].Fingerprint, e[2].Fingerprint, e[3].Fingerprint)
	}
	if e[4].Fingerprint != e[0].Fingerprint {
		t.Errorf("the same error in Sentry's form, outermost frame first: got %q, want %q", e[4].Fingerprint, e[0].Fingerprint)
	}
}

func TestAStackInSentrysFormIsGroupedByItsInnermostFrames(t *testing.T) {
	g := start(t)
	error6 := func(inner string) string {
		frames := ""
		for _, f := range []string{"main", "run", "loop", "handle", "click", inner} {
			frames += `,{"filename":"a.js","function":"` + f + `"}`
		}
		return `{"type":"error","exception":{"values":[{"type":"E","value":"v","stacktrace":{"frames":[` + frames[1:] + `]}}]}}`
	}
	for _, inner := range []string{"buy", "sell"} {
		g.post(t, "/e?t=acme", []byte(error6(inner)))
	}
	if e := g.log.events(t); e[0].Fingerprint == e[1].Fingerprint {
		t.Error("two errors thrown by different functions share a fingerprint")
	}
}

func TestGPCDeniesUnlessTheVisitorConsentedOnTheSite(t *testing.T) {
	g := start(t)
	g.post(t, "/e?t=acme", []byte(`{"event":"x"}`), "Sec-GPC: 1")
	g.post(t, "/e?t=acme", []byte(`{"event":"x","context":{"consent":"granted"}}`), "Sec-GPC: 1")
	e := g.log.events(t)
	if e[0].Consent != "denied" || e[1].Consent != "granted" {
		t.Errorf("got %q and %q", e[0].Consent, e[1].Consent)
	}
}
