package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// part is one thing that is measured. The long ones take minutes and run only
// when they are asked for by name.
type part struct {
	name string
	long bool
	run  func(ctx context.Context, w io.Writer, bin, dir string) error
}

// parts gives all of them; overload is for how long the overload lasts.
func parts(overload time.Duration) []part {
	return []part{
		{"ingest", false, ingest},
		{"lake", false, lake},
		{"fresh", true, fresh}, // a part of lake
		{"forward", false, forward},
		{"flood", false, flood},
		{"zipf", false, zipf},
		{"slow", false, slow},
		{"overload", true, overloads(overload)},
		{"start", true, startup},
		{"graph", false, graphSmall},
		{"graph-million", true, graphLarge},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run(ctx context.Context, args []string, w io.Writer) error {
	if len(args) == 2 && args[0] == "client" {
		return client(ctx, args[1], w)
	}
	if len(args) == 2 && args[0] == "echo" {
		return fasthttp.ListenAndServe(args[1], func(ctx *fasthttp.RequestCtx) { ctx.SetBody(ctx.PostBody()) })
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	chosen := flags.String("run", "", "what to measure, by commas: "+names(parts(0))+"; without it all but the long ones")
	over := flags.Duration("overload", overFor, "how long the overload lasts")
	bin := flags.String("gateway", "", "measure this program instead of a build of the tree")
	profile := flags.String("cpuprofile", "", "write a profile of this process (the graph is measured within it) to this file")
	if err := flags.Parse(args); err != nil {
		return err
	}
	wanted := flags.Args()
	if *chosen != "" {
		wanted = append(wanted, strings.Split(*chosen, ",")...)
	}
	for _, name := range wanted {
		if !slices.ContainsFunc(parts(0), func(p part) bool { return p.name == name }) {
			return fmt.Errorf("%q cannot be measured; there are %s", name, names(parts(0)))
		}
	}
	dir, err := os.MkdirTemp("", "headlessly-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	if *bin == "" {
		*bin = filepath.Join(dir, "headlessly")
		build := exec.CommandContext(ctx, "go", "build", "-o", *bin, "./cmd/headlessly") //nolint:gosec // our own source
		build.Stdout, build.Stderr = w, w
		if err := build.Run(); err != nil {
			return fmt.Errorf("build: %w", err)
		}
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer f.Close() //nolint:errcheck // a profile that is cut short says so when it is read
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	for _, p := range parts(*over) {
		if len(wanted) == 0 && !p.long || slices.Contains(wanted, p.name) {
			if err := p.run(ctx, w, *bin, filepath.Join(dir, p.name)); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
	}
	return nil
}

func names(parts []part) string {
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = p.name
	}
	return strings.Join(out, ", ")
}
