package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/headlessly/headlessly/cmd/config"
	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/collector/eventlog"
	"github.com/headlessly/headlessly/connectors/graph"
)

// openGraph opens the entity graph over the log's JetStream, embedded or
// external: one set of syncs, one store to keep.
func (g *Gateway) openGraph(ctx context.Context) (err error) {
	if g.graph, err = openGraph(ctx, g.log, &g.cfg, g.PublicURL(), g.logger); err != nil {
		return err
	}
	g.onClose(func(context.Context) error { return g.graph.Close() })
	if g.keys, err = control.OpenKeys(ctx, g.store, g.graph, g.logger); err != nil {
		return fmt.Errorf("open keys: %w", err)
	}
	g.onClose(func(context.Context) error { g.keys.Close(); return nil })
	return nil
}

func openGraph(ctx context.Context, log *eventlog.Log, cfg *config.Config, publicURL string, logger *slog.Logger) (*graph.Store, error) {
	js, err := log.JetStream("graph")
	if err != nil {
		return nil, fmt.Errorf("open graph: %w", err)
	}
	c := graph.DefaultConfig(js, filepath.Join(cfg.Data, "graph"))
	c.PublicURL, c.Logger = publicURL, logger
	if cfg.Log.NATS != "" {
		c.Replicas = cfg.Log.Replicas
		if c.Replicas == 0 {
			c.Replicas = 3 // as the log's
		}
	}
	s, err := graph.Open(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open graph: %w", err)
	}
	return s, nil
}
