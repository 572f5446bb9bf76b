//go:build cgo

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"

	_ "github.com/headlessly/headlessly/lakehouse/sqlworker" // this binary is its own SQL worker, too
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "lakebench:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

// shape is how large the measurement is.
type shape struct {
	rows, rounds, queryRounds int
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	if len(args) > 0 && args[0] == childArgument {
		return child(ctx, args[1:], out)
	}
	flags := flag.NewFlagSet("lakebench", flag.ContinueOnError)
	var is shape
	flags.IntVar(&is.rows, "rows", 500_000, "rows to write")
	flags.IntVar(&is.rounds, "rounds", 3, "how often each way of writing is measured; the median counts")
	flags.IntVar(&is.queryRounds, "queries", 9, "how often each query is measured; the median counts")
	only := flags.Bool("columns", false, "measure instead how each column is best encoded and compressed")
	cpu := flags.String("cpuprofile", "", "write a profile of the writer of 50 tenants to this file")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "lakebench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if *only {
		return columns(ctx, out, dir)
	}
	for _, tenants := range []int{1, 50} {
		r := &rows{tenants: tenants, count: is.rows, path: filepath.Join(dir, fmt.Sprintf("log-%d", tenants))}
		if err := r.make(); err != nil {
			return fmt.Errorf("make rows: %w", err)
		}
		profile := ""
		if tenants > 1 {
			profile = *cpu
		}
		lake, err := writers(ctx, out, r, is.rounds, filepath.Join(dir, fmt.Sprintf("tenants-%d", tenants)), profile)
		if err != nil {
			return err
		}
		if err := queries(ctx, out, lake, tenants, is.queryRounds); err != nil {
			return err
		}
	}
	return nil
}
