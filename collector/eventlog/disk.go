package eventlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/headlessly/headlessly"
)

// diskWatch looks at the embedded store's folder. The zero value, on a cluster,
// knows nothing and has nothing to sync.
type diskWatch struct {
	dir  string
	ask  func() int64
	mu   sync.Mutex
	seen map[string]time.Time // folder: its time of change when it was synced
}

func (d *diskWatch) watch(streams string, n names) {
	d.dir = streams
	d.seen = make(map[string]time.Time)
	for _, s := range []string{n.events, n.cursors, n.parked} {
		d.seen[filepath.Join(streams, s, "msgs")] = time.Time{}
	}
}

// free is how many bytes can still be written, -1 where that is not known.
func (d *diskWatch) free() int64 {
	if d.dir == "" {
		return -1
	}
	if d.ask != nil {
		return d.ask()
	}
	n, err := freeBytes(d.dir)
	if err != nil {
		return -1
	}
	return n
}

// racy is how recent a folder's change must be for another one in the same
// tick of the file system's clock to be possible.
const racy = 50 * time.Millisecond

// sync syncs each folder that has changed since it was last synced: the server
// syncs a new block file but not the folder that names it.
func (d *diskWatch) sync(clock headlessly.Clock) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for dir, seen := range d.seen {
		info, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		changed := info.ModTime()
		if changed.Equal(seen) {
			continue
		}
		if err := headlessly.SyncFolder(dir); err != nil {
			return err
		}
		if clock().Sub(changed) > racy {
			d.seen[dir] = changed
		}
	}
	return nil
}

// syncNewBlocks makes sure that the files written so far are found after a
// power cut.
func (l *Log) syncNewBlocks() error {
	if l.srv == nil || l.cfg.noFolderSync {
		return nil
	}
	if err := l.disk.sync(l.cfg.Clock); err != nil {
		return fmt.Errorf("%w: sync folder: %w", headlessly.ErrLogFailed, err)
	}
	return nil
}

// syncTree syncs dir, the folders in it, and the one that names it: the server
// makes the folders of a stream without syncing those that name them.
func syncTree(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if d.Name() == quarantineDir {
			return fs.SkipDir
		}
		return headlessly.SyncFolder(path)
	})
	return errors.Join(err, headlessly.SyncFolder(filepath.Dir(dir)))
}
