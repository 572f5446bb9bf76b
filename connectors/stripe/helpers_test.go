package stripe_test

import (
	"errors"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/graph"
)

func asError(err error, e **graph.Error) bool { return errors.As(err, e) }

func receipts(all ...headlessly.Receipt) []headlessly.Receipt { return all }
