package stripe_test

import (
	"errors"

	"github.com/headlessly/headlessly/connectors/graph"
)

func asError(err error, e **graph.Error) bool { return errors.As(err, e) }
