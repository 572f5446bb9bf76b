package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/headlessly/headlessly/cmd/config"
	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/collector/eventlog"
	"github.com/headlessly/headlessly/connectors/graph"
)

// openGraph opens the entity graph over the log's JetStream, embedded or
// external: one set of syncs, one store to keep.
func (g *Gateway) openGraph(ctx context.Context) (err error) {
	types, err := declaredTypes(g.cfg.Types)
	if err == nil {
		err = keepTypes(g.cfg.Data, g.cfg.Types)
	}
	if err != nil {
		return err
	}
	if g.graph, err = openGraph(ctx, g.log, &g.cfg, types, g.PublicURL(), g.logger); err != nil {
		return err
	}
	g.onClose(func(context.Context) error { return g.graph.Close() })
	if g.keys, err = control.OpenKeys(ctx, g.store, g.graph, g.logger); err != nil {
		return fmt.Errorf("open keys: %w", err)
	}
	g.onClose(func(context.Context) error { g.keys.Close(); return nil })
	return nil
}

func openGraph(ctx context.Context, log *eventlog.Log, cfg *config.Config, types *graph.Types, publicURL string, logger *slog.Logger) (*graph.Store, error) {
	js, err := log.JetStream("graph")
	if err != nil {
		return nil, fmt.Errorf("open graph: %w", err)
	}
	c := graph.DefaultConfig(js, filepath.Join(cfg.Data, "graph"))
	c.PublicURL, c.Logger, c.Types = publicURL, logger, types
	stream := graph.LogStreams(c.Prefix)[0].Name
	c.Rebuild = log.Mended(stream)
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
	if c.Rebuild {
		if err := log.Settle(stream); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

// declaredTypes are the built-in types and those of these files.
func declaredTypes(files []string) (*graph.Types, error) {
	types := graph.BuiltinTypes()
	for i, f := range files {
		more, err := types.WithFile(f)
		if err != nil {
			return nil, fmt.Errorf("types[%d]: %w", i, err)
		}
		types = more
	}
	return types, nil
}

// typesFolder keeps the user's types with the data, for the commands that work
// on a folder without its configuration.
func typesFolder(data string) string { return filepath.Join(data, "types") }

func keepTypes(data string, files []string) error {
	dir := typesFolder(data)
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("keep types: %w", err)
	}
	if len(files) == 0 {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keep types: %w", err)
	}
	for i, f := range files {
		raw, err := os.ReadFile(f)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("%03d.yaml", i)), raw, 0o600) //nolint:gosec // the operator's own data folder
		}
		if err != nil {
			return fmt.Errorf("keep types: %w", err)
		}
	}
	return nil
}

// keptTypes are the types that the folder's gateway last ran with.
func keptTypes(data string) (*graph.Types, error) {
	files, err := filepath.Glob(filepath.Join(typesFolder(data), "*.yaml"))
	if err != nil {
		return nil, err
	}
	return declaredTypes(files)
}
