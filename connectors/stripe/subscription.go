package stripe

import (
	"encoding/json"
	"fmt"
	"math/big"
	"time"

	"github.com/headlessly/headlessly/connectors"
	api "github.com/stripe/stripe-go/v85"
)

func subscriptionStatus(s *api.Subscription) string {
	switch s.Status {
	case api.SubscriptionStatusPastDue:
		return "PastDue"
	case api.SubscriptionStatusCanceled, api.SubscriptionStatusIncompleteExpired:
		return "Cancelled"
	case api.SubscriptionStatusTrialing:
		return "Trialing"
	case api.SubscriptionStatusPaused:
		return "Paused"
	case api.SubscriptionStatusIncomplete:
		return "Incomplete"
	case api.SubscriptionStatusUnpaid:
		return "Unpaid"
	}
	if s.PauseCollection != nil && s.PauseCollection.Behavior != "" {
		return "Paused"
	}
	return "Active"
}

// subscription maps a subscription. live tells a change that is happening from
// what a list holds.
func subscription(raw []byte, live bool) (connectors.Change, error) {
	var s api.Subscription
	if err := decode(raw, &s); err != nil {
		return connectors.Change{}, err
	}
	ch := connectors.Change{Type: typeSubscription, Key: keySubscription, ID: s.ID, Origin: s.Metadata[metaEvent], Made: time.Unix(s.Created, 0)}
	f := map[string]any{
		"status": subscriptionStatus(&s), "cancelAtPeriodEnd": s.CancelAtPeriodEnd, "cancelAt": at(s.CancelAt), "currency": currency(s.Currency),
		"trialStart": at(s.TrialStart), "trialEnd": at(s.TrialEnd), "startedAt": at(s.StartDate), "canceledAt": at(s.CanceledAt), "endedAt": at(s.EndedAt),
		"collectionMethod": text(s.CollectionMethod), "cancelReason": nil, "cancelFeedback": nil, "resumesAt": nil, "discounts": nil,
		"currentPeriodStart": nil, "currentPeriodEnd": nil, "quantity": nil, "items": nil, "livemode": s.Livemode,
	}
	ch.Fields, ch.Refs = f, map[string]connectors.Ref{}
	if d := s.CancellationDetails; d != nil {
		f["cancelReason"], f["cancelFeedback"] = text(d.Reason), text(d.Feedback)
	}
	if s.Status == api.SubscriptionStatusIncompleteExpired {
		f["cancelReason"] = "incomplete_expired"
	}
	if s.PauseCollection != nil {
		f["resumesAt"] = at(s.PauseCollection.ResumesAt)
	}
	if f["status"] != "Paused" {
		f["pausedAt"] = nil
	}
	if s.Customer != nil {
		f["stripeCustomerId"] = s.Customer.ID
		ch.Refs["customer"] = refTo(typeCustomer, keyCustomer, s.Customer.ID)
	}
	if contact := s.Metadata[metaContact]; contact != "" {
		f["contact"] = contact
	}
	var discounts []any
	for _, d := range s.Discounts {
		discounts = append(discounts, discount(d))
	}
	if len(discounts) > 0 {
		f["discounts"] = discounts
	}
	subscriptionItems(&s, raw, f, ch.Refs)
	if s.Items != nil && s.Items.HasMore { // a part of them must not stand for all
		ch.Fit = func(_, fields map[string]any) { delete(fields, "items") }
	}
	if plan := s.Metadata[metaPlan]; plan != "" {
		f["plan"] = plan
	}
	ch.Steps = func(now, after map[string]any) []connectors.Step { return subscriptionSteps(now, after, live) }
	return ch, nil
}

// subscriptionItems maps the items; the first one stands for the subscription.
func subscriptionItems(s *api.Subscription, raw []byte, f map[string]any, refs map[string]connectors.Ref) {
	if s.Items == nil || len(s.Items.Data) == 0 {
		return
	}
	var lists struct {
		Items struct {
			Data []struct {
				Price json.RawMessage `json:"price"`
			} `json:"data"`
		} `json:"items"`
	}
	_ = json.Unmarshal(raw, &lists) // it was decoded before
	var items []any
	for i, it := range s.Items.Data {
		m := map[string]any{"id": it.ID, "quantity": it.Quantity}
		if p := it.Price; p != nil {
			interval, count := intervalOf(p.Recurring)
			m["price"], m["amount"], m["currency"], m["interval"] = p.ID, amountOf(p), currency(p.Currency), interval
			if count != nil {
				m["intervalCount"] = count
			}
			if p.Recurring != nil {
				m["usageType"], m["recurringInterval"], m["recurringCount"] = string(p.Recurring.UsageType), string(p.Recurring.Interval), p.Recurring.IntervalCount
			}
			if p.BillingScheme == api.PriceBillingSchemeTiered {
				m["tiered"] = true
			}
			if p.Product != nil {
				m["product"] = p.Product.ID
			}
			if i < len(lists.Items.Data) {
				if d := decimal(lists.Items.Data[i].Price); d != nil {
					m["unitAmountDecimal"] = d
				}
			}
		}
		var discounts []any
		for _, d := range it.Discounts {
			discounts = append(discounts, discount(d))
		}
		if len(discounts) > 0 {
			m["discounts"] = discounts
		}
		items = append(items, m)
	}
	first := s.Items.Data[0]
	f["items"], f["quantity"], f["currentPeriodStart"], f["currentPeriodEnd"] = items, first.Quantity, at(first.CurrentPeriodStart), at(first.CurrentPeriodEnd)
	if p := first.Price; p != nil {
		refs["price"] = refTo(typePrice, keyPrice, p.ID)
		switch {
		case p.LookupKey != "":
			f["plan"] = p.LookupKey
		case p.Nickname != "":
			f["plan"] = p.Nickname
		case p.Product != nil:
			f["plan"] = p.Product.ID
		}
	}
}

