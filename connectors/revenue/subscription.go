package revenue

import (
	"encoding/json"
	"fmt"
	"math/big"
	"time"
)

// fields are an entity's, as the graph has them.
type fields = map[string]any

// subscription is what metrics need of one.
type subscription struct {
	id, customer, status string
	currency             string
	live                 bool
	integration          string
	started              time.Time // of its first paid period
	ended                time.Time // zero while it has not
	trialEnd             time.Time
	items                []item
	discounts            []off
}

type item struct {
	amount    *big.Rat // of one unit and interval, minor units
	quantity  *big.Rat
	perMonth  *big.Rat
	usage     bool
	tiered    bool
	price     string // its id at the provider, or the entity's
	currency  string
	discounts []off
}

// off is a discount.
type off struct {
	percent, amount *big.Rat // one of them
	currency        string
	once            bool
	start, end      time.Time
}

func str(f fields, name string) string {
	s, _ := f[name].(string)
	return s
}

func when(f fields, name string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, str(f, name))
	if err != nil {
		return time.Time{}
	}
	return t
}

// rat reads a number of any form; ok is false for none.
func rat(v any) (*big.Rat, bool) {
	if v == nil {
		return new(big.Rat), false
	}
	r, ok := new(big.Rat).SetString(fmt.Sprint(v))
	if !ok {
		return new(big.Rat), false
	}
	return r, true
}

