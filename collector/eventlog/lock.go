package eventlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/headlessly/headlessly"
)

const lockFile = "LOCK"

// LockedError says that another process works on a folder.
type LockedError struct {
	Dir     string
	PID     int
	Host    string
	Started time.Time
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("folder %s is in use by another process; stop it or choose another folder", e.Dir)
	}
	return fmt.Sprintf("folder %s is in use by process %d on %s since %s; stop it or choose another folder",
		e.Dir, e.PID, e.Host, e.Started.Format(time.RFC3339))
}

// LockDir takes dir, which must exist, for this process until unlock is called
// or the process ends, however it ends. When another process has it, the error
// is a *[LockedError]. On systems without flock it takes nothing.
func LockDir(dir string) (unlock func() error, err error) {
	return lockDir(dir, headlessly.SystemClock)
}

type lockHolder struct {
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Started time.Time `json:"started"`
}

func lockDir(dir string, clock headlessly.Clock) (func() error, error) {
	path := filepath.Join(dir, lockFile)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator's own folder
	if err != nil {
		return nil, fmt.Errorf("lock folder: %w", err)
	}
	if err := flock(f); err != nil {
		defer func() { _ = f.Close() }()
		if !errors.Is(err, errWouldBlock) {
			return nil, fmt.Errorf("lock folder %s: %w", dir, err)
		}
		locked := &LockedError{Dir: dir}
		var h lockHolder
		if json.NewDecoder(f).Decode(&h) == nil {
			locked.PID, locked.Host, locked.Started = h.PID, h.Host, h.Started
		}
		return nil, locked
	}
	if err := describeHolder(f, clock); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock folder %s: %w", dir, err)
	}
	// The file stays: removing it would let a third process lock a new file
	// while a second one still waits on this.
	return f.Close, nil
}

// describeHolder writes who holds the lock, for the one who is refused.
func describeHolder(f *os.File, clock headlessly.Clock) error {
	host, err := os.Hostname()
	if err != nil {
		host = "this host"
	}
	b, err := json.Marshal(lockHolder{PID: os.Getpid(), Host: host, Started: clock().UTC()})
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(append(b, '\n'), 0)
	return err
}
