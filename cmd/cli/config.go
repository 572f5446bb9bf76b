package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/headlessly/headlessly/cmd/config"
)

func configCommand(stdio IO) *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Check or print the configuration", Args: args(cobra.NoArgs)}
	check := &cobra.Command{
		Use: "check FILE", Short: "Report every fault of a configuration file", Args: args(cobra.ExactArgs(1)),
		Example: "  headlessly config check headlessly.yaml",
		RunE: func(_ *cobra.Command, a []string) error {
			if _, err := config.Load(a[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintln(stdio.Out, a[0]+": ok")
			return err
		},
	}
	show := &cobra.Command{
		Use: "print [FILE]", Short: "Print the effective configuration, secrets redacted", Args: args(cobra.MaximumNArgs(1)),
		Example: "  headlessly config print > headlessly.yaml",
		RunE: func(_ *cobra.Command, a []string) error {
			file := ""
			if len(a) > 0 {
				file = a[0]
			}
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			return cfg.Print(stdio.Out)
		},
	}
	c.AddCommand(check, show)
	return c
}