func list(v any) (out []fields) {
	all, _ := v.([]any)
	for _, e := range all {
		if m, ok := e.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// read takes a Subscription entity apart. prices are the Price entities, by the
// provider's id and by ours, for subscriptions without items of their own.
func read(id string, f fields, prices map[string]fields) subscription {
	s := subscription{
		id: id, customer: str(f, "customer"), status: str(f, "status"), currency: str(f, "currency"), live: f["livemode"] != false, integration: str(f, "integration"),
		started: when(f, "startedAt"), ended: when(f, "endedAt"), trialEnd: when(f, "trialEnd"),
	}
	if s.customer == "" {
		if s.customer = str(f, "stripeCustomerId"); s.customer == "" {
			if s.customer = str(f, "contact"); s.customer == "" {
				s.customer = id
			}
		}
	}
	if s.trialEnd.After(s.started) {
		s.started = s.trialEnd
	}
	for _, m := range list(f["items"]) {
		s.items = append(s.items, readItem(m))
	}
	if len(s.items) == 0 {
		if p := prices[str(f, "price")]; p != nil {
			s.items = []item{fromPrice(p, f)}
		}
	}
	if s.currency == "" && len(s.items) > 0 {
		s.currency = s.items[0].currency
	}
	for _, m := range list(f["discounts"]) {
		s.discounts = append(s.discounts, readOff(m))
	}
	return s
}

func readItem(m fields) item {
	it := item{price: str(m, "price"), usage: str(m, "interval") == "Usage" || str(m, "usageType") == "metered", tiered: m["tiered"] == true, currency: str(m, "currency")}
	var ok bool
	if it.amount, ok = rat(m["unitAmountDecimal"]); !ok {
		it.amount, _ = rat(m["amount"])
	}
	if it.quantity, ok = rat(m["quantity"]); !ok {
		it.quantity = big.NewRat(1, 1)
	}
	if interval := str(m, "recurringInterval"); interval != "" {
		it.perMonth = perMonth(interval, m["recurringCount"])
	} else {
		it.perMonth = perMonth(str(m, "interval"), m["intervalCount"])
	}
	for _, d := range list(m["discounts"]) {
		it.discounts = append(it.discounts, readOff(d))
	}
	return it
}

// fromPrice makes the item of a subscription that only names a Price entity.
func fromPrice(p, sub fields) item {
	it := readItem(p)
	it.tiered = str(p, "billingScheme") == "tiered"
	it.price = str(sub, "price")
	if q, ok := rat(sub["quantity"]); ok {
		it.quantity = q
	} else {
		it.quantity = big.NewRat(1, 1)
	}
	return it
}

func readOff(m fields) off {
	o := off{currency: str(m, "currency"), once: str(m, "duration") == "once", start: when(m, "start"), end: when(m, "end")}
	if p, ok := rat(m["percentOff"]); ok {
		o.percent = p
	} else if a, ok := rat(m["amountOff"]); ok {
		o.amount = a
	}
	return o
}

// perMonth is how often an interval comes in a month.
func perMonth(interval string, count any) *big.Rat {
	n, ok := rat(count)
	if !ok || n.Sign() <= 0 {
		n = big.NewRat(1, 1)
	}
	per := big.NewRat(1, 1)
	switch interval {
	case "day", "Daily":
		per = big.NewRat(365, 12)
	case "week", "Weekly":
		per = big.NewRat(52, 12)
	case "Quarterly":
		per = big.NewRat(1, 3)
	case "year", "Yearly":
		per = big.NewRat(1, 12)
	case "OneTime":
		return new(big.Rat)
	}
	return per.Quo(per, n)
}

// paying says whether the subscription counts at an instant.
func (s *subscription) paying(at time.Time) bool {
	switch {
	case s.status != "Active" && s.status != "PastDue":
		return false
	case !s.ended.IsZero() && !s.ended.After(at):
		return false
	case s.trialEnd.After(at):
		return false
	}
	return true
}

// mrr is what the subscription brings in a month at an instant, exactly.
func (s *subscription) mrr(at time.Time, prices map[string]fields, customer []off) *big.Rat {
	sum := new(big.Rat)
	if !s.paying(at) {
		return sum
	}
	var interval *big.Rat
	for i := range s.items {
		it := &s.items[i]
		if it.usage {
			continue
		}
		if interval == nil {
			interval = it.perMonth
		}
		price := it.charge(prices[it.price])
		price = reduce(price, it.discounts, at, s.currency)
		sum.Add(sum, price.Mul(price, it.perMonth))
	}
	discounts := s.discounts
	if len(discounts) == 0 {
		discounts = customer // a customer's discount is for subscriptions without one
	}
	if interval == nil || interval.Sign() == 0 {
		return sum
	}
	// An amount is taken off each invoice: once an interval.
	sum.Quo(sum, interval)
	sum = reduce(sum, discounts, at, s.currency)
	return sum.Mul(sum, interval)
}

// reduce takes discounts off a price, one after the other, never below nothing.
func reduce(price *big.Rat, discounts []off, at time.Time, currency string) *big.Rat {
	out := new(big.Rat).Set(price)
	for _, d := range discounts {
		switch {
		case d.once, d.start.After(at), !d.end.IsZero() && !d.end.After(at):
		case d.percent != nil:
			rest := new(big.Rat).Sub(big.NewRat(100, 1), d.percent)
			out.Mul(out, rest.Quo(rest, big.NewRat(100, 1)))
		case d.amount != nil && (d.currency == "" || currency == "" || d.currency == currency):
			out.Sub(out, d.amount)
		}
	}
	if out.Sign() < 0 {
		out.SetInt64(0)
	}
	return out
}

// charge is what an item costs for one interval.
func (it *item) charge(price fields) *big.Rat {
	quantity := it.quantity
	if t, ok := price["transformQuantity"].(map[string]any); ok {
		quantity = transform(quantity, t)
	}
	if !it.tiered {
		return new(big.Rat).Mul(it.amount, quantity)
	}
	return tiers(list(price["tiers"]), str(price, "tiersMode"), quantity)
}

// transform packs a quantity: 7 by tens, rounded up, is 1.
func transform(q *big.Rat, t fields) *big.Rat {
	by, ok := rat(t["divideBy"])
	if !ok || by.Sign() <= 0 {
		return q
	}
	d := new(big.Rat).Quo(q, by)
	whole := new(big.Int).Quo(d.Num(), d.Denom())
	if t["round"] == "up" && !d.IsInt() {
		whole.Add(whole, big.NewInt(1))
	}
	return new(big.Rat).SetInt(whole)
}

// tiers is what tiers ask for a quantity: each its part, or the one that the
// quantity falls into for all of it.
func tiers(all []fields, mode string, quantity *big.Rat) *big.Rat {
	sum, from := new(big.Rat), new(big.Rat)
	for _, t := range all {
		upTo, bounded := rat(t["upTo"])
		unit, decimal := rat(t["unitAmountDecimal"])
		if !decimal {
			unit, _ = rat(t["unitAmount"])
		}
		flat, _ := rat(t["flatAmount"])
		last := !bounded || quantity.Cmp(upTo) <= 0
		if mode == "volume" {
			if last {
				return sum.Add(flat, unit.Mul(unit, quantity))
			}
			continue
		}
		part := new(big.Rat).Set(quantity)
		if !last {
			part.Set(upTo)
		}
		part.Sub(part, from)
		if quantity.Sign() > 0 {
			sum.Add(sum, flat)
		}
		sum.Add(sum, part.Mul(part, unit))
		if last {
			return sum
		}
		from = upTo
	}
	return sum
}

// decodeFields reads an entity's JSON with numbers as they are written.
func decodeFields(raw []byte) (fields, error) {
	dec := json.NewDecoder(bytesReader(raw))
	dec.UseNumber()
	var f fields
	return f, dec.Decode(&f)
}
