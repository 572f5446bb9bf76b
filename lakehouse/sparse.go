package lakehouse

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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

// wanted is what a query may read of a table's files.
type wanted struct {
	all    bool
	fields map[int]bool // ids of columns
}

// column is where a column lies in one row group.
type columnChunk struct {
	field int
	span
}

// sparseFile is what is kept of one file.
type sparseFile struct {
	remote string // in the object store
	size   int64
	path   string
	used   int64 // guarded by the cache
	held   atomic.Int64

	mu     sync.Mutex // one fills at a time
	made   bool
	have   []span // sorted, apart from each other
	chunks []columnChunk
}

// place is where what is kept of a file goes.
func (c *objectCache) place(path string) string {
	name := sha256.Sum256([]byte(path))
	return filepath.Join(c.dir, hex.EncodeToString(name[:16])+c.run+".parquet")
}

// fill reads what is wanted and not there yet.
func (s *sparseFile) fill(ctx context.Context, fsys iceio.IO, want wanted, count *atomic.Int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	flags := os.O_RDWR
	if !s.made {
		flags |= os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(s.path, flags, 0o600)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // a cache: what is not written is a hole
	if !s.made {
		if err := f.Truncate(s.size); err != nil {
			return err
		}
		s.made = true
	}
	get := func(p span) error {
		if err := s.get(ctx, fsys, f, p); err != nil {
			return err
		}
		count.Add(p.to - p.from)
		s.add(p)
		return nil
	}
	if s.chunks == nil {
		if err := s.footer(f, get); err != nil {
			return err
		}
	}
	for _, p := range s.missing(want) {
		if err := get(p); err != nil {
			return err
		}
	}
	return nil
}

// footer reads the end of the file and learns where its columns are.
func (s *sparseFile) footer(f *os.File, get func(span) error) error {
	first := span{max(0, s.size-footerBytes), s.size}
	if s.size <= wholeBytes {
		first.from = 0
	}
	if err := get(first); err != nil {
		return err
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
	if from < first.from {
		if err := get(span{from, first.from}); err != nil {
			return err
		}
	}
	raw := make([]byte, n)
	if _, err := f.ReadAt(raw, from); err != nil {
		return err
	}
	meta, err := metadata.NewFileMetaData(raw, nil)
	if err != nil {
		return fmt.Errorf("read footer: %w", err)
	}
	s.chunks, err = chunksOf(meta, from)
	return err
}

// chunksOf lists where the columns are.
func chunksOf(meta *metadata.FileMetaData, end int64) ([]columnChunk, error) {
	chunks := []columnChunk{}
	for g := range meta.NumRowGroups() {
		group := meta.RowGroup(g)
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
			chunks = append(chunks, columnChunk{int(meta.Schema.Column(i).SchemaNode().FieldID()), span{from, to}})
		}
	}
	return chunks, nil
}

// missing lists what has to be read, near parts as one.
func (s *sparseFile) missing(want wanted) (out []span) {
	var need []span
	for _, c := range s.chunks {
		if want.all || want.fields[c.field] {
			need = append(need, without(c.span, s.have)...)
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
func (s *sparseFile) add(p span) {
	all := append(s.have, p)
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

// get reads a part into its place. A connection that ends early is taken up
// again where it ended.
func (s *sparseFile) get(ctx context.Context, fsys iceio.IO, f *os.File, p span) error {
	for try := 1; ; try++ {
		n, err := s.read(ctx, fsys, f, p)
		if p.from += n; err == nil {
			return nil
		}
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if try == readTries {
			return err
		}
		if err := pause(ctx, time.Duration(try)*50*time.Millisecond); err != nil {
			return err
		}
	}
}

// read asks the store for a part and writes as much as comes.
func (s *sparseFile) read(ctx context.Context, fsys iceio.IO, f *os.File, p span) (int64, error) {
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
	n, err := io.Copy(io.NewOffsetWriter(f, p.from), io.LimitReader(r, p.to-p.from))
	if err = errors.Join(err, r.Close()); err == nil && n != p.to-p.from {
		err = fmt.Errorf("got %d bytes of %d", n, p.to-p.from)
	}
	return n, err
}
