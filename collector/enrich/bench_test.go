package enrich_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/enrich"
)

// BenchmarkStage is what each stage adds to one browser event.
func BenchmarkStage(b *testing.B) {
	r, err := enrich.Compile(enrich.Rules{Query: []string{"email"}, Properties: []string{"password"}, Patterns: []string{`[\w.]+@[\w.]+\.\w+`}})
	if err != nil {
		b.Fatal(err)
	}
	event := func(i int) headlessly.Event {
		return headlessly.Event{
			Tenant: "acme", Source: headlessly.SourceBrowser, AnonymousID: visitors[i%len(visitors)], URL: "https://shop.example/p/17?utm_source=news&utm_medium=email",
			Referrer: "https://www.google.com/", OriginalTS: noon.UnixMicro(), SentAt: noon.UnixMicro(), Properties: `{"productId":"p-17","price":12.5,"list":"search"}`,
		}
	}
	ip := netip.MustParseAddr("203.0.113.77")
	plain, place := newEnricher(b, enrich.Config{}), newEnricher(b, enrich.Config{GeoFiles: geoFiles(b)})
	for _, c := range []struct {
		name string
		run  func(e *headlessly.Event)
	}{
		{"none", func(*headlessly.Event) {}},
		{"skew", func(e *headlessly.Event) { enrich.Skew(e, noon) }},
		{"page and campaign", enrich.Page},
		{"page, campaign and channel", func(e *headlessly.Event) { enrich.Page(e); enrich.Channel(e) }},
		{"redaction", func(e *headlessly.Event) { r.Event(e) }},
		{"all but place and redaction", func(e *headlessly.Event) {
			plain.Apply(e, &enrich.Request{ReceivedAt: noon, IP: ip, UserAgent: chrome})
		}},
		{"all but redaction", func(e *headlessly.Event) {
			place.Apply(e, &enrich.Request{ReceivedAt: noon, IP: ip, UserAgent: chrome})
		}},
		{"all but redaction, cookieless", func(e *headlessly.Event) {
			e.AnonymousID = ""
			place.Apply(e, &enrich.Request{ReceivedAt: noon, IP: ip, UserAgent: chrome, Cookieless: true})
		}},
		{"all", func(e *headlessly.Event) {
			place.Apply(e, &enrich.Request{ReceivedAt: noon, IP: ip, UserAgent: chrome, Redact: r})
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				e := event(i)
				c.run(&e)
			}
		})
	}
}

var visitors = func() []string {
	out := make([]string, 5000)
	for i := range out {
		out[i] = fmt.Sprintf("anon-%d", i)
	}
	return out
}()
