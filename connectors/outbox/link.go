package outbox

import (
	"context"
	"errors"

	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
)

// Beginning is where an integration's events begin: behind the mutation that
// connected it, or changed it last.
func Beginning(ctx context.Context, l *connectors.Link) uint64 {
	if e, err := l.Graph.Get(ctx, "Integration", l.ID, graph.AsOf{}); err == nil {
		return e.Seq
	}
	return l.Store.Position()
}

// Health tells an integration's lifecycle how its endpoint does.
func Health(ctx context.Context, l *connectors.Link) func(fault string) {
	ctx = context.WithoutCancel(ctx)
	return func(fault string) {
		if fault == "" {
			l.Fail(ctx, nil)
			return
		}
		l.Fail(ctx, errors.New(fault))
	}
}
