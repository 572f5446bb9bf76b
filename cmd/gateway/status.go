package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/alerts"
	"github.com/headlessly/headlessly/forwarders"
)

// openAlerts makes the watch over a tenant's metrics ready. Further parts add
// sources to g.metricSources before.
func (g *Gateway) openAlerts(context.Context) error {
	sources := append([]alerts.Source{g.gatewayMetrics}, g.metricSources...)
	g.alerts = alerts.New(g.graph, headlessly.SystemClock, g.logger, sources...)
	g.alongside = append(g.alongside, func(ctx context.Context) { g.alerts.Run(ctx, g.store.Tenants) })
	return nil
}

// gatewayMetrics are the numbers of a tenant's own deliveries, and those of the
// log and the lakehouse that all share.
func (g *Gateway) gatewayMetrics(_ context.Context, tenant string) (map[string]float64, error) {
	log, lake := g.log.Stats(), g.writer.Stats()
	free := 0.0
	if log.FreeBytes > 0 {
		free = float64(log.FreeBytes)
	}
	out := map[string]float64{
		"log.stored_bytes": float64(log.StoredBytes), "log.disk_free_bytes": free,
		"lake.lag_frames": float64(lake.Lag()), "lake.open_rows": float64(lake.OpenRows),
	}
	for name, s := range g.deliveryStatus(tenant) {
		for metric, n := range map[string]int64{
			"accepted": s.Accepted, "delivered": s.Delivered, "skipped": s.Skipped, "pending": s.Pending, "parked": s.Parked, "dead": s.Dead, "unknown": s.Unknown, "removed": s.Removed, "retries": s.Retries,
		} {
			out["delivery."+metric] += float64(n)
			out["delivery."+name+"."+metric] = float64(n)
		}
	}
	return out, nil
}

// status describes a tenant's health for people and agents.
func (g *Gateway) status(ctx context.Context, tenant string) (any, error) {
	problems := []string{}
	trouble := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if err := g.log.Ready(); err != nil {
		trouble("events are not accepted: %v", err)
	}
	destinations := g.deliveryStatus(tenant)
	problems = append(problems, deliveryProblems(destinations)...)
	integrations, err := g.connected.Status(ctx, tenant)
	if err != nil {
		return nil, err
	}
	for _, i := range integrations {
		if i.Status == "Errored" {
			trouble("integration %s (%s): %s", i.ID, i.Provider, i.Error)
		}
	}
	if s := g.writer.Stats(); s.LastError != "" {
		trouble("the lakehouse does not commit: %s", s.LastError)
	}
	metrics, err := g.alerts.Metrics(ctx, tenant)
	if err != nil {
		trouble("some metrics cannot be read now")
		g.logger.Warn("gateway.metrics", slog.Any("error", err))
	}
	watched, err := g.alerts.Check(ctx, tenant)
	if err != nil {
		g.logger.Warn("gateway.alerts", slog.Any("error", err))
	}
	for _, a := range watched {
		if a.Status == alerts.StatusFiring {
			trouble("alert %q: %s is %g, %s %g", a.Name, a.Metric, *a.Value, beyond(a.Direction), a.Threshold)
		}
	}
	money, err := g.revenueNow(ctx, tenant)
	if err != nil {
		trouble("the revenue cannot be computed now")
		g.logger.Warn("gateway.revenue", slog.Any("error", err))
	}
	s := g.log.Stats()
	return map[string]any{
		"tenant": tenant, "revenue": money, "ready": g.log.Ready() == nil, "ok": len(problems) == 0, "problems": problems, "publicUrl": g.PublicURL(),
		"log":          map[string]any{"lastSequence": s.Last, "storedBytes": s.StoredBytes, "durability": "fsync", "readers": s.Committed},
		"graph":        map[string]any{"position": g.graph.Position()},
		"destinations": destinations, "integrations": integrations, "lakehouse": g.lakeStatus(), "metrics": metrics, "alerts": watched,
	}, nil
}

// deliveryProblems says what keeps events from destinations: what does not get
// better by itself first. An unknown outcome is one too: nobody tries such an
// event again, for it may have arrived, and a person has to decide.
func deliveryProblems(destinations map[string]forwarders.Stat) (problems []string) {
	for _, name := range slices.Sorted(maps.Keys(destinations)) {
		s := destinations[name]
		for _, p := range []struct {
			is   bool
			text string
		}{
			{s.Breaker == "open", fmt.Sprintf("%s takes no events now: %s", name, s.LastError)},
			{s.Dead > 0, fmt.Sprintf("%s has refused %d events for good", name, s.Dead)},
			{s.Unknown > 0, fmt.Sprintf("%s may lack %d events: they were sent, no answer came, and they are not tried again by themselves; headlessly replay --destination %s --from dead sends them", name, s.Unknown, name)},
			{s.Parked > 0, fmt.Sprintf("%d events wait for %s", s.Parked, name)},
		} {
			if p.is {
				problems = append(problems, p.text)
			}
		}
	}
	return problems
}

func beyond(direction string) string {
	if direction == "Below" {
		return "below"
	}
	return "above"
}