// unexpanded says whether a subscription holds discounts of which only the ids
// are given.
func unexpanded(raw []byte) bool {
	var s struct {
		Discounts []json.RawMessage `json:"discounts"`
		Items     struct {
			Data []struct {
				Discounts []json.RawMessage `json:"discounts"`
			} `json:"data"`
			HasMore bool `json:"has_more"`
		} `json:"items"`
	}
	if json.Unmarshal(raw, &s) != nil {
		return false
	}
	ids := func(list []json.RawMessage) bool {
		for _, d := range list {
			if len(d) > 0 && d[0] == '"' {
				return true
			}
			var open struct {
				Source struct{ Coupon json.RawMessage }
			}
			if json.Unmarshal(d, &open) == nil && len(open.Source.Coupon) > 0 && open.Source.Coupon[0] == '"' {
				return true
			}
		}
		return false
	}
	for _, it := range s.Items.Data {
		if ids(it.Discounts) {
			return true
		}
	}
	return ids(s.Discounts) || s.Items.HasMore
}

// subscriptionSteps are the verbs that a change of a subscription means.
func subscriptionSteps(now, after map[string]any, live bool) []connectors.Step {
	if now == nil {
		if live && after["status"] == "Cancelled" {
			return []connectors.Step{{Verb: "cancel", Fields: cancelFields()}}
		}
		return nil
	}
	var out []connectors.Step
	was, is := now["status"], after["status"]
	ends, _ := now["cancelAtPeriodEnd"].(bool)
	ending, _ := after["cancelAtPeriodEnd"].(bool)
	switch {
	case is == "Cancelled" && was != "Cancelled":
		return []connectors.Step{{Verb: "cancel", Fields: cancelFields()}}
	case is == "Paused" && was != "Paused":
		out = append(out, connectors.Step{Verb: "pause", Fields: []string{"status", "resumesAt"}})
	case was == "Paused" && is == "Active", was == "Cancelled" && is == "Active", ends && !ending && is == was:
		out = append(out, connectors.Step{Verb: "reactivate", Fields: []string{"status", "pausedAt", "canceledAt", "resumesAt", "cancelAtPeriodEnd", "cancelAt"}})
	case is == "Active" && was != "Active":
		out = append(out, connectors.Step{Verb: "activate", Fields: []string{"status"}})
	}
	if c := monthly(after).Cmp(monthly(now)); c != 0 {
		verb := "upgrade"
		if c < 0 {
			verb = "downgrade"
		}
		out = append(out, connectors.Step{Verb: verb, Fields: []string{"price", "plan", "quantity", "items"}})
	}
	if start := str(now["currentPeriodStart"]); start != "" && str(after["currentPeriodStart"]) > start && is == "Active" && was == "Active" {
		out = append(out, connectors.Step{Verb: "renew", Fields: []string{"currentPeriodStart", "currentPeriodEnd"}})
	}
	return out
}

func cancelFields() []string {
	return []string{"status", "canceledAt", "endedAt", "cancelReason", "cancelFeedback"}
}

func str(v any) string {
	s, _ := v.(string)
	return s
}

// monthly is what a subscription's items list for a month, before discounts:
// enough to tell an upgrade from a downgrade. Tiers count by quantity.
func monthly(f map[string]any) *big.Rat {
	sum := new(big.Rat)
	items, _ := f["items"].([]any)
	for _, it := range items {
		m, ok := it.(map[string]any)
		if !ok {
			continue
		}
		unit, ok := rat(m["unitAmountDecimal"])
		if !ok {
			unit, _ = rat(m["amount"])
		}
		if tiered, _ := m["tiered"].(bool); tiered {
			unit = big.NewRat(1, 1)
		}
		q, ok := rat(m["quantity"])
		if !ok || m["interval"] == "Usage" {
			continue
		}
		per := perMonth(str(m["recurringInterval"]), m["recurringCount"])
		sum.Add(sum, unit.Mul(unit, q.Mul(q, per)))
	}
	return sum
}

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

// perMonth is how often an interval comes in a month.
func perMonth(interval string, count any) *big.Rat {
	n, ok := rat(count)
	if !ok || n.Sign() <= 0 {
		n = big.NewRat(1, 1)
	}
	per := big.NewRat(1, 1)
	switch interval {
	case "day":
		per = big.NewRat(365, 12)
	case "week":
		per = big.NewRat(52, 12)
	case "year":
		per = big.NewRat(1, 12)
	}
	return per.Quo(per, n)
}
