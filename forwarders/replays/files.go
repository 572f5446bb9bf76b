package replays

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/RoaringBitmap/roaring/v2/roaring64"
)

const (
	jobSuffix  = ".json"
	doneSuffix = ".done"
)

// write replaces a file whole. Losing it costs a repetition, so it is not
// synced.
func write(path string, data []byte) error {
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return fmt.Errorf("write replay: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("write replay: %w", err)
	}
	return nil
}

// save writes a job and what of it is done: this first, so that a job never
// claims more than it can leave out.
func (j *Jobs) save(job Job, done []byte) error {
	if done != nil {
		if err := write(filepath.Join(j.cfg.Dir, job.ID+doneSuffix), done); err != nil {
			return err
		}
	}
	raw, err := json.Marshal(job)
	if err != nil {
		return err
	}
	return write(filepath.Join(j.cfg.Dir, job.ID+jobSuffix), raw)
}

func (j *Jobs) forget(id string) {
	for _, suffix := range []string{jobSuffix, doneSuffix} {
		_ = os.Remove(filepath.Join(j.cfg.Dir, id+suffix)) // what stays is read again at the next start
	}
}

// load reads the jobs of earlier runs. One that cannot be read is left alone.
func (j *Jobs) load() error {
	list, err := os.ReadDir(j.cfg.Dir)
	if err != nil {
		return fmt.Errorf("read replays: %w", err)
	}
	for _, f := range list {
		id, ok := strings.CutSuffix(f.Name(), jobSuffix)
		if !ok {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(j.cfg.Dir, f.Name()))
		if err != nil {
			return fmt.Errorf("read replay: %w", err)
		}
		e := &entry{}
		if json.Unmarshal(raw, &e.job) != nil || e.job.ID != id {
			j.cfg.Logger.Error("replay.unreadable", "file", f.Name())
			continue
		}
		j.jobs[id] = e
	}
	return nil
}

// readDone gives what of a job is done.
func (j *Jobs) readDone(id string) (*roaring64.Bitmap, error) {
	done := roaring64.New()
	raw, err := os.ReadFile(filepath.Join(j.cfg.Dir, id+doneSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return done, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read replay: %w", err)
	}
	if _, err := done.ReadFrom(bytes.NewReader(raw)); err != nil {
		return nil, fmt.Errorf("read replay %s: what is done cannot be read; start a new one: %w", id, err)
	}
	return done, nil
}
