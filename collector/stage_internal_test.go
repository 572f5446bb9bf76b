package collector

import (
	"testing"

	"github.com/valyala/fastjson"
)

const stageEvent = `{"messageId":"0193a2b4-7a2b-7c3d-8e4f-5a6b7c8d9e0f","type":"track","event":"Product Viewed","anonymousId":"anon-17","ts":1772366400000,"url":"https://shop.example/products/17/reviews?utm_source=news&utm_medium=email","path":"/products/17/reviews","referrer":"https://www.google.com/","title":"Product 17 reviews","userAgent":"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36","properties":{"productId":"p-17","price":12.50,"currency":"EUR","position":3,"list":"search"}}`

// BenchmarkStage is what each stage costs that one event of a browser goes
// through between the body and the record. Enrichment and deduplication have
// benchmarks of their own beside them.
func BenchmarkStage(b *testing.B) {
	body := []byte(stageEvent)
	var p fastjson.Parser
	var d decoder
	parse := func(b *testing.B) *fastjson.Value {
		b.Helper()
		v, err := p.ParseBytes(body)
		if err != nil {
			b.Fatal(err)
		}
		return v
	}
	for _, s := range []struct {
		name string
		once func(b *testing.B)
	}{
		{"inspect", func(b *testing.B) {
			b.Helper()
			if _, err := inspect(body); err != nil {
				b.Fatal(err)
			}
		}},
		{"parse", func(b *testing.B) { b.Helper(); parse(b) }},
		{"parse and decode", func(b *testing.B) {
			b.Helper()
			if fault := d.decode(parse(b), "acme"); fault != nil {
				b.Fatal(fault)
			}
		}},
	} {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				s.once(b)
			}
		})
	}
	b.Run("encode", func(b *testing.B) {
		if fault := d.decode(parse(b), "acme"); fault != nil {
			b.Fatal(fault)
		}
		var into []byte
		var err error
		b.ReportAllocs()
		for b.Loop() {
			if into, err = d.event.AppendBinary(into[:0]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
