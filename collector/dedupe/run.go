package dedupe

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"sort"
	"sync"
)

// A run file is a header, the keys in ascending order, and their filter:
//
//	magic     8 bytes "HLYIDS1\n"
//	count     uint64, little endian as all numbers
//	oldest    int64, µs: no key came before
//	newest    int64, µs: no key came after
//	filterCRC uint32, CRC-32C of the filter
//	headerCRC uint32, CRC-32C of the bytes before
//	keys      16 bytes each
//	filter    blocks of 32 bytes: count × 2 bytes, rounded up
const (
	runMagic    = "HLYIDS1\n"
	headerBytes = 40
	keyBytes    = 16
)

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// run is one file of keys, open for reading. It is never changed. A run that is
// not needed any more is deleted but not closed: a lookup may still be reading
// it; the runtime closes the file when nobody holds it.
type run struct {
	path           string
	file           *os.File
	count          int64
	oldest, newest int64
	blocks         int64
	filter         filter // nil where it is read from the file
}

// withoutFilter is the same run with its filter on disk.
func (r *run) withoutFilter() *run {
	c := *r
	c.filter = nil
	return &c
}

var blockPool = sync.Pool{New: func() any { return new([blockBytes]byte) }} //nolint:gochecknoglobals // scratch space, no state

// has says whether the run holds a key.
func (r *run) has(k *key) (bool, error) {
	if r.filter != nil {
		if !r.filter.has(k) {
			return false, nil
		}
		return r.search(k)
	}
	buf, _ := blockPool.Get().(*[blockBytes]byte)
	defer blockPool.Put(buf)
	if _, err := r.file.ReadAt(buf[:], headerBytes+r.count*keyBytes+blockOf(k, r.blocks)); err != nil {
		return false, fmt.Errorf("read filter of %s: %w", r.path, err)
	}
	if !inBlock(buf[:], k) {
		return false, nil
	}
	return r.search(k)
}

// windowKeys is how many keys search reads at once: 4 KiB.
const windowKeys = 256

var windowPool = sync.Pool{New: func() any { return new([windowKeys * keyBytes]byte) }} //nolint:gochecknoglobals // scratch space, no state

// search looks for a key in the file. Keys are evenly spread, so its place
// follows from its value; the first look is off by about the root of the
// count, the second one mostly hits.
func (r *run) search(k *key) (bool, error) {
	buf, _ := windowPool.Get().(*[windowKeys * keyBytes]byte)
	defer windowPool.Put(buf)
	lo, hi := int64(0), r.count // k is in [lo, hi), if anywhere
	from, to := uint64(0), uint64(math.MaxUint64)
	for lo < hi {
		share := float64(k.high()-from) / max(float64(to-from), 1)
		at := lo + int64(share*float64(hi-lo)) - windowKeys/2
		at = max(lo, min(at, hi-windowKeys))
		n := min(windowKeys, hi-at)
		w := buf[:n*keyBytes]
		if _, err := r.file.ReadAt(w, headerBytes+at*keyBytes); err != nil {
			return false, fmt.Errorf("read keys of %s: %w", r.path, err)
		}
		first, last := key(w), key(w[len(w)-keyBytes:])
		switch {
		case compareKeys(*k, first) < 0:
			hi, to = at, first.high()
		case compareKeys(*k, last) > 0:
			lo, from = at+n, last.high()
		default:
			i := sort.Search(int(n), func(i int) bool { return bytes.Compare(w[i*keyBytes:(i+1)*keyBytes], k[:]) >= 0 })
			return key(w[i*keyBytes:]) == *k, nil
		}
	}
	return false, nil
}

// openRun opens a run and reads its filter.
func openRun(path string) (*run, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r := &run{path: path, file: f}
	if err := r.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("run %s: %w", path, err), f.Close())
	}
	return r, nil
}

var errDamaged = errors.New("is damaged")

func (r *run) load() error {
	var h [headerBytes]byte
	if _, err := io.ReadFull(r.file, h[:]); err != nil {
		return errDamaged
	}
	if string(h[:8]) != runMagic || crc32.Checksum(h[:headerBytes-4], castagnoli()) != binary.LittleEndian.Uint32(h[headerBytes-4:]) {
		return errDamaged
	}
	r.count = int64(binary.LittleEndian.Uint64(h[8:]))
	r.oldest, r.newest = int64(binary.LittleEndian.Uint64(h[16:])), int64(binary.LittleEndian.Uint64(h[24:]))
	r.blocks = filterBlocks(r.count)
	info, err := r.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() != headerBytes+r.count*keyBytes+r.blocks*blockBytes {
		return errDamaged
	}
	r.filter = make(filter, r.blocks*blockBytes)
	if _, err := r.file.ReadAt(r.filter, headerBytes+r.count*keyBytes); err != nil {
		return err
	}
	if crc32.Checksum(r.filter, castagnoli()) != binary.LittleEndian.Uint32(h[32:]) {
		return errDamaged
	}
	return nil
}

// runWriter writes a run whose keys come in order.
type runWriter struct {
	file   *os.File
	w      *bufio.Writer
	filter filter
	count  int64
	last   key
}

// newRunWriter starts a run of at most limit keys.
func newRunWriter(path string, limit int64) (*runWriter, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	w := &runWriter{file: f, w: bufio.NewWriterSize(f, 256<<10), filter: make(filter, filterBlocks(limit)*blockBytes)}
	_, err = w.w.Write(make([]byte, headerBytes))
	return w, err
}

// add writes a key; one that equals the last is passed over.
func (w *runWriter) add(k *key) error {
	if w.count > 0 && *k == w.last {
		return nil
	}
	w.last = *k
	w.count++
	_, err := w.w.Write(k[:])
	return err
}

// finish writes filter and header, syncs and closes. The filter is built from
// the file again, because its size follows from the true count.
func (w *runWriter) finish(oldest, newest int64) error {
	err := w.w.Flush()
	if err == nil {
		w.filter = w.filter[:filterBlocks(w.count)*blockBytes]
		err = w.index()
	}
	if err == nil {
		_, err = w.file.WriteAt(w.filter, headerBytes+w.count*keyBytes)
	}
	h := make([]byte, 0, headerBytes)
	h = append(h, runMagic...)
	h = binary.LittleEndian.AppendUint64(h, uint64(w.count))
	h = binary.LittleEndian.AppendUint64(h, uint64(oldest))
	h = binary.LittleEndian.AppendUint64(h, uint64(newest))
	h = binary.LittleEndian.AppendUint32(h, crc32.Checksum(w.filter, castagnoli()))
	h = binary.LittleEndian.AppendUint32(h, crc32.Checksum(h, castagnoli()))
	if err == nil {
		_, err = w.file.WriteAt(h, 0)
	}
	if err == nil {
		err = w.file.Sync()
	}
	return errors.Join(err, w.file.Close())
}

// index fills the filter from the keys written.
func (w *runWriter) index() error {
	if _, err := w.file.Seek(headerBytes, io.SeekStart); err != nil {
		return err
	}
	r := bufio.NewReaderSize(w.file, 256<<10)
	var k key
	for range w.count {
		if _, err := io.ReadFull(r, k[:]); err != nil {
			return err
		}
		w.filter.add(&k)
	}
	return nil
}
