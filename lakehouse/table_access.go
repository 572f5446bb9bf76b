package lakehouse

import (
	"context"

	"github.com/apache/iceberg-go/table"
)

// Table loads one of the lake's tables as it is now, for reading with Iceberg's
// own scanner. Do not commit to it: commits that do not carry the log range
// forward are refused by nobody and understood by nobody.
func (l *Lake) Table(ctx context.Context, name string) (*table.Table, error) {
	return l.load(ctx, name)
}
