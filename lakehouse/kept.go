package lakehouse

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// part is a part of a file that is there, with its checksum (CRC32C).
type part struct {
	span
	sum uint32
}

var castagnoli = sync.OnceValue(func() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }) //nolint:gochecknoglobals // a constant

// partList is the file beside a kept one, <name>.parts, as JSON. Neither is
// synced: after a power cut the checksums tell what the disk has.
type partList struct {
	Remote string     `json:"remote"`
	Size   int64      `json:"size"`
	Parts  [][3]int64 `json:"parts"` // from, to (exclusive), checksum
}

const partsSuffix = ".parts"

// list is where the list of a file's parts is.
func (s *sparseFile) list() string { return strings.TrimSuffix(s.path, ".parquet") + partsSuffix }

// save writes the list of parts.
func (s *sparseFile) save() error {
	l := partList{Remote: s.remote, Size: s.size}
	for _, p := range s.parts {
		l.Parts = append(l.Parts, [3]int64{p.from, p.to, int64(p.sum)})
	}
	raw, err := json.Marshal(l)
	if err != nil {
		return err
	}
	fresh := s.list() + ".new"
	if err := os.WriteFile(fresh, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, s.list())
}

// takeOver makes the files of earlier processes this cache's own, and removes
// what belongs to none. Their contents are checked when they are used.
func (c *objectCache) takeOver() error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return fmt.Errorf("read cache: %w", err)
	}
	type aged struct {
		s  *sparseFile
		at int64
	}
	var found []aged
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), partsSuffix)
		if !ok {
			continue
		}
		at := int64(0)
		if info, err := e.Info(); err == nil {
			at = info.ModTime().UnixNano()
		}
		if s := c.adopt(filepath.Join(c.dir, name)); s != nil {
			found = append(found, aged{s, at})
		}
	}
	slices.SortFunc(found, func(a, b aged) int { return cmp.Compare(a.at, b.at) })
	c.mu.Lock()
	for _, f := range found { // of two of the same file the younger
		c.clock++
		f.s.used = c.clock
		c.files[f.s.remote] = f.s
	}
	c.mu.Unlock()
	if entries, err = os.ReadDir(c.dir); err != nil {
		return fmt.Errorf("read cache: %w", err)
	}
	for _, e := range entries {
		if !strings.Contains(e.Name(), c.run) {
			err = errors.Join(err, ignoreGone(os.Remove(filepath.Join(c.dir, e.Name()))))
		}
	}
	return err
}

// adopt renames a file to this cache's, nil if it is not as its list says.
func (c *objectCache) adopt(base string) *sparseFile {
	raw, err := os.ReadFile(base + partsSuffix) //nolint:gosec // of the cache's own folder
	if err != nil {
		return nil
	}
	var l partList
	if json.Unmarshal(raw, &l) != nil || l.Size <= 0 {
		return nil
	}
	s := c.entry(l.Remote, l.Size)
	for _, p := range l.Parts {
		if p[0] < 0 || p[1] <= p[0] || p[1] > l.Size || p[2] < 0 || p[2] > 1<<32-1 {
			return nil
		}
		s.add(part{span{p[0], p[1]}, uint32(p[2])})
	}
	if info, err := os.Stat(base + ".parquet"); err != nil || info.Size() != l.Size || s.held.Load() == 0 {
		return nil
	}
	if os.Rename(base+".parquet", s.path) != nil || s.save() != nil {
		return nil
	}
	s.made, s.doubted = true, true
	return s
}

// check reads what is there and says whether it is what was fetched.
func (s *sparseFile) check(f io.ReaderAt) bool {
	for _, p := range s.parts {
		h := crc32.New(castagnoli())
		n, err := io.Copy(h, io.NewSectionReader(f, p.from, p.to-p.from))
		if err != nil || n != p.to-p.from || h.Sum32() != p.sum {
			return false
		}
	}
	return true
}

// doubt checks what a failed query has read of these files, and says whether
// some of it is damaged; that is read again at its next use.
func (c *objectCache) doubt(paths []string) (damaged bool) {
	for _, path := range paths {
		c.mu.Lock()
		s := c.files[path]
		c.mu.Unlock()
		if s != nil {
			damaged = s.recheck(c.log) || damaged
		}
	}
	return damaged
}

// recheck drops what is there of a file, if it is damaged.
func (s *sparseFile) recheck(log *slog.Logger) (damaged bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.made {
		return false
	}
	f, err := os.Open(s.path)
	if err != nil {
		return false // read again at its next use
	}
	defer f.Close() //nolint:errcheck // only read
	if s.check(f) {
		return false
	}
	s.damaged(log)
	return true
}

func (s *sparseFile) damaged(log *slog.Logger) {
	log.Warn("lakehouse_cache_file_damaged", slog.String("file", s.remote))
	s.discard()
}

// discard forgets what is there; the next fill makes the file anew. Whoever
// reads the old one has a link to it.
func (s *sparseFile) discard() {
	_ = os.Remove(s.path) // else the next fill does it
	_ = os.Remove(s.list())
	s.made, s.doubted, s.parts, s.have, s.groups = false, false, nil, nil, nil
	s.held.Store(0)
}
