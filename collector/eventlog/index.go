package eventlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/minio/highwayhash"

	"github.com/headlessly/headlessly"
)

// A start after a kill. The server writes its summary of a stream (index.db)
// every two minutes and when it is shut. With a summary that is behind the
// blocks it reads the whole store again, and so does the search for damage
// before it: with a log of many gigabytes that takes longer than anybody wants
// to wait. So the summary is brought up to date here, from what was written
// since: the blocks that it lists are treated as after an orderly Close (their
// lengths and sequences are followed, and damage inside a record is found when
// it is read, and costs that record); its last block and newer ones are searched
// whole. Wherever anything is other than expected (a torn write, a removal, a
// version that is not known) nothing is changed, and everything is searched.

// The form of index.db as nats-server 2.12 to 2.15 writes it: magic, version,
// then varints (see blockIndex), and a hash of all that.
const (
	indexMagic   = 11
	indexVersion = 4
	indexHash    = 8
)

// blockIndex is the server's summary of a stream whose messages have one
// subject and none of which was removed.
type blockIndex struct {
	subject string
	blocks  []indexedBlock
	last    [blockHash]byte // the hash that the newest record carries
}

// indexedBlock is one block file: sequences first to last, without holes.
type indexedBlock struct {
	index, size         uint64
	first, last         uint64
	firstTime, lastTime int64
}

var errIndex = errors.New("index is not a plain one")

// indexSum hashes an index.
func indexSum(stream string, b []byte) ([]byte, error) {
	key := sha256.Sum256([]byte(stream))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		return nil, fmt.Errorf("index hash: %w", err)
	}
	_, _ = h.Write(b)
	return h.Sum(nil), nil
}

// readIndex reads an index that is plain: one subject, nothing removed.
func readIndex(stream string, b []byte) (*blockIndex, error) {
	if len(b) < 2+blockHash+indexHash {
		return nil, errIndex
	}
	b, sum := b[:len(b)-indexHash], b[len(b)-indexHash:]
	want, err := indexSum(stream, b)
	if err != nil || !bytes.Equal(sum, want) || b[0] != indexMagic || b[1] != indexVersion {
		return nil, errors.Join(errIndex, err)
	}
	r := packReader{b: b[2:]}
	messages, size, first := r.uvarint(), r.uvarint(), r.uvarint()
	base := r.varint()
	last := r.uvarint()
	_ = r.varint() // time of the last
	if r.uvarint() != 1 {
		return nil, errIndex
	}
	x := &blockIndex{subject: string(r.bytes())}
	total, _, _ := r.uvarint(), r.uvarint(), r.uvarint() // messages, first and last block
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		e := indexedBlock{index: r.uvarint(), size: r.uvarint(), first: r.uvarint(), firstTime: base + r.varint(), last: r.uvarint(), lastTime: base + r.varint()}
		removed, timed, scheduled := r.uvarint(), r.uvarint(), r.uvarint()
		if removed+timed+scheduled > 0 {
			return nil, errIndex
		}
		x.blocks = append(x.blocks, e)
	}
	newest := r.uvarint()
	if r.err != nil || len(r.b) != blockHash || len(x.blocks) == 0 || newest != x.blocks[len(x.blocks)-1].index {
		return nil, errIndex
	}
	copy(x.last[:], r.b)
	if t := x.totals(); !x.plain() || t.messages != messages || total != messages || t.size != size || x.blocks[0].first != first || x.blocks[len(x.blocks)-1].last != last {
		return nil, errIndex
	}
	return x, nil
}

type indexTotals struct{ messages, size uint64 }

func (x *blockIndex) totals() (t indexTotals) {
	for _, b := range x.blocks {
		t.messages += b.last - b.first + 1
		t.size += b.size
	}
	return t
}

// plain says whether the sequences go on from block to block.
func (x *blockIndex) plain() bool {
	for i, b := range x.blocks {
		if b.first == 0 || b.last < b.first || i > 0 && (b.first != x.blocks[i-1].last+1 || b.index <= x.blocks[i-1].index) {
			return false
		}
	}
	return true
}

// encode writes the index as the server does.
func (x *blockIndex) encode(stream string) ([]byte, error) {
	t, base := x.totals(), x.blocks[0].firstTime
	first, last := x.blocks[0], x.blocks[len(x.blocks)-1]
	b := []byte{indexMagic, indexVersion}
	b = binary.AppendUvarint(b, t.messages)
	b = binary.AppendUvarint(b, t.size)
	b = binary.AppendUvarint(b, first.first)
	b = binary.AppendVarint(b, base)
	b = binary.AppendUvarint(b, last.last)
	b = binary.AppendVarint(b, last.lastTime)
	b = binary.AppendUvarint(b, 1)
	b = binary.AppendUvarint(b, uint64(len(x.subject)))
	b = append(b, x.subject...)
	b = binary.AppendUvarint(b, t.messages)
	b = binary.AppendUvarint(b, first.index)
	b = binary.AppendUvarint(b, last.index)
	b = binary.AppendUvarint(b, uint64(len(x.blocks)))
	for _, e := range x.blocks {
		b = binary.AppendUvarint(b, e.index)
		b = binary.AppendUvarint(b, e.size)
		b = binary.AppendUvarint(b, e.first)
		b = binary.AppendVarint(b, e.firstTime-base)
		b = binary.AppendUvarint(b, e.last)
		b = binary.AppendVarint(b, e.lastTime-base)
		b = append(b, 0, 0, 0) // removed, timed, scheduled
	}
	b = binary.AppendUvarint(b, last.index)
	b = append(b, x.last[:]...)
	sum, err := indexSum(stream, b)
	return append(b, sum...), err
}

