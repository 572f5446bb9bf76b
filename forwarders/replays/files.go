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

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
)

const (
	jobSuffix  = ".json"
	doneSuffix = ".done"
)

// saveJob writes a job, so that it and its report survive a power cut.
func (j *Jobs) saveJob(job Job) error {
	raw, err := json.Marshal(job)
	if err != nil {
		return err
	}
	return headlessly.WriteFile(filepath.Join(j.cfg.Dir, job.ID+jobSuffix), raw)
}

// saveDone writes what of a job that runs is done, and behind it the report of
// just that: one file, for of two a kill could leave the one of an earlier moment.
func (j *Jobs) saveDone(id string, done *roaring64.Bitmap, report forwarders.ReplayReport) error {
	raw, err := done.ToBytes()
	if err != nil {
		return err
	}
	counts, err := json.Marshal(report)
	if err != nil {
		return err
	}
	return headlessly.WriteFile(filepath.Join(j.cfg.Dir, id+doneSuffix), append(raw, counts...))
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
		// A kill leaves the job as of its start. What cannot be read fails it once it goes on.
		if _, report, err := j.readDone(id); err == nil && report != nil && report.Read > e.job.Report.Read {
			e.job.Report = *report
		}
		j.jobs[id] = e
	}
	return nil
}

// readDone gives what of a job is done, and the report of it, nil where there is
// none.
func (j *Jobs) readDone(id string) (done *roaring64.Bitmap, report *forwarders.ReplayReport, err error) {
	done = roaring64.New()
	raw, err := os.ReadFile(filepath.Join(j.cfg.Dir, id+doneSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return done, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read replay: %w", err)
	}
	n, err := done.ReadFrom(bytes.NewReader(raw))
	if err == nil && int(n) < len(raw) {
		err = json.Unmarshal(raw[n:], &report)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read replay %s: what is done cannot be read; start a new one: %w", id, err)
	}
	return done, report, nil
}
