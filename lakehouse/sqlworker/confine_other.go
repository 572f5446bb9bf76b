//go:build !unix

package sqlworker

import "github.com/headlessly/headlessly/lakehouse/internal/wire"

// confine does nothing: the system has no resource limits for a process to set
// itself. DuckDB's own limits and the parent's deadline remain.
func confine(wire.Request) error { return nil }
