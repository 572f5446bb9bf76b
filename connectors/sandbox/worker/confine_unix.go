//go:build unix

package worker

import (
	"fmt"
	"syscall"

	"github.com/headlessly/headlessly/connectors/sandbox/internal/wire"
)

// baseMemory is what the process itself needs besides the program's heap: the
// compiler, the engine's code, Go's heap and stacks.
const baseMemory = 512 << 20

// confine gives up what a program never needs. No file and no socket can be
// opened any more, and nothing written. The memory limit is the second lock
// behind the engine's own.
func confine(l wire.Limits) error {
	for _, set := range []struct {
		name     string
		resource int
		limit    uint64
	}{
		{"core size", syscall.RLIMIT_CORE, 0},
		{"processor time", syscall.RLIMIT_CPU, uint64(l.TimeoutMs/1000) + 2},
		{"file size", syscall.RLIMIT_FSIZE, 0},
		{"memory", syscall.RLIMIT_DATA, uint64(baseMemory + 2*l.MemoryBytes)},
		{"open files", syscall.RLIMIT_NOFILE, 0},
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
