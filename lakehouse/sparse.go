package lakehouse

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/parquet/metadata"
	iceio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/io/gocloud/blobfs"
)

// Reading of an object store.
const (
	wholeBytes  = 128 << 10 // a file up to this size is read at once
	footerBytes = 64 << 10  // first read from the end of a larger one
	gapBytes    = 32 << 10  // two parts this near are one request
	readTries   = 5         // of a part, beyond what the store's client tries itself
)

// span is a part of a file.
type span struct{ from, to int64 }

// columnChunk is where a column lies in one row group.
type columnChunk struct {
	field int
	span
}

// rowGroup is what the footer says of one row group.
type rowGroup struct {
	chunks []columnChunk
	times  map[int]period // of the columns whose bounds are known
}

// sparseFile is what is kept of one file.
type sparseFile struct {
	remote string // in the object store
	size   int64
	path   string
	used   int64 // guarded by the cache
	held   atomic.Int64

	mu      sync.Mutex // one fills at a time
	made    bool
	doubted bool   // it is of an earlier process, and not yet checked
	parts   []part // as they were fetched
	have    []span // the same, sorted, apart from each other
	groups  []rowGroup
}

// fill reads what is wanted and not there yet. lacks says that something is
// still missing from the file.
func (s *sparseFile) fill(ctx context.Context, c *objectCache, from source) (lacks bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.open(c)
	if err != nil {
		return false, err
	}
	defer f.Close() //nolint:errcheck // a cache: what is not written is a hole
	before := len(s.parts)
	get := func(p span) error {
		for _, p := range without(p, s.have) {
			sum, err := s.get(ctx, from.fsys, f, p)
			if err != nil {
				return errors.Join(err, s.blank(f, p))
			}
			c.fetched.Add(p.to - p.from)
			s.add(part{p, sum})
		}
		return nil
	}
	if s.groups == nil {
		if err = s.footer(f, c, get); err != nil { // what came of it may hold the head of a column
			s.discard()
			return false, err
		}
	}
	for _, p := range s.missing(from.want) {
		if err == nil {
			err = get(p)
		}
	}
	if len(s.parts) > before {
		if err := s.save(); err != nil { // it is read again after a restart
			c.log.Warn("lakehouse_cache_not_kept", slog.Any("error", err))
		}
	}
	return len(s.missing(wanted{all: true})) > 0, err
}

// open opens the file, after a check if it is of an earlier process.
func (s *sparseFile) open(c *objectCache) (*os.File, error) {
	if s.made {
		f, err := os.OpenFile(s.path, os.O_RDWR, 0o600)
		if err != nil {
			return nil, err
		}
		if !s.doubted || s.check(f) {
			s.doubted = false
			return f, nil
		}
		_ = f.Close() // of no more use
		s.damaged(c.log)
	}
	if err := ignoreGone(os.Remove(s.path)); err != nil { // whoever reads it has a link
		return nil, err
	}
	f, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(s.size); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	s.made = true
	return f, nil
}

// footer reads the end of the file and learns where its columns are.
func (s *sparseFile) footer(f *os.File, c *objectCache, get func(span) error) error {
	first := span{max(0, s.size-c.footerGuess()), s.size}
	if s.size <= wholeBytes {
		first.from = 0
	}
	if len(without(span{max(0, s.size-8), s.size}, s.have)) > 0 { // else it is of an earlier process
		if err := get(first); err != nil {
			return err
		}
	}
	var end [8]byte
	if s.size < int64(len(end)) {
		return errors.New("is too short for a Parquet file")
	}
	if _, err := f.ReadAt(end[:], s.size-int64(len(end))); err != nil {
		return err
	}
	n := int64(binary.LittleEndian.Uint32(end[:4]))
	from := s.size - int64(len(end)) - n
	if string(end[4:]) != "PAR1" || from < 4 {
		return errors.New("is no Parquet file")
	}
	c.sawFooter(s.size - from)
	if err := get(span{from, s.size}); err != nil {
		return err
	}
	raw := make([]byte, n)
	if _, err := f.ReadAt(raw, from); err != nil {
		return err
	}
	meta, err := metadata.NewFileMetaData(raw, nil)
	if err != nil {
		return fmt.Errorf("read footer: %w", err)
	}
	s.groups, err = groupsOf(meta, from)
	return err
}

// footerGuess is how much of a file's end to read first: as much as the longest
// footer that was seen.
func (c *objectCache) footerGuess() int64 {
	if n := c.footer.Load(); n > 0 {
		return n
	}
	return footerBytes
}

func (c *objectCache) sawFooter(n int64) {
	for {
		old := c.footer.Load()
		if n <= old || c.footer.CompareAndSwap(old, min(n, footerBytes)) {
			return
		}
	}
}

