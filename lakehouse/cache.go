package lakehouse

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"
)

// fetchers is how many files are copied from the object store at once.
const fetchers = 8

// fetching begins the names of files that are not whole yet.
const fetching = "fetch-"

// objectCache keeps copies of an object store's data files, which never
// change. A query gets links into its own folder, so that a copy may be
// dropped while it runs. Safe for concurrent use, also by several processes.
type objectCache struct {
	dir   string
	limit int64

	mu sync.Mutex // one eviction at a time
}

func newObjectCache(dir string, limit int64) *objectCache {
	return &objectCache{dir: dir, limit: limit}
}

// bring gives local paths, in dir, of an object store's files.
func (c *objectCache) bring(ctx context.Context, t *table.Table, dir string, files []iceberg.DataFile) ([]string, error) {
	if len(files) == 0 {
		return nil, nil
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make cache: %w", err)
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
				paths[i], errs[i] = c.one(ctx, fsys, dir, files[i])
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

// place is where the copy of a file is, if there is one.
func (c *objectCache) place(path string) string {
	name := sha256.Sum256([]byte(path))
	return filepath.Join(c.dir, hex.EncodeToString(name[:16])+".parquet")
}

// drop removes the copy of a file.
func (c *objectCache) drop(path string) error {
	if err := ignoreGone(os.Remove(c.place(path))); err != nil {
		return fmt.Errorf("shrink cache: %w", err)
	}
	return nil
}

// one links the copy of a file into dir, fetching it first if need be.
func (c *objectCache) one(ctx context.Context, fsys iceio.IO, dir string, f iceberg.DataFile) (string, error) {
	kept := c.place(f.FilePath())
	link := filepath.Join(dir, filepath.Base(kept))
	for try := 0; ; try++ {
		err := os.Link(kept, link)
		switch {
		case err == nil:
			now := time.Now() //nolint:forbidigo // file times are the machine's own
			return link, ignoreGone(os.Chtimes(kept, now, now))
		case !errors.Is(err, fs.ErrNotExist) || try > 2:
			return "", fmt.Errorf("use cached %s: %w", f.FilePath(), err)
		}
		if err := c.fetch(ctx, fsys, f, kept); err != nil {
			return "", fmt.Errorf("fetch %s: %w", f.FilePath(), err)
		}
	}
}

// ignoreGone drops the error of a file that was evicted in between.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// fetch copies a file from the object store and puts it in place whole.
func (c *objectCache) fetch(ctx context.Context, fsys iceio.IO, f iceberg.DataFile, kept string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	from, err := fsys.Open(f.FilePath())
	if err != nil {
		return err
	}
	to, err := os.CreateTemp(c.dir, fetching)
	if err != nil {
		return errors.Join(err, from.Close())
	}
	n, err := io.Copy(to, readerOf(ctx, from))
	if err = errors.Join(err, from.Close(), to.Close()); err == nil && n != f.FileSizeBytes() {
		err = fmt.Errorf("got %d bytes, the table says %d", n, f.FileSizeBytes())
	}
	if err == nil {
		err = os.Rename(to.Name(), kept)
	}
	if err != nil {
		return errors.Join(err, ignoreGone(os.Remove(to.Name())))
	}
	return nil
}

// readerOf stops reading when ctx ends.
func readerOf(ctx context.Context, r io.Reader) io.Reader { return ctxReader{ctx, r} }

type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c ctxReader) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// evict removes the copies that were used longest ago, down to the limit.
func (c *objectCache) evict() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return fmt.Errorf("read cache: %w", err)
	}
	var infos []fs.FileInfo
	total := int64(0)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && !strings.HasPrefix(e.Name(), fetching) {
			infos = append(infos, info)
			total += info.Size()
		}
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int { return cmp.Compare(a.ModTime().UnixNano(), b.ModTime().UnixNano()) })
	for _, info := range infos {
		if total <= c.limit {
			break
		}
		if err := ignoreGone(os.Remove(filepath.Join(c.dir, info.Name()))); err != nil {
			return fmt.Errorf("shrink cache: %w", err)
		}
		total -= info.Size()
	}
	return nil
}
