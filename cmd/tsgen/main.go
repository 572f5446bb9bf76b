// Command tsgen writes the TypeScript types of the graph's entities, and the
// packages that export them by domain, from the one declaration that the graph
// itself is made of. Run it with go generate ./cmd/tsgen; a test checks that
// the committed files are what it gives.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/headlessly/headlessly/connectors/graph"
)

//go:generate go run . ../../jsclient/packages

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "tsgen:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("name the folder of the packages, got %q", args)
	}
	for name, text := range generate(graph.BuiltinTypes()) {
		if err := os.WriteFile(filepath.Join(args[0], filepath.FromSlash(name)), []byte(text), 0o600); err != nil { //nolint:gosec // the folder that the caller names
			return err
		}
	}
	return nil
}
