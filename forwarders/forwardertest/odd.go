package forwardertest

import (
	"fmt"
	"strings"

	"github.com/headlessly/headlessly"
)

// Odd gives events of a type that a lenient collector may let through and a
// mapping must survive, by what is odd about them.
func Odd(kind string) map[string]*headlessly.Event {
	now := headlessly.SystemClock()
	full := func(change func(*headlessly.Event)) *headlessly.Event {
		e := Event("acme", kind, 1, now)
		change(e)
		return e
	}
	deep := strings.Repeat(`{"a":`, 30) + "1" + strings.Repeat("}", 30)
	return map[string]*headlessly.Event{
		"nothing but a type":      {Type: kind},
		"nothing but type and id": {Type: kind, MessageID: ID(1), Timestamp: now.UnixMicro()},
		"an id that is no UUID":   full(func(e *headlessly.Event) { e.MessageID = "order-17" }),
		"broken JSON":             full(func(e *headlessly.Event) { e.Properties, e.Traits, e.Context, e.ErrorStack = "{", `{"a"`, "[", "[{" }),
		"JSON of the wrong type":  full(func(e *headlessly.Event) { e.Properties, e.Traits, e.Context, e.ErrorStack = "[]", "3", `"x"`, "{}" }),
		"wrong types inside": full(func(e *headlessly.Event) {
			e.Context = `{"breadcrumbs":{},"tags":[],"extra":1,"contexts":[1],"user":"u","ga":[]}`
		}),
		"wrong types in a stack": full(func(e *headlessly.Event) {
			e.ErrorStack = `[{"type":1,"stacktrace":[1,{"lineno":"x"},{"lineno":-3}],"mechanism":"m"},{}]`
		}),
		"wrong types in products": full(func(e *headlessly.Event) {
			e.Event, e.Properties = "Order Completed", `{"products":[1,{"price":{}},{"name":[]}],"total":"x"}`
		}),
		"bytes that are not UTF-8": full(func(e *headlessly.Event) { e.Title, e.ErrorMessage, e.Event = "a\xff\xfe", "\xc3\x28", "\xed\xa0\x80" }),
		"control characters":       full(func(e *headlessly.Event) { e.Title, e.UserAgent, e.UserID = "a\x00\r\nb", "x\r\nInjected: 1", "u\nv" }),
		"long names and values":    full(func(e *headlessly.Event) { e.Event, e.Title = strings.Repeat("n", 250), strings.Repeat("ä", 20_000) }),
		"long values inside":       full(func(e *headlessly.Event) { e.Properties = `{"a":"` + strings.Repeat("ü", 9000) + `"}` }),
		"deep properties":          full(func(e *headlessly.Event) { e.Properties = deep }),
		"numbers without end":      full(func(e *headlessly.Event) { e.Properties = `{"a":1e999,"b":-0,"c":123456789012345678901234567890}` }),
		"names Google forbids": full(func(e *headlessly.Event) {
			e.Event, e.Properties = "ga_x", `{"firebase_a":1,"_b":2,"gtag.c":3,"":4,"9d":5,"é":6}`
		}),
		"an emoji as a name": full(func(e *headlessly.Event) { e.Event = "🛒" }),
		"the far future":     full(func(e *headlessly.Event) { e.Timestamp = 1<<62 - 1 }),
		"before the epoch":   full(func(e *headlessly.Event) { e.Timestamp = -1 }),
		"many properties":    full(func(e *headlessly.Event) { e.Properties = many(900) }),
		"many products":      full(func(e *headlessly.Event) { e.Event, e.Properties = "Order Completed", products(400) }),
		"many traits":        full(func(e *headlessly.Event) { e.Traits = many(60) }),
		"a long stack":       full(func(e *headlessly.Event) { e.ErrorStack = stack(300) }),
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		_, _ = fmt.Fprintf(&b, `,"key %d":"value"`, i)
	}
	return "{" + b.String()[1:] + "}"
}

func products(n int) string {
	return `{"order_id":"o","products":[` + strings.Repeat(`{"product_id":"p","name":"n","a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":10,"k":11},`, n-1) + `{"sku":"q"}]}`
}

func stack(n int) string {
	return `[{"type":"E","value":"v","stacktrace":[` + strings.Repeat(`{"filename":"a.js","function":"f","lineno":1,"colno":1},`, n-1) + `{"filename":"z.js"}]}]`
}
