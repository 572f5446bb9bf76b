package lakehouse

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/apache/iceberg-go"
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
// it runs. Safe for concurrent use. It outlives the process: beside each file
// lies a list of its parts with their checksums (kept.go), and what does not
// agree with it is read again.
type objectCache struct {
	dir   string
	limit int64
	run   string // this cache's part of its files' names
	log   *slog.Logger

	once sync.Once
	made error

	mu    sync.Mutex
	files map[string]*sparseFile // by path in the object store
	clock int64                  // of use and of making

	fetched atomic.Int64 // bytes, ever
	footer  atomic.Int64 // the longest footer that was seen
}

func newObjectCache(dir string, limit int64, log *slog.Logger) *objectCache {
	return &objectCache{dir: dir, limit: limit, run: "-" + rand.Text()[:8], log: log, files: map[string]*sparseFile{}}
}

// open makes the folder and takes over what earlier processes left. One that
// still runs has its links, and reads again what it misses.
func (c *objectCache) open() error {
	c.once.Do(func() {
		if c.made = os.MkdirAll(c.dir, 0o700); c.made != nil {
			c.made = fmt.Errorf("make cache: %w", c.made)
			return
		}
		c.made = c.takeOver()
	})
	return c.made
}

// there opens the cache unless there is none, as with tables in a folder.
func (c *objectCache) there() (bool, error) {
	if _, err := os.Stat(c.dir); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return true, c.open()
}

// bring gives local paths, in dir, of an object store's files, which hold at
// least the columns that are wanted. partly says that what is not wanted is
// missing from some.
func (c *objectCache) bring(ctx context.Context, t *table.Table, dir string, files []iceberg.DataFile, want wanted) (paths []string, partly bool, err error) {
	if len(files) == 0 {
		return nil, false, nil
	}
	if err := c.open(); err != nil {
		return nil, false, err
	}
	from, err := newSource(ctx, t, dir, want)
	if err != nil {
		return nil, false, err
	}
	paths = make([]string, len(files))
	errs := make([]error, len(files))
	var some atomic.Bool
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(fetchers, len(files)) {
		wg.Go(func() {
			for i := range next {
				var lacks bool
				if paths[i], lacks, errs[i] = c.one(ctx, from, files[i]); lacks {
					some.Store(true)
				}
			}
		})
	}
	for i := range files {
		next <- i
	}
	close(next)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, false, err
	}
	return paths, some.Load(), c.evict()
}

// one links a file into the query's folder, after what is wanted of it has been
// read.
func (c *objectCache) one(ctx context.Context, from source, f iceberg.DataFile) (link string, lacks bool, err error) {
	if from.want.apart(from.want.stated(f)) {
		link, err := from.hollow(f)
		return link, true, err
	}
	for try := 0; ; try++ {
		s := c.file(f)
		link := filepath.Join(from.dir, filepath.Base(s.path))
		lacks, err := s.fill(ctx, c, from)
		if err == nil {
			err = os.Link(s.path, link)
		}
		if err == nil || errors.Is(err, fs.ErrExist) {
			return link, lacks, nil
		}
		if !errors.Is(err, fs.ErrNotExist) || try > 2 {
			return "", false, fmt.Errorf("read %s: %w", f.FilePath(), err)
		}
		c.forget(f.FilePath(), s) // somebody removed it
	}
}

// file gives the entry of a file and notes that it is used.
func (c *objectCache) file(f iceberg.DataFile) *sparseFile {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.files[f.FilePath()]
	if s == nil || s.size != f.FileSizeBytes() {
		s = c.entry(f.FilePath(), f.FileSizeBytes())
		c.files[f.FilePath()] = s
	}
	c.clock++
	s.used = c.clock
	return s
}

// entry makes an entry with a place of its own, so that of one that was dropped
// nobody takes the file for another's. Its caller has c.mu.
func (c *objectCache) entry(remote string, size int64) *sparseFile {
	c.clock++
	name := sha256.Sum256([]byte(remote))
	return &sparseFile{remote: remote, size: size, path: filepath.Join(c.dir, fmt.Sprintf("%x%s-%d.parquet", name[:16], c.run, c.clock))}
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
	if there, err := c.there(); !there || err != nil { // an earlier process may have it
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.files[path]
	delete(c.files, path)
	if s == nil {
		return nil
	}
	if err := errors.Join(ignoreGone(os.Remove(s.path)), ignoreGone(os.Remove(s.list()))); err != nil {
		return fmt.Errorf("shrink cache: %w", err)
	}
	return nil
}

// only removes what is kept of files that no table names any more.
func (c *objectCache) only(named map[string]bool) error {
	if there, err := c.there(); !there || err != nil {
		return err
	}
	var gone []string
	c.mu.Lock()
	for path := range c.files {
		if !named[path] {
			gone = append(gone, path)
		}
	}
	c.mu.Unlock()
	for _, path := range gone {
		if err := c.drop(path); err != nil {
			return err
		}
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
