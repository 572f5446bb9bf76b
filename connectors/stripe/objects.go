package stripe

import (
	"encoding/json"
	"math"
	"strings"
	"time"

	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
	api "github.com/stripe/stripe-go/v85"
)

// Metadata that we leave at Stripe's objects.
const (
	metaEvent   = "headlessly_event"   // the event that made the object
	metaContact = "headlessly_contact" // the Contact that a customer is
	metaSlug    = "slug"
	metaPlan    = "plan"
)

// at gives a time of Stripe (seconds) as the graph writes it, nil for none.
func at(seconds int64) any {
	if seconds == 0 {
		return nil
	}
	return graph.FormatTime(seconds * 1_000_000)
}

// text gives nil for an empty string.
func text[S ~string](s S) any {
	if s == "" {
		return nil
	}
	return string(s)
}

func refTo(typ, key, id string) connectors.Ref {
	return connectors.Ref{Type: typ, Key: key, ID: id}
}

// upper is a currency as the graph has it.
func currency(c api.Currency) any { return text(strings.ToUpper(string(c))) }

func customer(raw []byte) (connectors.Change, error) {
	var c api.Customer
	if err := decode(raw, &c); err != nil {
		return connectors.Change{}, err
	}
	ch := connectors.Change{Type: typeCustomer, Key: keyCustomer, ID: c.ID, Gone: c.Deleted, Origin: c.Metadata[metaEvent], Made: time.Unix(c.Created, 0)}
	name, email := c.Name, c.Email
	if name == "" {
		if name = email; name == "" {
			name = c.ID
		}
	}
	if email == "" {
		email = placeholder(c.ID)
	}
	ch.Fields = map[string]any{
		"name": name, "email": email, "currency": currency(c.Currency), "taxExempt": text(c.TaxExempt), "phone": text(c.Phone), "description": text(c.Description),
		"paymentMethod": nil, "discount": nil,
	}
	if s := c.InvoiceSettings; s != nil && s.DefaultPaymentMethod != nil {
		ch.Fields["paymentMethod"] = s.DefaultPaymentMethod.ID
	}
	if contact := c.Metadata[metaContact]; strings.HasPrefix(contact, "contact_") {
		ch.Fields["contact"] = contact
	}
	if c.Discount != nil {
		ch.Fields["discount"] = discount(c.Discount)
	}
	return ch, nil
}

// placeholder stands for an address that a customer does not have.
func placeholder(id string) string { return id + "@stripe.invalid" }

func product(raw []byte) (connectors.Change, error) {
	var p api.Product
	if err := decode(raw, &p); err != nil {
		return connectors.Change{}, err
	}
	ch := connectors.Change{Type: typeProduct, Key: keyProduct, ID: p.ID, Gone: p.Deleted, Origin: p.Metadata[metaEvent], Made: time.Unix(p.Created, 0)}
	var features []any
	for _, f := range p.MarketingFeatures {
		features = append(features, f.Name)
	}
	status := "Archived"
	if p.Active {
		status = "Active"
	}
	ch.Fields = map[string]any{"name": p.Name, "description": text(p.Description), "image": nil, "features": nil, "status": status}
	if len(features) > 0 {
		ch.Fields["features"] = features
	}
	if len(p.Images) > 0 {
		ch.Fields["image"] = p.Images[0]
	}
	if slug := p.Metadata[metaSlug]; slug != "" {
		ch.Fields["slug"] = slug
	}
	return ch, nil
}

