//go:build !unix

package worker

import "github.com/headlessly/headlessly/connectors/sandbox/internal/wire"

// confine does nothing: the system has no resource limits for a process to set
// itself. The engine's own limits and the parent's deadline remain.
func confine(wire.Limits) error { return nil }
