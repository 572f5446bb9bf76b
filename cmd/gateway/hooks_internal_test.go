package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/headlessly/headlessly/cmd/config"
	"github.com/headlessly/headlessly/cmd/control"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/sandbox"
)

func TestTheConfigurationBoundsPrograms(t *testing.T) {
	logger := slog.New(slog.DiscardHandler)
	cfg := config.Default()
	got, want := sandboxConfig(&cfg, logger), sandbox.Default()
	if got.Timeout != want.Timeout || got.Memory != want.Memory || got.MaxCalls != want.MaxCalls || got.MaxWrites != want.MaxWrites || got.Operations != want.Operations {
		t.Errorf("without settings: got %+v, want the sandbox's own", got)
	}
	cfg.Sandbox = config.Sandbox{Timeout: 3 * time.Second, Memory: 32 << 20, Calls: 7, Changes: 5, Operations: 1000}
	if got := sandboxConfig(&cfg, logger); got.Timeout != 3*time.Second || got.Memory != 32<<20 || got.MaxCalls != 7 || got.MaxWrites != 5 || got.Operations != 1000 {
		t.Errorf("with settings: got %+v", got)
	}
}

func TestAProgramsQueryGivesAllRowsOrNone(t *testing.T) {
	for _, c := range []struct {
		name string
		cut  bool
		want int
	}{{"all", false, 2}, {"more than a program may have", true, 0}} {
		t.Run(c.name, func(t *testing.T) {
			rows, err := programRows(t.Context(), "acme", "select n", func(_ context.Context, _ string, q control.Query, w io.Writer) error {
				if c.cut {
					q.Cut()
				}
				_, err := io.WriteString(w, "{\"n\":1}\n{\"n\":2}\n")
				return err
			})
			var bad *graph.Error
			if len(rows) != c.want || errors.As(err, &bad) != c.cut {
				t.Errorf("got %d rows, %v", len(rows), err)
			}
		})
	}
}
