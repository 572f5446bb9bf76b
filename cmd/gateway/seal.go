package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/eventlog"
	"github.com/headlessly/headlessly/connectors/store"
)

// storeConfig is the store's configuration. What its seal key is wrapped with
// comes from the environment only.
func storeConfig(data string, logger *slog.Logger) store.Config {
	return store.Config{
		Dir: data, Clock: headlessly.SystemClock, Logger: logger,
		SealKey: headlessly.NewSecret(os.Getenv(store.EnvSealKey)), SealKeyBefore: headlessly.NewSecret(os.Getenv(store.EnvSealKeyBefore)),
	}
}

// RotateSeal seals every credential of a folder that no gateway is using anew
// with a new key, and gives how many values there were.
func RotateSeal(ctx context.Context, data string, logger *slog.Logger) (n int, err error) {
	if _, err := os.Stat(filepath.Join(data, credentialsFile)); errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%s is no data folder of a gateway", data)
	}
	unlock, err := eventlog.LockDir(data)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	s, err := store.Open(ctx, storeConfig(data, logger))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.RotateSeal(ctx)
}
