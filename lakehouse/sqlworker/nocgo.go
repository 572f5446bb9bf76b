//go:build !cgo

package sqlworker

import (
	"context"

	"github.com/headlessly/headlessly/lakehouse/internal/wire"
)

// session has no engine.
type session struct{}

func open() (*session, error) { return &session{}, nil }

func (*session) close() {}

func (*session) run(context.Context, wire.Request, func(float64)) (*wire.Done, *wire.Error) {
	return nil, &wire.Error{
		Code: wire.CodeUnavailable,
		Message: "this binary was built without its SQL engine: install a C compiler (Debian: apt-get install gcc g++; " +
			"macOS: xcode-select --install; Windows: mingw-w64) and build again with CGO_ENABLED=1",
	}
}
