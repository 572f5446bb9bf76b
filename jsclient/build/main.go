// Command build writes jsclient/dist and the npm packages' modules from
// jsclient/src. Run it with
// go generate ./jsclient.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/headlessly/headlessly/jsclient"
	"github.com/headlessly/headlessly/jsclient/internal/bundle"
)

func main() {
	if err := run(context.Background(), "."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

// run expects to be in the jsclient folder, where go generate starts it.
func run(ctx context.Context, root string) error {
	files, err := bundle.Build(ctx, root, jsclient.Version)
	if err != nil {
		return err
	}
	for _, f := range files {
		name := filepath.Join(root, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			return fmt.Errorf("build: %w", err)
		}
		if err := os.WriteFile(name, f.Data, 0o600); err != nil {
			return fmt.Errorf("build: %w", err)
		}
	}
	return nil
}
