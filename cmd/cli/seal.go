package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/headlessly/headlessly/cmd/config"
	"github.com/headlessly/headlessly/cmd/gateway"
)

// sealCommand looks after the key that credentials are sealed with.
func sealCommand(stdio IO) *cobra.Command {
	c := &cobra.Command{Use: "seal", Short: "Look after the key that providers' credentials are sealed with", Args: args(cobra.NoArgs)}
	var data string
	rotate := &cobra.Command{
		Use:   "rotate",
		Short: "Seal every credential anew with a new key, and drop the one before",
		Long: `Makes a new seal key, seals every credential in the data folder with it, and drops
the key before. It works on the folder of a gateway that is not running, and takes
a moment. A crash on the way costs nothing: the next start opens what there is, and
the next rotation ends what this one began.

The key lies in the file seal.key. With HEADLESSLY_SEAL_KEY in the environment (32
random bytes in base64, from a secret manager or KMS) the file is wrapped with it,
and of no use without. To change that one, start once with the new one in
HEADLESSLY_SEAL_KEY and the one before in HEADLESSLY_SEAL_KEY_BEFORE.`,
		Example: `  headlessly seal rotate
  HEADLESSLY_SEAL_KEY=$(openssl rand -base64 32) headlessly seal rotate`,
		Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			n, err := gateway.RotateSeal(c.Context(), data, errorsOnly(stdio))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(stdio.Out, "%d values are sealed with a new key, and the one before is gone\n", n)
			return err
		},
	}
	rotate.Flags().StringVar(&data, "data", config.Default().Data, "data folder of a gateway that is not running")
	c.AddCommand(rotate)
	return c
}
