package stripe

import (
	"encoding/json"
	"time"

	"github.com/headlessly/headlessly/connectors"
	api "github.com/stripe/stripe-go/v85"
)

// payment maps a PaymentIntent. Whether it was refunded stands in its charge,
// when that is expanded.
func payment(raw []byte, live bool) (connectors.Change, error) {
	var p api.PaymentIntent
	if err := decode(raw, &p); err != nil {
		return connectors.Change{}, err
	}
	ch := connectors.Change{Type: typePayment, Key: keyPayment, ID: p.ID, Origin: p.Metadata[metaEvent], Made: time.Unix(p.Created, 0), Refs: map[string]connectors.Ref{}}
	f := map[string]any{"amount": p.Amount, "currency": currency(p.Currency), "status": paymentStatus(p.Status), "description": text(p.Description), "amountReceived": p.AmountReceived}
	if len(p.PaymentMethodTypes) > 0 {
		f["method"] = p.PaymentMethodTypes[0]
	}
	if p.Customer != nil {
		ch.Refs["customer"] = refTo(typeCustomer, keyCustomer, p.Customer.ID)
	}
	if c := p.LatestCharge; c != nil {
		f["stripeChargeId"] = c.ID
		if c.Object == "charge" { // expanded
			chargeFields(c, f)
		}
	}
	ch.Fields = f
	ch.Fit = func(now, fields map[string]any) {
		if _, says := fields["amountRefunded"]; !says && now["status"] == "Refunded" && fields["status"] == "Succeeded" {
			delete(fields, "status") // a refund is told by the charge alone
		}
	}
	ch.Steps = func(now, after map[string]any) []connectors.Step { return paymentSteps(now, after, live) }
	return ch, nil
}

func paymentStatus(s api.PaymentIntentStatus) string {
	switch s {
	case api.PaymentIntentStatusSucceeded:
		return "Succeeded"
	case api.PaymentIntentStatusCanceled:
		return "Failed"
	}
	return "Pending"
}

func chargeFields(c *api.Charge, f map[string]any) {
	f["amountRefunded"], f["receiptUrl"] = c.AmountRefunded, text(c.ReceiptURL)
	if c.PaymentMethodDetails != nil && c.PaymentMethodDetails.Type != "" {
		f["method"] = string(c.PaymentMethodDetails.Type)
	}
	if c.Refunded {
		f["status"] = "Refunded"
	}
}

// charge maps charge.refunded onto the payment. ok is false for a charge
// without a PaymentIntent, which we do not have.
func charge(raw []byte) (ch connectors.Change, ok bool, err error) {
	var c api.Charge
	if err := decode(raw, &c); err != nil {
		return ch, false, err
	}
	if c.PaymentIntent == nil {
		return ch, false, nil
	}
	f := map[string]any{"stripeChargeId": c.ID}
	chargeFields(&c, f)
	return connectors.Change{
		Type: typePayment, Key: keyPayment, ID: c.PaymentIntent.ID, Fields: f,
		Steps: func(now, after map[string]any) []connectors.Step { return paymentSteps(now, after, true) },
	}, true, nil
}

// invoicePayment links a payment to its invoice.
func invoicePayment(raw []byte) (ch connectors.Change, ok bool, err error) {
	var p struct {
		Invoice json.RawMessage `json:"invoice"`
		Payment struct {
			Intent json.RawMessage `json:"payment_intent"`
		} `json:"payment"`
	}
	if err := decode(raw, &p); err != nil {
		return ch, false, err
	}
	inv, intent := idOf(p.Invoice), idOf(p.Payment.Intent)
	if inv == "" || intent == "" {
		return ch, false, nil
	}
	return connectors.Change{
		Type: typePayment, Key: keyPayment, ID: intent, Partial: true,
		Refs: map[string]connectors.Ref{"invoice": refTo(typeInvoice, keyInvoice, inv)},
	}, true, nil
}

// idOf reads a reference, expanded or not.
func idOf(raw json.RawMessage) string {
	var id string
	if json.Unmarshal(raw, &id) == nil {
		return id
	}
	var o struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(raw, &o) // "" then
	return o.ID
}

func paymentSteps(now, after map[string]any, live bool) []connectors.Step {
	if now == nil && !live {
		return nil
	}
	was, is := str(now["status"]), str(after["status"])
	switch {
	case is == "Succeeded" && was != is:
		return []connectors.Step{{Verb: "capture", Fields: []string{"status", "amountReceived"}}}
	case is == "Refunded" && was != is:
		return []connectors.Step{{Verb: "refund", Fields: []string{"status", "amountRefunded"}}}
	}
	// A refund of a part is one too, though the payment stays.
	before, _ := rat(now["amountRefunded"])
	if amount, ok := rat(after["amountRefunded"]); ok && amount.Cmp(before) > 0 {
		return []connectors.Step{{Verb: "refund", Fields: []string{"status", "amountRefunded"}}}
	}
	return nil
}
