package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
)

// singles makes n distinct single-event bodies of about 600 bytes, as a
// browser sends them.
func singles(n int) [][]byte {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // seeded on purpose
	out := make([][]byte, n)
	for i := range out {
		out[i] = event(r, i)
	}
	return out
}

// batches makes n bodies of ten such events.
func batches(n int) [][]byte {
	r := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // seeded on purpose
	out := make([][]byte, n)
	for i := range out {
		var b bytes.Buffer
		b.WriteString(`{"events":[`)
		for j := range 10 {
			if j > 0 {
				b.WriteByte(',')
			}
			b.Write(event(r, i*10+j))
		}
		b.WriteString(`]}`)
		out[i] = b.Bytes()
	}
	return out
}

func event(r *rand.Rand, i int) []byte {
	path := fmt.Sprintf("/products/%d/reviews", r.IntN(5000))
	return fmt.Appendf(nil, `{"messageId":"%08x-%04x-7%03x-8%03x-%012x","type":"track","event":%q,"anonymousId":"anon-%d","sessionId":"s-%d","ts":1772366400000,"url":"https://shop.example%s?utm_source=news&utm_medium=email","path":%q,"referrer":"https://www.google.com/","title":"Product %d reviews","userAgent":"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36","properties":{"productId":"p-%d","price":%d.%02d,"currency":"EUR","position":%d,"list":"search"}}`,
		r.Uint32(), r.Uint32()&0xffff, r.Uint32()&0xfff, r.Uint32()&0xfff, r.Uint64()&0xffffffffffff,
		[]string{"Product Viewed", "Product Added", "Order Completed", "Search", "Signed Up"}[r.IntN(5)],
		r.IntN(100000), r.IntN(20000), path, path, i, r.IntN(5000), r.IntN(200), r.IntN(100), r.IntN(50))
}
