package gateway

import (
	"context"
	"io"
	"log/slog"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/cmd/telemetry"
	"github.com/headlessly/headlessly/forwarders"
)

// openTelemetry starts the export of traces and metrics, where the
// configuration asks for it. The metrics are complete once all parts are open.
func (g *Gateway) openTelemetry(ctx context.Context) (err error) {
	g.telemetry, err = telemetry.Start(ctx, g.cfg.Telemetry, g.cfg.TenantMetrics, g.exported, headlessly.SystemClock, g.logger)
	if err != nil || g.telemetry == nil {
		return err
	}
	g.onClose(func(ctx context.Context) error {
		if err := g.telemetry.Stop(ctx); err != nil { // nothing of the product is lost by it
			g.logger.Warn("telemetry.stop_failed", slog.Any("error", err))
		}
		return nil
	})
	return nil
}

// exported writes what /metrics shows.
func (g *Gateway) exported(w io.Writer) {
	if g.opened.Load() {
		g.collector.WriteMetrics(w)
		g.writeMetrics(w)
	}
}

// attempts is told of every attempt of the router and never blocks it.
func (g *Gateway) attempts(list []forwarders.Attempt) {
	g.live.attempts(list)
	g.telemetry.Attempts(list)
}
