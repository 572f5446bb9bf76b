//go:build unix

package sqlworker

import (
	"fmt"
	"os/signal"
	"syscall"

	"github.com/headlessly/headlessly/lakehouse/internal/wire"
)

// baseMemory is address space that the process needs before any query: Go's
// and DuckDB's own code, thread stacks, allocator arenas. Most of it is never
// touched.
const baseMemory = 3 << 30

// openFiles leaves room for DuckDB's threads over many files.
const openFiles = 1024

// confine sets the resource limits. They are the second lock: DuckDB's own
// memory limit does not see every allocation.
func confine(req wire.Request) error {
	signal.Ignore(syscall.SIGXFSZ) // a file over its limit is an error of its write, not the process's end
	l := req.Limits
	for _, set := range []struct {
		name     string
		resource int
		limit    uint64
	}{
		{"core size", syscall.RLIMIT_CORE, 0},
		{"processor time", syscall.RLIMIT_CPU, uint64(max(l.CPUSeconds, 1))},
		{"file size", syscall.RLIMIT_FSIZE, uint64(max(l.ResultBytes, l.TempBytes, 1<<20))},
		{"open files", syscall.RLIMIT_NOFILE, openFiles},
		{"memory", rlimitAS, uint64(baseMemory + 2*max(l.MemoryBytes, 1<<20))},
	} {
		var old syscall.Rlimit
		if err := syscall.Getrlimit(set.resource, &old); err != nil {
			return fmt.Errorf("read limit of %s: %w", set.name, err)
		}
		limit := min(set.limit, uint64(old.Max)) //nolint:unconvert // signed on some systems
		if err := syscall.Setrlimit(set.resource, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
			return fmt.Errorf("limit %s: %w", set.name, err)
		}
	}
	return nil
}
