package gateway

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/revenue"
)

const (
	// revenueFor is how long the status shows a report before another is made.
	revenueFor = time.Minute
	// snapshotScan is how often it is looked whether a day has ended.
	snapshotScan = 10 * time.Minute
)

// revenues remembers each tenant's last report, for the status.
type revenues struct {
	mu   sync.Mutex
	last map[string]*revenue.Report
}

// revenueNow gives a tenant's metrics, of the last minute at the oldest; nil for
// a tenant without subscriptions.
func (g *Gateway) revenueNow(ctx context.Context, tenant string) (*revenue.Report, error) {
	now := headlessly.SystemClock()
	g.revenue.mu.Lock()
	r := g.revenue.last[tenant]
	g.revenue.mu.Unlock()
	if r != nil && now.Sub(r.At) < revenueFor {
		return r, nil
	}
	sc, err := g.graph.Scope(tenant, graph.Anonymous)
	if err != nil {
		return nil, err
	}
	if n, err := sc.Count(ctx, "Subscription", nil, graph.AsOf{}); err != nil || n == 0 {
		return nil, err
	}
	if r, err = revenue.At(ctx, sc, revenue.Query{At: now}); err != nil {
		return nil, err
	}
	g.revenue.mu.Lock()
	defer g.revenue.mu.Unlock()
	if g.revenue.last == nil {
		g.revenue.last = map[string]*revenue.Report{}
	}
	g.revenue.last[tenant] = r
	return r, nil
}

// revenueMetrics are the source of alerts on money: revenue.EUR.mrr, in minor
// units, and the rates.
func (g *Gateway) revenueMetrics(ctx context.Context, tenant string) (map[string]float64, error) {
	r, err := g.revenueNow(ctx, tenant)
	if err != nil || r == nil {
		return nil, err
	}
	out := map[string]float64{}
	for _, currency := range r.Names() {
		for _, s := range rows(tenant, currency, r) {
			v := s.Value
			if s.Currency != "" {
				v = float64(s.Amount)
			}
			out["revenue."+currency+"."+s.Name] = v
		}
	}
	return out, nil
}

// snapshots writes each tenant's metrics of each day that has ended into the
// log, from where they become rows of metric_snapshots.
func (g *Gateway) snapshots(ctx context.Context) error {
	for {
		for _, tenant := range g.store.Tenants() {
			if err := g.snapshot(ctx, tenant); err != nil && ctx.Err() == nil {
				g.logger.Warn("revenue.snapshot", slog.String("tenant", tenant), slog.Any("error", err))
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(snapshotScan):
		}
	}
}

func (g *Gateway) snapshot(ctx context.Context, tenant string) error {
	midnight := headlessly.SystemClock().UTC().Truncate(24 * time.Hour)
	owner, day := "revenue/"+tenant, midnight.Format(time.DateOnly)
	seen, err := g.store.Seen(ctx, owner, day)
	if err != nil || seen[day] {
		return err
	}
	sc, err := g.graph.Scope(tenant, graph.Anonymous)
	if err != nil {
		return err
	}
	if n, err := sc.Count(ctx, "Subscription", nil, graph.AsOf{}); err != nil || n == 0 {
		return err
	}
	report, err := revenue.At(ctx, sc, revenue.Query{At: midnight, From: midnight.AddDate(0, -1, 0)})
	if err != nil {
		return err
	}
	var records []headlessly.Record
	for _, currency := range report.Names() {
		for _, s := range rows(tenant, currency, report) {
			data, err := s.AppendBinary(nil)
			if err != nil {
				return err
			}
			records = append(records, headlessly.Record{Kind: headlessly.RecordMetricSnapshot, Data: data})
		}
	}
	if len(records) > 0 {
		if _, err := g.log.Append(ctx, records...); err != nil {
			return err
		}
	}
	return g.store.NoteSeen(ctx, owner, day)
}

// rows turns one currency's metrics into snapshots.
func rows(tenant, currency string, r *revenue.Report) []headlessly.MetricSnapshot {
	m := r.Currencies[currency]
	of := func(name, unit string) headlessly.MetricSnapshot {
		return headlessly.MetricSnapshot{Tenant: tenant, Name: name, Kind: "Gauge", Unit: unit, Time: r.At.UnixMicro(), From: r.From.UnixMicro(), Source: "revenue"}
	}
	var out []headlessly.MetricSnapshot
	money := func(name string, amount int64) {
		s := of(name, "minor")
		s.Amount, s.Currency = amount, currency
		out = append(out, s)
	}
	number := func(name string, v float64) {
		s := of(name, "")
		s.Value, s.Dimensions = v, `{"currency":`+strconv.Quote(currency)+`}`
		out = append(out, s)
	}
	money("mrr", m.MRR)
	money("arr", m.ARR)
	for name, p := range map[string]*int64{"arpu": m.ARPU, "ltv": m.LTV} {
		if p != nil {
			money(name, *p)
		}
	}
	for name, v := range map[string]int64{"new": m.Movements.New, "expansion": m.Movements.Expansion, "reactivation": m.Movements.Reactivation, "contraction": m.Movements.Contraction, "churn": m.Movements.Churn} {
		money("mrr_"+name, v)
	}
	number("active_subscriptions", float64(m.ActiveSubscriptions))
	number("active_customers", float64(m.ActiveCustomers))
	for name, n := range map[string]interface{ Float64() (float64, error) }{"churn_rate": m.ChurnRate, "revenue_churn_rate": m.RevenueChurnRate, "nrr": m.NRR} {
		if v, err := n.Float64(); err == nil { // "" when there is nothing to divide by
			number(name, v)
		}
	}
	return out
}
