package stripe

import (
	"time"

	"github.com/headlessly/headlessly/connectors"
	api "github.com/stripe/stripe-go/v85"
)

func invoiceStatus(s api.InvoiceStatus) string {
	switch s {
	case api.InvoiceStatusOpen:
		return "Open"
	case api.InvoiceStatusPaid:
		return "Paid"
	case api.InvoiceStatusVoid:
		return "Voided"
	case api.InvoiceStatusUncollectible:
		return "Uncollectible"
	}
	return "Draft"
}

func invoice(raw []byte, live bool) (connectors.Change, error) {
	var i api.Invoice
	if err := decode(raw, &i); err != nil {
		return connectors.Change{}, err
	}
	ch := connectors.Change{Type: typeInvoice, Key: keyInvoice, ID: i.ID, Gone: i.Deleted, Origin: i.Metadata[metaEvent], Made: time.Unix(i.Created, 0), Refs: map[string]connectors.Ref{}}
	f := map[string]any{
		"number": text(i.Number), "subtotal": i.Subtotal, "total": i.Total, "amountPaid": i.AmountPaid, "amountDue": i.AmountDue, "currency": currency(i.Currency),
		"status": invoiceStatus(i.Status), "periodStart": at(i.PeriodStart), "periodEnd": at(i.PeriodEnd), "dueAt": at(i.DueDate),
		"pdfUrl": text(i.InvoicePDF), "hostedUrl": text(i.HostedInvoiceURL), "billingReason": text(i.BillingReason),
		"issuedAt": nil, "paidAt": nil, "voidedAt": nil,
	}
	var tax, off int64
	for _, t := range i.TotalTaxes {
		tax += t.Amount
	}
	for _, d := range i.TotalDiscountAmounts {
		off += d.Amount
	}
	f["tax"], f["discount"] = tax, off
	if t := i.StatusTransitions; t != nil {
		f["issuedAt"], f["paidAt"], f["voidedAt"] = at(t.FinalizedAt), at(t.PaidAt), at(t.VoidedAt)
	}
	if i.Customer != nil {
		ch.Refs["customer"] = refTo(typeCustomer, keyCustomer, i.Customer.ID)
	}
	if p := i.Parent; p != nil && p.SubscriptionDetails != nil && p.SubscriptionDetails.Subscription != nil {
		ch.Refs["subscription"] = refTo(typeSubscription, keySubscription, p.SubscriptionDetails.Subscription.ID)
	}
	f["lineItems"] = lines(i.Lines)
	ch.Fields = f
	ch.Steps = func(now, after map[string]any) []connectors.Step { return invoiceSteps(now, after, live) }
	return ch, nil
}

// lines maps an invoice's lines, as many as Stripe puts into it.
func lines(l *api.InvoiceLineItemList) any {
	if l == nil || len(l.Data) == 0 {
		return nil
	}
	var out []any
	for _, it := range l.Data {
		m := map[string]any{"id": it.ID, "amount": it.Amount, "quantity": it.Quantity}
		if it.Description != "" {
			m["description"] = it.Description
		}
		if it.Period != nil {
			m["periodStart"], m["periodEnd"] = at(it.Period.Start), at(it.Period.End)
		}
		if it.Pricing != nil && it.Pricing.PriceDetails != nil && it.Pricing.PriceDetails.Price != nil {
			m["price"] = it.Pricing.PriceDetails.Price.ID
		}
		if p := it.Parent; p != nil && p.SubscriptionItemDetails != nil && p.SubscriptionItemDetails.Proration {
			m["proration"] = true
		}
		for k, v := range m {
			if v == nil {
				delete(m, k)
			}
		}
		out = append(out, m)
	}
	if l.HasMore {
		out = append(out, map[string]any{"more": true})
	}
	return out
}

// invoiceSteps are the verbs that a change of an invoice means. An invoice that
// is new to us and already paid was finalized too.
func invoiceSteps(now, after map[string]any, live bool) (out []connectors.Step) {
	if now == nil && !live {
		return nil
	}
	was, is := str(now["status"]), str(after["status"])
	if was == is {
		return nil
	}
	if (was == "Draft" || was == "") && (is == "Open" || is == "Paid") {
		out = append(out, connectors.Step{Verb: "finalize", Fields: []string{"number", "issuedAt", "dueAt", "status"}})
	}
	switch is {
	case "Paid":
		out = append(out, connectors.Step{Verb: "pay", Fields: []string{"status", "paidAt", "amountPaid", "amountDue"}})
	case "Voided":
		out = append(out, connectors.Step{Verb: "void", Fields: []string{"status", "voidedAt"}})
	}
	return out
}
