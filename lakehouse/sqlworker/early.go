package sqlworker

import (
	"context"
	"fmt"
	"os"

	"github.com/headlessly/headlessly/lakehouse/internal/wire"
)

// A process that was started as the worker becomes it here, before the packages
// that this one does not import are initialized: among them is iceberg-go's
// table/substrait, which reads 32 MB of function descriptions, a fifth of a
// second that every query would wait for and that the worker has no use for.
// Go initializes a package as soon as all that it imports are, the first by
// import path first, so keep this package's imports few.
func init() {
	if len(os.Args) != 2 || os.Args[1] != wire.WorkerArgument {
		return
	}
	if err := Main(context.Background(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sql-worker:", err)
		os.Exit(1) //nolint:forbidigo // this process is the worker and nothing else
	}
	os.Exit(0) //nolint:forbidigo // as above
}
