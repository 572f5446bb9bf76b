package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"

	"github.com/valyala/fasthttp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run(ctx context.Context, args []string, w io.Writer) error {
	if len(args) == 2 && args[0] == "echo" {
		return fasthttp.ListenAndServe(args[1], func(ctx *fasthttp.RequestCtx) { ctx.SetBody(ctx.PostBody()) })
	}
	dir, err := os.MkdirTemp("", "headlessly-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	bin := filepath.Join(dir, "headlessly")
	build := exec.CommandContext(ctx, "go", "build", "-o", bin, "./cmd/headlessly") //nolint:gosec // our own source
	build.Stdout, build.Stderr = w, w
	if err := build.Run(); err != nil {
		return fmt.Errorf("build: %w", err)
	}
	for _, part := range []struct {
		name string
		run  func(context.Context, io.Writer, string, string) error
	}{{"ingest", ingest}, {"lake", lake}} {
		if len(args) == 0 || slices.Contains(args, part.name) {
			if err := part.run(ctx, w, bin, filepath.Join(dir, part.name)); err != nil {
				return fmt.Errorf("%s: %w", part.name, err)
			}
		}
	}
	return nil
}