// catchUp brings the index up to date with the blocks. It says whether the
// server can open the store by it; if not, nothing was changed.
func (s salvager) catchUp(list []block) (bool, error) {
	if s.kind.frames == "" {
		return false, nil // small, or with removals
	}
	path := filepath.Join(s.dir, indexFile)
	raw, err := os.ReadFile(path) //nolint:gosec // the operator's own folder
	if err != nil {
		return false, nil //nolint:nilerr // there may be none, and without it all is searched
	}
	x, err := readIndex(s.kind.name, raw)
	if err != nil || x.subject != s.kind.frames {
		return false, nil //nolint:nilerr // see above
	}
	if x.trimmed(list); len(list) < len(x.blocks) {
		return false, nil
	}
	for i, e := range x.blocks[:len(x.blocks)-1] {
		if got, err := plainLengths(list[i]); err != nil || got != e {
			return false, err
		}
	}
	known, searched := x.blocks[len(x.blocks)-1], 0
	x.blocks = x.blocks[:len(x.blocks)-1]
	for i, b := range list[len(x.blocks):] {
		e, last, err := s.searchPlain(b)
		if err != nil || i == 0 && (e.index != known.index || e.first != known.first || e.last < known.last || e.size < known.size) {
			return false, nil //nolint:nilerr // damage is for the search, which mends it
		}
		x.blocks = append(x.blocks, e)
		x.last = last
		searched++
	}
	if !x.plain() {
		return false, nil
	}
	fresh, err := x.encode(s.kind.name)
	if err == nil && !bytes.Equal(fresh, raw) {
		err = headlessly.WriteFile(path, fresh)
	}
	if err != nil {
		return false, err
	}
	s.log.salvage.Blocks += searched
	return true, nil
}

// trimmed takes blocks out of the index whose files are gone from the front: a
// kill came between a trim's removal of files and the index that the server
// writes behind it. Were they lost and not trimmed, reading tells.
func (x *blockIndex) trimmed(list []block) {
	for len(list) > 0 && len(x.blocks) > 1 && x.blocks[0].index < uint64(list[0].index) { //nolint:gosec // from a file's name, digits only
		x.blocks = x.blocks[1:]
	}
}

// plainLengths follows the records of a block by their lengths. A block that has
// anything but messages in sequence gives another size or sequence than the
// index.
func plainLengths(b block) (indexedBlock, error) {
	e := indexedBlock{index: uint64(b.index)} //nolint:gosec // from a file's name, digits only
	f, err := os.Open(b.path)
	if err != nil {
		return e, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return e, err
	}
	var head [blockHead]byte
	for off := int64(0); off < info.Size(); {
		if info.Size()-off < blockMin {
			return e, nil
		}
		if _, err := f.ReadAt(head[:], off); err != nil {
			return e, err
		}
		size, seq, at, slen := blockHeader(head[:])
		size &^= bitHeader
		if size < blockMin || size > blockMax || int64(size) > info.Size()-off || slen > int(size)-blockMin || !e.add(seq, at, uint64(size)) {
			return e, nil
		}
		off += int64(size)
	}
	return e, nil
}

// add counts a record with the next sequence; another is refused.
func (e *indexedBlock) add(seq uint64, at int64, size uint64) bool {
	if e.first == 0 {
		e.first, e.last, e.firstTime = seq, seq-1, at
	}
	if seq != e.last+1 || seq&(bitErased|bitTomb) != 0 {
		return false
	}
	e.last, e.lastTime = seq, at
	e.size += size
	return true
}

// searchPlain checks each record of a block. It also gives the hash of the last.
func (s salvager) searchPlain(b block) (e indexedBlock, last [blockHash]byte, err error) {
	buf, err := os.ReadFile(b.path)
	if err != nil {
		return e, last, err
	}
	h, err := newBlockHasher(s.kind.name, b.index)
	if err != nil {
		return e, last, err
	}
	e.index = uint64(b.index) //nolint:gosec // from a file's name, digits only
	for len(buf) > 0 {
		r, err := parseBlock(buf)
		if err != nil {
			return e, last, err
		}
		if r.special || !h.sound(r) || !s.kind.fits(r) || !e.add(r.seq, r.time, uint64(r.size)) { //nolint:gosec // a length
			return e, last, errBlockRecord
		}
		copy(last[:], r.raw[r.size-blockHash:])
		buf = buf[r.size:]
	}
	if e.first == 0 {
		return e, last, errBlockRecord
	}
	return e, last, nil
}
