// Command headlessly is the gateway and everything around it; see
// `headlessly --help`.
package main

import (
	"context"
	"os"

	"github.com/headlessly/headlessly/cmd/cli"
)

func main() {
	os.Exit(cli.Run(context.Background(), os.Args[1:], cli.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
