package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/headlessly/headlessly/cmd/config"
	"github.com/headlessly/headlessly/collector/eventlog"
	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/lakehouse"
)

// Folder is the data folder of a gateway that is not running, for commands
// that look after it. Close it.
type Folder struct {
	Log  *eventlog.Log
	Lake *lakehouse.Lake

	data   string
	logger *slog.Logger
	close  []func(context.Context) error
}

// OpenFolder locks a data folder and opens its log and its tables; readOnly
// leaves the tables as they are.
func OpenFolder(ctx context.Context, data string, readOnly bool, logger *slog.Logger) (f *Folder, err error) {
	if _, err := os.Stat(filepath.Join(data, credentialsFile)); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is no data folder of a gateway", data)
	}
	cfg := config.Default()
	cfg.Data = data
	f = &Folder{data: data, logger: logger}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(context.WithoutCancel(ctx)))
		}
	}()
	unlock, err := eventlog.LockDir(data)
	if err != nil {
		return nil, err
	}
	f.close = append(f.close, func(context.Context) error { return unlock() })
	if f.Log, err = eventlog.Open(ctx, LogConfig(&cfg, logger)); err != nil {
		return f, err
	}
	f.close = append(f.close, f.Log.Close)
	lc := LakeConfig(&cfg, logger)
	lc.ReadOnly = readOnly
	if f.Lake, err = lakehouse.Open(ctx, lc); err != nil {
		return f, err
	}
	f.close = append(f.close, func(context.Context) error { return f.Lake.Close() })
	return f, nil
}

// OpenGraph opens the folder's graph; it is closed with the folder.
func (f *Folder) OpenGraph(ctx context.Context) (*graph.Store, error) {
	types, err := keptTypes(f.data)
	if err != nil {
		return nil, err
	}
	cfg := config.Default()
	cfg.Data = f.data
	g, err := openGraph(ctx, f.Log, &cfg, types, "", f.logger)
	if err != nil {
		return nil, err
	}
	f.close = append(f.close, func(context.Context) error { return g.Close() })
	return g, nil
}

// Close closes what is open and unlocks the folder.
func (f *Folder) Close(ctx context.Context) error {
	if f == nil {
		return nil
	}
	var errs []error
	for i := len(f.close) - 1; i >= 0; i-- {
		errs = append(errs, f.close[i](ctx))
	}
	f.close = nil
	return errors.Join(errs...)
}

// VerifyLog reads every byte of a folder's log and changes nothing.
func VerifyLog(ctx context.Context, data string, logger *slog.Logger) (reports []eventlog.BlockReport, err error) {
	cfg := config.Default()
	cfg.Data = data
	unlock, err := eventlog.LockDir(data)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	return eventlog.Verify(ctx, LogConfig(&cfg, logger))
}
