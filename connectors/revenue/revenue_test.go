package revenue_test

import (
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/headlessly/headlessly/connectors/connectortest"
	"github.com/headlessly/headlessly/connectors/revenue"
)

type fields = map[string]any

// item is a subscription's item as the connector stores it.
func item(amount int, interval string, count, quantity int, more ...fields) fields {
	m := fields{"price": fmt.Sprintf("price_%d_%s", amount, interval), "amount": amount, "currency": "EUR", "recurringInterval": interval, "recurringCount": count, "quantity": quantity, "usageType": "licensed"}
	for _, f := range more {
		for k, v := range f {
			m[k] = v
		}
	}
	return m
}

func sub(status string, items ...fields) fields {
	list := make([]any, len(items))
	for i, it := range items {
		list[i] = it
	}
	return fields{"status": status, "currency": "EUR", "startedAt": "2025-01-01T00:00:00Z", "items": list}
}

func with(f fields, k string, v any) fields {
	f[k] = v
	return f
}

// TestGoldenMRR is worked out by hand: the sum in the third column is the whole
// calculation, in cents.
func TestGoldenMRR(t *testing.T) {
	b := connectortest.Start(t, connectortest.Options{})
	forever := func(k string, v any) fields {
		return fields{"duration": "forever", "start": "2025-01-01T00:00:00Z", k: v, "currency": "EUR"}
	}
	graduated := fields{"stripePriceId": "price_tiers", "amount": 0, "currency": "EUR", "interval": "Monthly", "billingScheme": "tiered", "tiersMode": "graduated", "tiers": []any{
		fields{"upTo": 5, "unitAmount": 1000, "flatAmount": 500}, fields{"upTo": 10, "unitAmount": 800}, fields{"unitAmount": 600},
	}}
	volume := with(with(with(fields{"amount": 0, "currency": "EUR", "interval": "Monthly", "billingScheme": "tiered", "tiersMode": "volume"}, "stripePriceId", "price_volume"), "tiers", []any{
		fields{"upTo": 5, "unitAmount": 1000}, fields{"upTo": 10, "unitAmount": 800, "flatAmount": 100}, fields{"unitAmount": 600},
	}), "nickname", "v")
	for i, row := range []struct {
		name string
		sub  fields
		by   string // the hand's calculation
		mrr  int64
		arr  int64
	}{
		{"a month", sub("Active", item(2900, "month", 1, 1)), "2900", 2900, 34800},
		{"three seats", sub("Active", item(2900, "month", 1, 3)), "3 × 2900", 8700, 104400},
		{"a year", sub("Active", item(120000, "year", 1, 1)), "120000 / 12", 10000, 120000},
		{"a year that does not divide: arr is exact", sub("Active", item(10000, "year", 1, 1)), "10000 / 12 = 833.33", 833, 10000},
		{"two years at once", sub("Active", item(240000, "year", 2, 1)), "240000 / 24", 10000, 120000},
		{"a quarter", sub("Active", item(9000, "month", 3, 1)), "9000 / 3", 3000, 36000},
		{"a week", sub("Active", item(1200, "week", 1, 1)), "1200 × 52 / 12", 5200, 62400},
		{"a fortnight", sub("Active", item(1200, "week", 2, 1)), "1200 × 52 / 12 / 2", 2600, 31200},
		{"a day", sub("Active", item(120, "day", 1, 1)), "120 × 365 / 12", 3650, 43800},
		{"two items of two intervals", sub("Active", item(1000, "month", 1, 2), item(12000, "year", 1, 1)), "2000 + 1000", 3000, 36000},
		{"a quarter of a cent by the unit", sub("Active", item(0, "month", 1, 1000, fields{"unitAmountDecimal": "0.25"})), "1000 × 0.25", 250, 3000},
		{"past due counts", sub("PastDue", item(2900, "month", 1, 1)), "2900", 2900, 34800},
		{"20 % off for ever", with(sub("Active", item(5000, "month", 1, 1)), "discounts", []any{forever("percentOff", 20)}), "5000 × 0.8", 4000, 48000},
		{"12.5 % off", with(sub("Active", item(1000, "month", 1, 1)), "discounts", []any{forever("percentOff", 12.5)}), "1000 × 0.875", 875, 10500},
		{"an amount off each month", with(sub("Active", item(5000, "month", 1, 1)), "discounts", []any{forever("amountOff", 700)}), "5000 − 700", 4300, 51600},
		{"an amount off each year", with(sub("Active", item(120000, "year", 1, 1)), "discounts", []any{forever("amountOff", 12000)}), "(120000 − 12000) / 12", 9000, 108000},
		{"two discounts after each other", with(sub("Active", item(10000, "month", 1, 1)), "discounts", []any{forever("percentOff", 50), forever("amountOff", 1000)}), "10000 × 0.5 − 1000", 4000, 48000},
		{"more off than it costs", with(sub("Active", item(500, "month", 1, 1)), "discounts", []any{forever("amountOff", 700)}), "0, never less", 0, 0},
		{"a coupon for one invoice", with(sub("Active", item(5000, "month", 1, 1)), "discounts", []any{fields{"duration": "once", "percentOff": 100}}), "5000", 5000, 60000},
		{"a repeating coupon that has run out", with(sub("Active", item(5000, "month", 1, 1)), "discounts", []any{fields{"duration": "repeating", "percentOff": 50, "start": "2025-01-01T00:00:00Z", "end": "2025-04-01T00:00:00Z"}}), "5000", 5000, 60000},
		{"a repeating coupon that lasts", with(sub("Active", item(5000, "month", 1, 1)), "discounts", []any{fields{"duration": "repeating", "percentOff": 50, "start": "2025-09-01T00:00:00Z", "end": "2025-12-01T00:00:00Z"}}), "5000 × 0.5", 2500, 30000},
		{"a discount on one item", sub("Active", item(1000, "month", 1, 1, fields{"discounts": []any{forever("percentOff", 10)}}), item(2000, "month", 1, 1)), "900 + 2000", 2900, 34800},
		{"graduated tiers, 12 of them", sub("Active", item(0, "month", 1, 12, fields{"tiered": true, "price": "price_tiers"})), "500 + 5 × 1000 + 5 × 800 + 2 × 600", 10700, 128400},
		{"volume tiers, 7 of them", sub("Active", item(0, "month", 1, 7, fields{"tiered": true, "price": "price_volume"})), "100 + 7 × 800", 5700, 68400},
		{"by usage", sub("Active", item(100, "month", 1, 1, fields{"usageType": "metered"})), "0: nobody knows it before", 0, 0},
		{"by usage beside a seat", sub("Active", item(100, "month", 1, 1, fields{"usageType": "metered"}), item(900, "month", 1, 1)), "900", 900, 10800},
		{"a trial", with(sub("Trialing", item(2900, "month", 1, 1)), "trialEnd", "2025-12-01T00:00:00Z"), "0", 0, 0},
		{"paused", sub("Paused", item(2900, "month", 1, 1)), "0", 0, 0},
		{"cancelled", sub("Cancelled", item(2900, "month", 1, 1)), "0", 0, 0},
		{"incomplete", sub("Incomplete", item(2900, "month", 1, 1)), "0", 0, 0},
		{"unpaid", sub("Unpaid", item(2900, "month", 1, 1)), "0", 0, 0},
		{"cancelled at the period's end, which is to come", with(sub("Active", item(2900, "month", 1, 1)), "cancelAtPeriodEnd", true), "2900", 2900, 34800},
	} {
		tenant := fmt.Sprintf("row-%d", i)
		sc, err := b.Graph.Scope(tenant, "apikey_test")
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []fields{graduated, volume} {
			if _, err := sc.Create(t.Context(), "Price", p); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := sc.Create(t.Context(), "Subscription", row.sub); err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		r, err := revenue.At(t.Context(), sc, revenue.Query{At: b.Clock.Now()})
		if err != nil {
			t.Fatal(err)
		}
		var got revenue.Metrics
		if m := r.Currencies["EUR"]; m != nil {
			got = *m
		}
		if got.MRR != row.mrr || got.ARR != row.arr {
			t.Errorf("%s: mrr %d, arr %d; by hand %s = %d, %d", row.name, got.MRR, got.ARR, row.by, row.mrr, row.arr)
		}
	}
}

// TestAYearOfACompany follows six customers through five months. By hand:
//
//	              May    Jun    Jul    Aug    Sep
//	ada          1000   1000   2000   2000   2000   expands in July
//	bob          3000   3000   1500   1500   1500   contracts in July
//	cyd          2000   2000      0      0   2500   is lost in July, comes back in September
//	dan (trial)     0      0   4000   4000   4000   new when the trial ends
//	eve                               5000   5000   new in August
//	fay (USD)    7000   7000   7000      0      0   lost in August
//	EUR sum      6000   6000   7500  12500  15000
func TestAYearOfACompany(t *testing.T) {
	b := connectortest.Start(t, connectortest.Options{})
	ctx := t.Context()
	day := func(month int) time.Time { return time.Date(2026, time.Month(month), 1, 12, 0, 0, 0, time.UTC) }
	to := func(month int) { b.Clock.Advance(day(month).Sub(b.Clock.Now())) }
	subscribe := func(who string, amount int, more fields) string {
		f := with(with(sub("Active", item(amount, "month", 1, 1)), "stripeCustomerId", who), "startedAt", b.Clock.Now().Format(time.RFC3339))
		for k, v := range more {
			f[k] = v
		}
		e, err := b.Scope.Create(ctx, "Subscription", f)
		if err != nil {
			t.Fatal(err)
		}
		return e.ID
	}
	change := func(id, verb string, f fields) {
		if _, err := b.Scope.Verb(ctx, "Subscription", verb, id, f); err != nil {
			t.Fatal(err)
		}
	}
	at := func(amount int) []any { return []any{item(amount, "month", 1, 1)} }

	to(4)
	ada, bob, cyd := subscribe("ada", 1000, nil), subscribe("bob", 3000, nil), subscribe("cyd", 2000, nil)
	fay := subscribe("fay", 7000, fields{"currency": "USD"})
	dan := subscribe("dan", 4000, fields{"status": "Trialing", "trialEnd": "2026-06-15T00:00:00Z"})
	to(6)
	b.Clock.Advance(14 * 24 * time.Hour)
	change(ada, "upgrade", fields{"items": at(2000)})
	change(bob, "downgrade", fields{"items": at(1500)})
	change(cyd, "cancel", fields{"endedAt": b.Clock.Now().Format(time.RFC3339)})
	change(dan, "activate", nil)
	to(7)
	b.Clock.Advance(14 * 24 * time.Hour)
	subscribe("eve", 5000, nil)
	change(fay, "cancel", nil)
	to(8)
	b.Clock.Advance(14 * 24 * time.Hour)
	subscribe("cyd", 2500, nil)
	to(10)

	for _, row := range []struct {
		from, at int
		currency string
		want     string
	}{
		{4, 5, "EUR", "mrr 6000 arr 72000 subs 3 customers 3 arpu 2000 churn - revenue churn - nrr - | start 0 new 6000 expansion 0 reactivation 0 contraction 0 churn 0 net 6000"},
		{5, 6, "EUR", "mrr 6000 arr 72000 subs 3 customers 3 arpu 2000 churn 0 revenue churn 0 nrr 1 | start 6000 new 0 expansion 0 reactivation 0 contraction 0 churn 0 net 0"},
		// lost 1 of 3; gone 2000 + 1500 of 6000; those of June bring 2000 + 1500; arpu 7500/3; ltv 2500 ÷ 1/3
		{6, 7, "EUR", "mrr 7500 arr 90000 subs 3 customers 3 arpu 2500 ltv 7500 churn 0.333333 revenue churn 0.583333 nrr 0.583333 | start 6000 new 4000 expansion 1000 reactivation 0 contraction 1500 churn 2000 net 1500"},
		{7, 8, "EUR", "mrr 12500 arr 150000 subs 4 customers 4 arpu 3125 churn 0 revenue churn 0 nrr 1 | start 7500 new 5000 expansion 0 reactivation 0 contraction 0 churn 0 net 5000"},
		{8, 9, "EUR", "mrr 15000 arr 180000 subs 5 customers 5 arpu 3000 churn 0 revenue churn 0 nrr 1 | start 12500 new 0 expansion 0 reactivation 2500 contraction 0 churn 0 net 2500"},
		{7, 8, "USD", "mrr 0 arr 0 subs 0 customers 0 churn 1 revenue churn 1 nrr 0 | start 7000 new 0 expansion 0 reactivation 0 contraction 0 churn 7000 net -7000"},
		{4, 10, "EUR", "mrr 15000 arr 180000 subs 5 customers 5 arpu 3000 churn - revenue churn - nrr - | start 0 new 15000 expansion 0 reactivation 0 contraction 0 churn 0 net 15000"},
	} {
		from := day(row.from)
		if row.from == 4 {
			from = from.Add(-time.Hour)
		}
		r, err := revenue.At(ctx, b.Scope, revenue.Query{From: from, At: day(row.at)})
		if err != nil {
			t.Fatal(err)
		}
		if got := show(r.Currencies[row.currency]); got != row.want {
			t.Errorf("month %d to %d, %s:\n got %s\nwant %s", row.from, row.at, row.currency, got, row.want)
		}
	}
	half, err := revenue.At(ctx, b.Scope, revenue.Query{From: day(6), At: day(7), GrossMargin: big.NewRat(4, 5)})
	if err != nil {
		t.Fatal(err)
	}
	if got := *half.Currencies["EUR"].LTV; got != 6000 {
		t.Errorf("ltv with a margin of 80 %%: %d, by hand 7500 × 0.8 = 6000", got)
	}
}

func show(m *revenue.Metrics) string {
	if m == nil {
		return "nothing"
	}
	or := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	var b strings.Builder
	fmt.Fprintf(&b, "mrr %d arr %d subs %d customers %d ", m.MRR, m.ARR, m.ActiveSubscriptions, m.ActiveCustomers)
	if m.ARPU != nil {
		fmt.Fprintf(&b, "arpu %d ", *m.ARPU)
	}
	if m.LTV != nil {
		fmt.Fprintf(&b, "ltv %d ", *m.LTV)
	}
	v := m.Movements
	fmt.Fprintf(&b, "churn %s revenue churn %s nrr %s | start %d new %d expansion %d reactivation %d contraction %d churn %d net %d",
		or(string(m.ChurnRate)), or(string(m.RevenueChurnRate)), or(string(m.NRR)), v.Start, v.New, v.Expansion, v.Reactivation, v.Contraction, v.Churn, v.Net)
	return b.String()
}

// TestBeforeTheGraphKnewIt: what a first sync brings has a past.
func TestBeforeTheGraphKnewIt(t *testing.T) {
	b := connectortest.Start(t, connectortest.Options{})
	for who, f := range map[string]fields{
		"still there":   with(sub("Active", item(1000, "month", 1, 1)), "startedAt", "2025-02-01T00:00:00Z"),
		"ended in June": with(with(sub("Cancelled", item(2000, "month", 1, 1)), "startedAt", "2025-03-01T00:00:00Z"), "endedAt", "2025-06-15T00:00:00Z"),
		"paid from May": with(with(sub("Active", item(4000, "month", 1, 1)), "startedAt", "2025-04-15T00:00:00Z"), "trialEnd", "2025-05-15T00:00:00Z"),
		"never paid":    with(with(sub("Cancelled", item(8000, "month", 1, 1)), "endedAt", "2025-08-01T00:00:00Z"), "cancelReason", "incomplete_expired"),
	} {
		if _, err := b.Scope.Create(t.Context(), "Subscription", with(f, "stripeCustomerId", who)); err != nil {
			t.Fatal(err)
		}
	}
	for month, want := range map[time.Month]int64{time.January: 0, time.February: 1000, time.March: 3000, time.May: 3000, time.June: 7000, time.July: 5000} {
		r, err := revenue.At(t.Context(), b.Scope, revenue.Query{At: time.Date(2025, month, 2, 0, 0, 0, 0, time.UTC)})
		if err != nil {
			t.Fatal(err)
		}
		got := int64(0)
		if m := r.Currencies["EUR"]; m != nil {
			got = m.MRR
		}
		if got != want {
			t.Errorf("%s: mrr %d, want %d", month, got, want)
		}
	}
}