func price(raw []byte) (connectors.Change, error) {
	var p api.Price
	if err := decode(raw, &p); err != nil {
		return connectors.Change{}, err
	}
	ch := connectors.Change{Type: typePrice, Key: keyPrice, ID: p.ID, Gone: p.Deleted, Origin: p.Metadata[metaEvent], Made: time.Unix(p.Created, 0)}
	interval, count := intervalOf(p.Recurring)
	ch.Fields = map[string]any{
		"amount": amountOf(&p), "currency": currency(p.Currency), "interval": interval, "intervalCount": count, "active": p.Active,
		"lookupKey": text(p.LookupKey), "nickname": text(p.Nickname), "billingScheme": text(p.BillingScheme), "unitAmountDecimal": decimal(raw),
	}
	if p.Recurring != nil {
		ch.Fields["recurringInterval"], ch.Fields["usageType"] = string(p.Recurring.Interval), string(p.Recurring.UsageType)
	}
	if len(p.Tiers) > 0 {
		ch.Fields["tiersMode"], ch.Fields["tiers"] = string(p.TiersMode), tiers(p.Tiers)
	}
	if p.TransformQuantity != nil {
		ch.Fields["transformQuantity"] = map[string]any{"divideBy": p.TransformQuantity.DivideBy, "round": string(p.TransformQuantity.Round)}
	}
	if p.Product != nil {
		ch.Refs = map[string]connectors.Ref{"product": refTo(typeProduct, keyProduct, p.Product.ID)}
	}
	return ch, nil
}

// decimal is a price's unit amount where it has fractions of a minor unit, as
// written; nil otherwise.
func decimal(raw []byte) any {
	var p struct {
		Amount  *int64 `json:"unit_amount"`
		Decimal string `json:"unit_amount_decimal"`
	}
	if json.Unmarshal(raw, &p) != nil || p.Amount != nil || p.Decimal == "" {
		return nil
	}
	return p.Decimal
}

// amountOf is a price's amount in minor units; what has fractions is rounded,
// and what has tiers has none.
func amountOf(p *api.Price) int64 {
	if p.UnitAmount == 0 && p.UnitAmountDecimal != 0 {
		return int64(math.Round(p.UnitAmountDecimal))
	}
	return p.UnitAmount
}

func tiers(all []*api.PriceTier) []any {
	var out []any
	for _, t := range all {
		m := map[string]any{"unitAmount": t.UnitAmount, "flatAmount": t.FlatAmount}
		if t.UpTo > 0 {
			m["upTo"] = t.UpTo
		}
		if t.UnitAmount == 0 && t.UnitAmountDecimal != 0 {
			m["unitAmountDecimal"] = t.UnitAmountDecimal
		}
		out = append(out, m)
	}
	return out
}

// intervalOf gives the entity's interval and count.
func intervalOf(r *api.PriceRecurring) (string, any) {
	if r == nil {
		return "OneTime", nil
	}
	if r.UsageType == api.PriceRecurringUsageTypeMetered {
		return "Usage", r.IntervalCount
	}
	switch r.Interval {
	case api.PriceRecurringIntervalDay:
		return "Daily", r.IntervalCount
	case api.PriceRecurringIntervalWeek:
		return "Weekly", r.IntervalCount
	case api.PriceRecurringIntervalYear:
		return "Yearly", r.IntervalCount
	}
	if r.IntervalCount > 0 && r.IntervalCount%3 == 0 {
		return "Quarterly", r.IntervalCount / 3
	}
	return "Monthly", r.IntervalCount
}

// discount is what metrics need of a discount; the coupon must be expanded.
func discount(d *api.Discount) map[string]any {
	m := map[string]any{"id": d.ID}
	if v := at(d.Start); v != nil {
		m["start"] = v
	}
	if v := at(d.End); v != nil {
		m["end"] = v
	}
	if d.Source == nil || d.Source.Coupon == nil {
		return m
	}
	c := d.Source.Coupon
	m["coupon"] = c.ID
	if c.PercentOff != 0 {
		m["percentOff"] = c.PercentOff
	}
	if c.AmountOff != 0 {
		m["amountOff"], m["currency"] = c.AmountOff, currency(c.Currency)
	}
	if c.Duration != "" {
		m["duration"] = string(c.Duration)
	}
	return m
}
