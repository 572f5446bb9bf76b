package cli

import (
	"github.com/spf13/cobra"

	"github.com/headlessly/headlessly/connectors/sandbox"
	"github.com/headlessly/headlessly/connectors/sandbox/worker"
)

// sandboxCommand is the process that runs one program of a user's.
func sandboxCommand(stdio IO) *cobra.Command {
	return &cobra.Command{
		Use: sandbox.WorkerArgument, Hidden: true, Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return worker.Main(c.Context(), stdio.In, stdio.Out) },
	}
}
