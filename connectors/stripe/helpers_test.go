package stripe_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/stripe/stripetest"
)

func asError(err error, e **graph.Error) bool { return errors.As(err, e) }

func receipts(all ...headlessly.Receipt) []headlessly.Receipt { return all }

// receipts are webhooks as the collector stores them.
func (a *account) receipts(all []stripetest.Delivery) (out []headlessly.Receipt) {
	for _, d := range all {
		out = append(out, a.receipt(d))
	}
	return out
}

// differences compares every object with its entity, up to most lines.
func (a *account) differences(t testing.TB, most int) string {
	t.Helper()
	var out []string
	differ := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for typ, row := range map[string]struct {
		kind, key string
		fields    map[string]string // the entity's field, and the object's
	}{
		"Customer":     {"customers", "stripeCustomerId", map[string]string{"name": "name", "email": "email", "phone": "phone"}},
		"Product":      {"products", "stripeProductId", map[string]string{"name": "name"}},
		"Price":        {"prices", "stripePriceId", map[string]string{"amount": "unit_amount"}},
		"Subscription": {"subscriptions", "stripeSubscriptionId", map[string]string{"stripeCustomerId": "customer", "cancelAtPeriodEnd": "cancel_at_period_end"}},
		"Invoice":      {"invoices", "stripeInvoiceId", map[string]string{"total": "total", "amountPaid": "amount_paid", "number": "number"}},
		"Payment":      {"payment_intents", "stripePaymentId", map[string]string{"amount": "amount"}},
	} {
		entities := map[string]fields{}
		var buf bytes.Buffer
		if err := a.Scope.Export(t.Context(), &buf, graph.AsOf{}, typ); err != nil {
			t.Fatal(err)
		}
		dec := json.NewDecoder(&buf)
		dec.UseNumber()
		for dec.More() {
			var f fields
			if err := dec.Decode(&f); err != nil {
				t.Fatal(err)
			}
			id := fmt.Sprint(f[row.key])
			if entities[id] != nil {
				differ("%s %s is there twice", typ, id)
			}
			entities[id] = f
		}
		all := a.stripe.All(row.kind)
		if len(all) != len(entities) {
			differ("%d %s, %d %s", len(entities), typ, len(all), row.kind)
		}
		for _, o := range all {
			f := entities[fmt.Sprint(o["id"])]
			if f == nil {
				differ("%s %s is not here", typ, o["id"])
				continue
			}
			for ours, theirs := range row.fields {
				if fmt.Sprint(f[ours]) != fmt.Sprint(o[theirs]) {
					differ("%s %s: %s is %v, at Stripe %v", typ, o["id"], ours, f[ours], o[theirs])
				}
			}
			if typ == "Subscription" {
				if want := status(o); f["status"] != want {
					differ("%s %s: status is %v, at Stripe %v", typ, o["id"], f["status"], want)
				}
				if q := o["items"].(fields)["data"].([]any)[0].(fields)["quantity"]; fmt.Sprint(f["quantity"]) != fmt.Sprint(q) {
					differ("%s %s: quantity is %v, at Stripe %v", typ, o["id"], f["quantity"], q)
				}
			}
		}
	}
	return strings.Join(out[:min(most, len(out))], "\n")
}

func status(o fields) string {
	switch {
	case o["status"] == "canceled":
		return "Cancelled"
	case o["status"] == "active" && o["pause_collection"] != nil:
		return "Paused"
	}
	return map[any]string{"active": "Active", "trialing": "Trialing", "incomplete": "Incomplete"}[o["status"]]
}

// known finds an entity, nil when there is none.
func (a *account) known(t testing.TB, typ, key, value string) *graph.Entity {
	t.Helper()
	page, err := a.Scope.Find(t.Context(), graph.Query{Type: typ, Filter: fields{key: value}})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Results) == 0 {
		return nil
	}
	return page.Results[0]
}
