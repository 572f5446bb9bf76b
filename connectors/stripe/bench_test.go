package stripe_test

import (
	"fmt"
	"testing"

	"github.com/headlessly/headlessly/connectors/stripe/stripetest"
)

// BenchmarkReceiptsToEntities maps webhooks of objects that change, from the
// verified receipt to the synced event, 500 in each frame.
func BenchmarkReceiptsToEntities(b *testing.B) {
	a := connected(b, 500)
	all := a.stripe.All("customers")
	mapped := 0
	b.ResetTimer()
	for n := 0; n < b.N; n += len(all) {
		b.StopTimer()
		for i, o := range all {
			a.stripe.Act("POST", "/v1/customers/"+o["id"].(string), fmt.Sprintf("name=N%d-%d", n, i))
		}
		a.Clock.Advance(2e9)
		in := a.receipts(a.stripe.Webhooks())
		mapped += len(in)
		b.StartTimer()
		if err := a.Connections.Receive(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(mapped)/b.Elapsed().Seconds(), "receipts/s")
	for _, o := range a.stripe.All("customers") {
		if e := a.find(b, "Customer", "stripeCustomerId", o["id"].(string)); e.Text("name") != o["name"] {
			b.Fatalf("%s is %s here, %s there: it was not mapped", o["id"], e.Text("name"), o["name"])
		}
	}
}

// BenchmarkVerify judges a webhook by its signature, as the door does.
func BenchmarkVerify(b *testing.B) {
	a := connected(b, 1)
	a.stripe.Act("POST", "/v1/customers/"+a.stripe.All("customers")[0]["id"].(string), "name=X")
	d := a.stripe.Webhooks()[0]
	r := a.receipts([]stripetest.Delivery{d})[0]
	b.SetBytes(int64(len(r.Body)))
	for b.Loop() {
		if err := a.Connections.Verify(&r); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "receipts/s")
}