// groupsOf lists where the columns are.
func groupsOf(meta *metadata.FileMetaData, end int64) ([]rowGroup, error) {
	groups := make([]rowGroup, meta.NumRowGroups())
	for g := range groups {
		group := meta.RowGroup(g)
		groups[g].times = map[int]period{}
		for i := range group.NumColumns() {
			c, err := group.ColumnChunk(i)
			if err != nil {
				return nil, fmt.Errorf("read footer: %w", err)
			}
			from := c.DataPageOffset()
			if c.HasDictionaryPage() && c.DictionaryPageOffset() > 0 {
				from = min(from, c.DictionaryPageOffset())
			}
			to := from + c.TotalCompressedSize()
			if from < 0 || to < from || to > end {
				return nil, fmt.Errorf("footer places column %d outside of the file", i)
			}
			field := int(meta.Schema.Column(i).SchemaNode().FieldID())
			groups[g].chunks = append(groups[g].chunks, columnChunk{field, span{from, to}})
			if at, ok := statedPeriod(c); ok {
				groups[g].times[field] = at
			}
		}
	}
	return groups, nil
}

// missing lists what has to be read, near parts as one.
func (s *sparseFile) missing(want wanted) (out []span) {
	var need []span
	for _, g := range s.groups {
		apart := want.apart(g.times)
		for _, c := range g.chunks {
			if apart && !s.begun(c.span) {
				continue
			}
			if want.all || want.fields[c.field] || s.begun(c.span) {
				need = append(need, without(c.span, s.have)...)
			}
		}
	}
	slices.SortFunc(need, func(a, b span) int { return int(a.from - b.from) })
	for _, p := range need {
		if n := len(out); n > 0 && p.from-out[n-1].to <= gapBytes {
			out[n-1].to = max(out[n-1].to, p.to)
			continue
		}
		out = append(out, p)
	}
	return out
}

// begun says whether the head of a column is there and the rest is not: it
// would not be seen to be a hole.
func (s *sparseFile) begun(p span) bool {
	left := without(p, s.have)
	return len(left) > 0 && left[0].from > p.from
}

// blank makes holes again of the columns whose heads a broken read has left.
func (s *sparseFile) blank(f *os.File, p span) error {
	for _, g := range s.groups {
		for _, c := range g.chunks {
			if c.from < p.from || c.from >= p.to {
				continue
			}
			if _, err := f.WriteAt(make([]byte, min(64, c.to-c.from)), c.from); err != nil {
				return err
			}
		}
	}
	return nil
}

// without is what of a part the sorted others do not cover.
func without(p span, others []span) (out []span) {
	for _, o := range others {
		if o.to <= p.from {
			continue
		}
		if o.from >= p.to {
			break
		}
		if o.from > p.from {
			out = append(out, span{p.from, o.from})
		}
		p.from = max(p.from, o.to)
	}
	if p.from < p.to {
		out = append(out, p)
	}
	return out
}

// add notes that a part is there.
func (s *sparseFile) add(p part) {
	s.parts = append(s.parts, p)
	all := append(s.have, p.span)
	slices.SortFunc(all, func(a, b span) int { return int(a.from - b.from) })
	merged := all[:1]
	for _, p := range all[1:] {
		if last := &merged[len(merged)-1]; p.from <= last.to {
			last.to = max(last.to, p.to)
			continue
		}
		merged = append(merged, p)
	}
	s.have = merged
	held := int64(0)
	for _, p := range merged {
		held += p.to - p.from
	}
	s.held.Store(held)
}

// get reads a part into its place, and gives its checksum. A connection that
// ends early is taken up again where it ended.
func (s *sparseFile) get(ctx context.Context, fsys iceio.IO, f *os.File, p span) (uint32, error) {
	sum := crc32.New(castagnoli())
	for try := 1; ; try++ {
		n, err := s.read(ctx, fsys, f, p, sum)
		if p.from += n; err == nil {
			return sum.Sum32(), nil
		}
		if cause := context.Cause(ctx); cause != nil {
			return 0, cause
		}
		if try == readTries {
			return 0, err
		}
		if err := pause(ctx, time.Duration(try)*50*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// read asks the store for a part and writes as much as comes.
func (s *sparseFile) read(ctx context.Context, fsys iceio.IO, f *os.File, p span, sum io.Writer) (int64, error) {
	store, ok := fsys.(*blobfs.FileIO)
	if !ok {
		return 0, fmt.Errorf("the warehouse is a %T, of which no parts can be read", fsys)
	}
	_, rest, _ := strings.Cut(s.remote, "://")
	_, key, ok := strings.Cut(rest, "/")
	if !ok {
		return 0, fmt.Errorf("%s names no object", s.remote)
	}
	r, err := store.NewRangeReader(ctx, key, p.from, p.to-p.from, nil)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(io.MultiWriter(io.NewOffsetWriter(f, p.from), sum), io.LimitReader(r, p.to-p.from))
	if err = errors.Join(err, r.Close()); err == nil && n != p.to-p.from {
		err = fmt.Errorf("got %d bytes of %d", n, p.to-p.from)
	}
	return n, err
}
