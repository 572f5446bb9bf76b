package lakehouse

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	iceio "github.com/apache/iceberg-go/io"
)

func processors() int { return runtime.GOMAXPROCS(0) }

// durableFS is the local filesystem with an fsync of every file at its close
// and, on [durableFS.settle], of every folder that got a new entry. Iceberg's
// own leaves both to the page cache, where a power cut would take a committed
// table's files.
type durableFS struct {
	iceio.LocalFS

	mu    sync.Mutex
	dirty map[string]struct{} // folders with entries not yet synced
}

func newDurableFS() *durableFS { return &durableFS{dirty: map[string]struct{}{}} }

// Create implements iceio.WriteFileIO.
func (d *durableFS) Create(name string) (iceio.FileWriter, error) {
	path, err := localPath(name)
	if err != nil {
		return nil, err
	}
	if err := d.mkdirAll(filepath.Dir(path)); err != nil {
		return nil, err
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	d.note(filepath.Dir(path))
	return durableFile{f}, nil
}

// WriteFile implements iceio.WriteFileIO.
func (d *durableFS) WriteFile(name string, content []byte) error {
	w, err := d.Create(name)
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	return errors.Join(err, w.Close())
}

// Remove implements iceio.IO. A file that is gone is no error, as in an object
// store: expiry names files again that were removed before their time.
func (d *durableFS) Remove(name string) error {
	path, err := localPath(name)
	if err != nil {
		return err
	}
	return ignoreGone(os.Remove(path))
}

// mkdirAll makes folders and notes the parents of the new ones.
func (d *durableFS) mkdirAll(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	for p := dir; ; p = filepath.Dir(p) {
		if _, err := os.Stat(p); !errors.Is(err, fs.ErrNotExist) || filepath.Dir(p) == p {
			d.note(p)
			break
		}
		d.note(p)
	}
	return os.MkdirAll(dir, 0o755) //nolint:gosec // tables are for other programs to read, as far as the data folder lets them
}

func (d *durableFS) note(dir string) {
	d.mu.Lock()
	d.dirty[dir] = struct{}{}
	d.mu.Unlock()
}

// settle makes new folder entries durable. Call it before a commit names the
// files.
func (d *durableFS) settle() error {
	d.mu.Lock()
	dirs := d.dirty
	d.dirty = map[string]struct{}{}
	d.mu.Unlock()
	for dir := range dirs {
		if err := syncPath(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			for dir := range dirs { // all again at the next try
				d.note(dir)
			}
			return fmt.Errorf("sync folder %s: %w", dir, err)
		}
	}
	return nil
}

// syncPath makes a file or folder durable. Windows can't sync folders and
// needs no such call.
func syncPath(path string) error {
	f, err := os.Open(path) //nolint:gosec // a path that this package made
	if err != nil {
		return err
	}
	err = f.Sync()
	if runtime.GOOS == "windows" {
		err = nil
	}
	return errors.Join(err, f.Close())
}

type durableFile struct{ *os.File }

func (f durableFile) Close() error { return errors.Join(f.Sync(), f.File.Close()) }

// fileURL and localPath turn a path into the form that tables store and back.
func fileURL(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}

func localPath(name string) (string, error) {
	if !strings.HasPrefix(name, "file:") {
		if strings.Contains(name, "://") {
			return "", fmt.Errorf("%s is not a local path", name)
		}
		return name, nil
	}
	u, err := url.Parse(name)
	if err != nil {
		return "", fmt.Errorf("local path: %w", err)
	}
	path := u.Path
	if runtime.GOOS == "windows" {
		path = strings.TrimPrefix(path, "/")
	}
	return filepath.FromSlash(path), nil
}
