package lakehouse

import (
	"context"
	"maps"
	"slices"

	"github.com/headlessly/headlessly"
)

// ReadColumns are the columns that Events reads.
func ReadColumns() []string { return slices.Collect(maps.Keys(eventFields(&headlessly.Event{}))) }

// Drop removes a table from the catalog.
func (l *Lake) Drop(ctx context.Context, name string) error {
	return l.cat.DropTable(ctx, identifierOf(name))
}
