package cli

import (
	"net/http"

	"github.com/spf13/cobra"
)

func statusCommand(stdio IO) *cobra.Command {
	var t target
	c := &cobra.Command{
		Use: "status", Short: "Show the gateway's health and what was delivered", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := t.resolve(); err != nil {
				return err
			}
			return t.print(c.Context(), stdio.Out, http.MethodGet, "status", nil)
		},
	}
	t.flags(c)
	return c
}
