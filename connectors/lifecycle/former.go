package lifecycle

import (
	"context"
	"encoding/json"
	"maps"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/store"
)

// moveFormer makes entities of the integrations that the version before kept
// as rows, under their ids.
func (c *Connections) moveFormer(ctx context.Context) error {
	all, err := c.cfg.Store.Former(ctx)
	if err != nil {
		return err
	}
	for _, f := range all {
		if err := c.moveOne(connectors.Own(ctx), f); err != nil {
			return err
		}
		if err := c.cfg.Store.DropFormer(ctx, f.ID); err != nil {
			return err
		}
	}
	return nil
}

func (c *Connections) moveOne(ctx context.Context, f store.Former) error {
	conn := c.cfg.Registry.Find(f.Provider)
	if conn == nil {
		return nil
	}
	sc, err := c.cfg.Graph.Scope(f.Tenant, f.CreatedBy)
	if err != nil {
		return err
	}
	kind := conn.Kind()
	args := map[string]any{"provider": f.Provider, "slug": f.Slug, "name": kind.Name, "category": kind.Category, "authType": kind.AuthType, "status": statusDisconnected}
	if f.Connected {
		var destinations map[string]any
		if err := json.Unmarshal([]byte(f.Destinations.Reveal()), &destinations); err != nil {
			return err
		}
		secrets, err := c.separate(destinations)
		if err != nil {
			return err
		}
		if err := c.cfg.Store.PutCredentials(ctx, f.Tenant, f.ID, secrets); err != nil {
			return err
		}
		l, err := c.blank(f.Tenant, f.ID, f.Provider)
		if err != nil {
			return err
		}
		l.Fields, l.Config, l.Secrets = map[string]any{"destinations": destinations}, map[string]any{}, secrets
		if err := conn.Validate(ctx, l); err != nil {
			return err
		}
		maps.Copy(args, l.Fields)
		args["status"] = statusConnected
	}
	_, err = sc.Do(ctx, graph.Op{Type: integration, Verb: graph.VerbCreate, NewID: f.ID, Args: args})
	if graph.CodeOf(err) == graph.CodeConflict {
		return nil // it was moved, and the row was not removed any more
	}
	return err
}

// separate takes the credentials out of destinations.
func (c *Connections) separate(destinations map[string]any) (map[string]headlessly.Secret, error) {
	t, err := c.cfg.Graph.Types().Lookup(integration)
	if err != nil {
		return nil, err
	}
	return t.TakeSecrets(map[string]any{"destinations": destinations}), nil
}
