//go:build cgo

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/headlessly/headlessly"
)

// childArgument begins the command line of a process that does one thing and
// tells what it cost.
const childArgument = "child"

// task is what a child does.
type task struct {
	Do      string // "iceberg", "pqarrow" or "duckdb"
	Rows    string // file of the rows, for iceberg
	Count   int
	Tenants int
	Dir     string   // where it writes
	Files   []string // the rows as Parquet, for the others
	Query   string   // for duckdb: what is copied, and how
	Options string
	Batch   int64  // Config.MaxBatchBytes, 0 for its default
	Profile string // of the processor, "" for none
}

// cost is what a child tells.
type cost struct {
	Wall, CPU time.Duration
	Peak      int64 // resident bytes, at most
	Files     []string
	Bytes     int64 // written as Parquet
}

// spawn runs a child.
func spawn(ctx context.Context, t task) (c cost, err error) {
	self, err := os.Executable()
	if err != nil {
		return c, err
	}
	arg, err := json.Marshal(t)
	if err != nil {
		return c, err
	}
	cmd := exec.CommandContext(ctx, self, childArgument, string(arg)) //nolint:gosec // this program itself
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return c, fmt.Errorf("%s: %w", t.Do, err)
	}
	return c, json.Unmarshal(out.Bytes(), &c)
}

// child does what its argument says and prints the cost.
func child(ctx context.Context, args []string, out io.Writer) error {
	var t task
	if len(args) != 1 {
		return errors.New("a child wants one argument")
	}
	if err := json.Unmarshal([]byte(args[0]), &t); err != nil {
		return err
	}
	do := map[string]func(context.Context, task, *cost) error{"iceberg": writeIceberg, "pqarrow": writePlain, "duckdb": writeDuck}[t.Do]
	if do == nil {
		return fmt.Errorf("%q is nothing that a child does", t.Do)
	}
	var c cost
	if err := do(ctx, t, &c); err != nil {
		return err
	}
	peak, err := peakMemory()
	if err != nil {
		return err
	}
	c.Peak = peak
	return json.NewEncoder(out).Encode(c)
}

// measured notes what f takes of the clock and the processors.
func (c *cost) measured(f func() error) error {
	began, before := headlessly.SystemClock(), processorTime()
	err := f()
	c.Wall, c.CPU = headlessly.SystemClock().Sub(began), processorTime()-before
	return err
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakMemory is the most that was ever resident of this process. Linux alone
// tells it apart from the parent's; elsewhere it is 0.
func peakMemory() (int64, error) {
	raw, err := os.ReadFile("/proc/self/status")
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmHWM:" {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			return kb << 10, err
		}
	}
	return 0, nil
}
