package revenue

import (
	"context"
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/headlessly/headlessly/connectors/graph"
)

// Query says what to compute.
type Query struct {
	// At is the instant, From when the period of rates and movements began.
	At, From time.Time
	// GrossMargin is the part of the revenue that ltv counts; 1 unless set.
	GrossMargin *big.Rat
	// Integration keeps to the subscriptions of one; "" takes all.
	Integration string
	// Test takes subscriptions of the provider's test mode, and no others.
	Test bool
}

// Report is the metrics of one tenant at one instant, by currency.
type Report struct {
	At         time.Time           `json:"at"`
	From       time.Time           `json:"from"`
	Currencies map[string]*Metrics `json:"currencies"`
}

// Metrics are those of one currency. Money is in minor units. A rate is a
// decimal fraction, "" when there is nothing to divide by.
type Metrics struct {
	MRR                 int64       `json:"mrr"`
	ARR                 int64       `json:"arr"`
	ActiveSubscriptions int64       `json:"activeSubscriptions"`
	ActiveCustomers     int64       `json:"activeCustomers"`
	ARPU                *int64      `json:"arpu,omitempty"`
	LTV                 *int64      `json:"ltv,omitempty"`
	ChurnRate           json.Number `json:"churnRate,omitempty"`
	RevenueChurnRate    json.Number `json:"revenueChurnRate,omitempty"`
	NRR                 json.Number `json:"nrr,omitempty"`
	Movements           Movements   `json:"movements"`
}

// Movements are what changed mrr within the period, in minor units. New,
// Expansion and Reactivation are added, Contraction and Churn taken away; Net is
// the difference.
type Movements struct {
	Start        int64 `json:"start"`
	New          int64 `json:"new"`
	Expansion    int64 `json:"expansion"`
	Reactivation int64 `json:"reactivation"`
	Contraction  int64 `json:"contraction"`
	Churn        int64 `json:"churn"`
	Net          int64 `json:"net"`
}

// At computes a report. It reads every subscription twice: a second or two for
// a hundred thousand.
func At(ctx context.Context, sc *graph.Scope, q Query) (*Report, error) {
	if q.From.IsZero() {
		q.From = q.At.AddDate(0, -1, 0)
	}
	b, err := openBook(ctx, sc)
	if err != nil {
		return nil, err
	}
	end, err := take(ctx, sc, b, &q, q.At)
	if err != nil {
		return nil, err
	}
	start, err := take(ctx, sc, b, &q, q.From)
	if err != nil {
		return nil, err
	}
	r := &Report{At: q.At.UTC(), From: q.From.UTC(), Currencies: map[string]*Metrics{}}
	names := map[string]bool{}
	for c := range end.money {
		names[c] = true
	}
	for c := range start.money {
		names[c] = true
	}
	for c := range names {
		r.Currencies[c] = compare(start, end, c, q.GrossMargin)
	}
	return r, nil
}

// compare computes one currency's metrics.
func compare(start, end *moment, currency string, margin *big.Rat) *Metrics {
	was, is := start.money[currency], end.money[currency]
	mrr, before := total(is), total(was)
	m := &Metrics{MRR: round(mrr), ARR: round(times(mrr, 12)), ActiveSubscriptions: end.subscriptions[currency], ActiveCustomers: int64(len(is))}
	var added, expanded, back, contracted, churned, kept big.Rat
	lost := int64(0)
	everybody := maps.Clone(was)
	if everybody == nil {
		everybody = map[string]*big.Rat{}
	}
	maps.Copy(everybody, is)
	for who := range everybody {
		a, there := was[who]
		b, here := is[who]
		if a == nil {
			a = new(big.Rat)
		}
		if b == nil {
			b = new(big.Rat)
		}
		diff := new(big.Rat).Sub(b, a)
		switch {
		case there && !here:
			lost++
			churned.Add(&churned, a)
		case !there && start.earlier[currency][who]:
			back.Add(&back, b)
		case !there:
			added.Add(&added, b)
		case diff.Sign() > 0:
			expanded.Add(&expanded, diff)
		default:
			contracted.Sub(&contracted, diff)
		}
		if there {
			kept.Add(&kept, b)
		}
	}
	m.Movements = Movements{
		Start: round(before), New: round(&added), Expansion: round(&expanded), Reactivation: round(&back), Contraction: round(&contracted), Churn: round(&churned),
		Net: round(new(big.Rat).Sub(mrr, before)),
	}
	m.rates(mrr, before, &kept, new(big.Rat).Add(&churned, &contracted), lost, int64(len(was)), margin)
	return m
}

func (m *Metrics) rates(mrr, before, kept, gone *big.Rat, lost, customers int64, margin *big.Rat) {
	var arpu, churn *big.Rat
	if m.ActiveCustomers > 0 {
		arpu = new(big.Rat).Quo(mrr, big.NewRat(m.ActiveCustomers, 1))
		n := round(arpu)
		m.ARPU = &n
	}
	if customers > 0 {
		churn = big.NewRat(lost, customers)
		m.ChurnRate = rate(churn)
	}
	if before.Sign() > 0 {
		m.RevenueChurnRate, m.NRR = rate(new(big.Rat).Quo(gone, before)), rate(new(big.Rat).Quo(kept, before))
	}
	if arpu != nil && churn != nil && churn.Sign() > 0 {
		ltv := new(big.Rat).Quo(arpu, churn)
		if margin != nil {
			ltv.Mul(ltv, margin)
		}
		n := round(ltv)
		m.LTV = &n
	}
}

func total(of map[string]*big.Rat) *big.Rat {
	sum := new(big.Rat)
	for _, v := range of {
		sum.Add(sum, v)
	}
	return sum
}

func times(r *big.Rat, n int64) *big.Rat { return new(big.Rat).Mul(r, big.NewRat(n, 1)) }

// round gives whole minor units, half away from zero.
func round(r *big.Rat) int64 {
	twice := new(big.Int).Mul(r.Num(), big.NewInt(2))
	if r.Sign() < 0 {
		twice.Sub(twice, r.Denom())
	} else {
		twice.Add(twice, r.Denom())
	}
	return twice.Quo(twice, new(big.Int).Mul(r.Denom(), big.NewInt(2))).Int64()
}

// rateDigits are those of a rate after the point.
const rateDigits = 6

func rate(r *big.Rat) json.Number {
	s := r.FloatString(rateDigits)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return json.Number(s)
}

// Names lists the currencies of a report in order.
func (r *Report) Names() []string { return slices.Sorted(maps.Keys(r.Currencies)) }
