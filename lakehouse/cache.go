package lakehouse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"
)

// fetchers is how many files are read from the object store at once.
const fetchers = 8

// objectCache keeps what queries have read of an object store's data files,
// which never change: files of the same size with holes, in which the footer
// and the columns that were asked for are in their places. A hole can't be
// mistaken for data: a column begins with a header that zeros are none of.
//
// A query gets links into its own folder, so that a file may be dropped while
// it runs. Safe for concurrent use. What a process finds of former ones it
// removes: which parts were there died with them.
type objectCache struct {
	dir   string
	limit int64
	run   string // the process's part of its files' names

	once sync.Once
	made error

	mu    sync.Mutex
	files map[string]*sparseFile // by path in the object store
	clock int64                  // of use

	fetched atomic.Int64 // bytes, ever
}

func newObjectCache(dir string, limit int64) *objectCache {
	return &objectCache{dir: dir, limit: limit, run: fmt.Sprintf("-%d", os.Getpid()), files: map[string]*sparseFile{}}
}

// open makes the folder and clears it of what other processes left. One that
// still runs has its links, and reads again what it misses.
func (c *objectCache) open() error {
	c.once.Do(func() {
		if c.made = os.MkdirAll(c.dir, 0o700); c.made != nil {
			c.made = fmt.Errorf("make cache: %w", c.made)
			return
		}
		entries, err := os.ReadDir(c.dir)
		if err != nil {
			c.made = fmt.Errorf("read cache: %w", err)
			return
		}
		for _, e := range entries {
			if !strings.Contains(e.Name(), c.run+".") {
				c.made = errors.Join(c.made, ignoreGone(os.Remove(filepath.Join(c.dir, e.Name()))))
			}
		}
	})
	return c.made
}

// bring gives local paths, in dir, of an object store's files, which hold at
// least the columns that are wanted.
func (c *objectCache) bring(ctx context.Context, t *table.Table, dir string, files []iceberg.DataFile, want wanted) ([]string, error) {
	if len(files) == 0 {
		return nil, nil
	}
	if err := c.open(); err != nil {
		return nil, err
	}
	fsys, err := t.FS(ctx)
	if err != nil {
		return nil, fmt.Errorf("open warehouse: %w", err)
	}
	paths := make([]string, len(files))
	errs := make([]error, len(files))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(fetchers, len(files)) {
		wg.Go(func() {
			for i := range next {
				paths[i], errs[i] = c.one(ctx, fsys, dir, files[i], want)
			}
		})
	}
	for i := range files {
		next <- i
	}
	close(next)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return paths, c.evict()
}

// one links a file into dir, after what is wanted of it has been read.
func (c *objectCache) one(ctx context.Context, fsys iceio.IO, dir string, f iceberg.DataFile, want wanted) (string, error) {
	for try := 0; ; try++ {
		s := c.file(f)
		link := filepath.Join(dir, filepath.Base(s.path))
		err := s.fill(ctx, fsys, want, &c.fetched)
		if err == nil {
			err = os.Link(s.path, link)
		}
		if err == nil || errors.Is(err, fs.ErrExist) {
			return link, nil
		}
		if !errors.Is(err, fs.ErrNotExist) || try > 2 {
			return "", fmt.Errorf("read %s: %w", f.FilePath(), err)
		}
		c.forget(f.FilePath(), s) // somebody removed it
	}
}

// file gives the entry of a file and notes that it is used.
func (c *objectCache) file(f iceberg.DataFile) *sparseFile {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.files[f.FilePath()]
	if s == nil {
		s = &sparseFile{remote: f.FilePath(), size: f.FileSizeBytes(), path: c.place(f.FilePath())}
		c.files[f.FilePath()] = s
	}
	c.clock++
	s.used = c.clock
	return s
}

func (c *objectCache) forget(path string, s *sparseFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files[path] == s {
		delete(c.files, path)
	}
}

// drop removes what is kept of a file.
func (c *objectCache) drop(path string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.files[path]
	delete(c.files, path)
	if s == nil {
		return nil
	}
	if err := ignoreGone(os.Remove(s.path)); err != nil {
		return fmt.Errorf("shrink cache: %w", err)
	}
	return nil
}

// ignoreGone drops the error of a file that was removed in between.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// evict removes the files that were used longest ago, down to the limit.
func (c *objectCache) evict() error {
	c.mu.Lock()
	all := make([]*sparseFile, 0, len(c.files))
	total := int64(0)
	for _, s := range c.files {
		all = append(all, s)
		total += s.held.Load()
	}
	slices.SortFunc(all, func(a, b *sparseFile) int { return cmp.Compare(a.used, b.used) })
	c.mu.Unlock()
	for _, s := range all {
		if total <= c.limit {
			break
		}
		if err := c.drop(s.remote); err != nil {
			return err
		}
		total -= s.held.Load()
	}
	return nil
}
