package dedupe

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/headlessly/headlessly"
)

// manifest is the index's own record of itself, a JSON file that is replaced
// in one step.
type manifest struct {
	Version int      `json:"version"`
	Secret  []byte   `json:"secret"` // of the keyer; worth nothing elsewhere
	Cursor  uint64   `json:"cursor"` // the ids of all log frames up to here are in the runs
	Next    uint64   `json:"next"`   // number of the next run file
	Runs    []string `json:"runs"`
}

const (
	manifestVersion = 1
	manifestFile    = "index.json"
	runSuffix       = ".ids"
)

// load reads the manifest and opens its runs; without one it starts anew. A run
// that is damaged is left out, and the log is read from its start again.
func (x *Index) load() ([]*run, error) {
	raw, err := os.ReadFile(filepath.Join(x.cfg.Dir, manifestFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		x.manifest = manifest{Version: manifestVersion, Secret: make([]byte, secretBytes)}
		if _, err := io.ReadFull(x.cfg.Rand, x.manifest.Secret); err != nil {
			return nil, fmt.Errorf("make a secret: %w", err)
		}
	case err != nil:
		return nil, err
	default:
		if err := json.Unmarshal(raw, &x.manifest); err != nil {
			return nil, fmt.Errorf("read %s: %w (move the folder away: the index is made again from the log)", manifestFile, err)
		}
		if x.manifest.Version != manifestVersion || len(x.manifest.Secret) != secretBytes {
			return nil, fmt.Errorf("%s has version %d, this program reads %d", manifestFile, x.manifest.Version, manifestVersion)
		}
	}
	if x.keyer, err = newKeyer([secretBytes]byte(x.manifest.Secret)); err != nil {
		return nil, err
	}
	var runs []*run
	left := x.cfg.MaxFilterBytes
	for _, name := range slices.Backward(x.manifest.Runs) {
		r, err := openRun(filepath.Join(x.cfg.Dir, name))
		if err != nil {
			x.stats.readErrors.Add(1)
			x.cfg.Logger.Error("dedupe.damaged", "error", err)
			x.manifest.Cursor = 0
			continue
		}
		if left -= int64(len(r.filter)); left < 0 {
			r = r.withoutFilter()
		}
		runs = append(runs, r)
	}
	slices.Reverse(runs)
	return runs, x.sweep()
}

// sweep deletes run files that a crash left behind.
func (x *Index) sweep() error {
	entries, err := os.ReadDir(x.cfg.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), runSuffix) && !slices.Contains(x.manifest.Runs, e.Name()) {
			if err := os.Remove(filepath.Join(x.cfg.Dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// store replaces the manifest: write beside, sync, rename, sync the folder.
func (x *Index) store(runs []*run) error {
	x.manifest.Runs = x.manifest.Runs[:0]
	for _, r := range runs {
		x.manifest.Runs = append(x.manifest.Runs, filepath.Base(r.path))
	}
	raw, err := json.Marshal(&x.manifest) //nolint:gosec // the index's own file, readable by its owner only
	if err != nil {
		return err
	}
	return headlessly.WriteFile(filepath.Join(x.cfg.Dir, manifestFile), raw)
}

// newRun names the next run file.
func (x *Index) newRun() string {
	x.manifest.Next++
	return filepath.Join(x.cfg.Dir, fmt.Sprintf("%012d%s", x.manifest.Next, runSuffix))
}

// budget keeps the filters of the youngest runs in memory, as many as fit: a
// client that repeats itself does so soon.
func (x *Index) budget(runs []*run) []*run {
	left := x.cfg.MaxFilterBytes
	out := slices.Clone(runs)
	for i := len(out) - 1; i >= 0; i-- {
		if out[i].filter == nil {
			continue
		}
		if n := int64(len(out[i].filter)); n <= left {
			left -= n
		} else {
			out[i] = out[i].withoutFilter()
		}
	}
	return out
}
