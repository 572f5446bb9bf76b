package cli

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
)

func statusCommand(stdio IO) *cobra.Command {
	var t target
	var in input
	c := &cobra.Command{
		Use: "status", Short: "Show the gateway's health and what was delivered", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			format, err := in.format(stdio.Out)
			if err != nil {
				return usageError{err}
			}
			if err := t.resolve(); err != nil {
				return err
			}
			res, err := t.call(c.Context(), http.MethodGet, "status", nil)
			if err != nil {
				return err
			}
			defer res.Close() //nolint:errcheck // read whole
			dec := json.NewDecoder(res)
			dec.UseNumber()
			var got map[string]any
			if err := dec.Decode(&got); err != nil {
				return fmt.Errorf("read the gateway's answer: %w", err)
			}
			if format == formatJSON {
				return showJSON(stdio.Out, got)
			}
			return showYAML(stdio.Out, got) // nested as it is, a person reads this best
		},
	}
	t.flags(c)
	formatFlags(c, &in)
	return c
}
