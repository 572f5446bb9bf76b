package eventlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"

	"github.com/minio/highwayhash"
)

// The records of the server's block files, as nats-server 2.10 to 2.15 writes
// them without compression and encryption:
//
//	length 4 | sequence 8 | time 8 | subject length 2 | subject | payload | hash 8
//
// With the length's top bit set, a header's length (4) and bytes stand before
// the payload. A tombstone has its sequence's second bit set and nothing
// between subject length and hash.
const (
	blockHead = 22
	blockHash = 8
	blockMin  = blockHead + blockHash
	blockMax  = 32 << 20 // what the server takes for a length

	bitHeader = 1 << 31
	bitErased = 1 << 63
	bitTomb   = 1 << 62
)

var errBlockRecord = errors.New("not a record")

// blockRecord is one record found in a block file.
type blockRecord struct {
	size    int
	seq     uint64 // without the bits
	special bool   // a tombstone or erased: no message
	time    int64  // ns
	subject []byte
	payload []byte
	raw     []byte // the whole record
}

// parseBlock reads the record at the start of b; only its lengths are checked.
func parseBlock(b []byte) (blockRecord, error) {
	if len(b) < blockMin {
		return blockRecord{}, errBlockRecord
	}
	size, seq, at, slen := blockHeader(b)
	withHeader := size&bitHeader != 0
	size &^= bitHeader
	if size < blockMin || size > blockMax || uint64(size) > uint64(len(b)) || blockHead+slen > int(size)-blockHash {
		return blockRecord{}, errBlockRecord
	}
	r := blockRecord{
		size: int(size), seq: seq &^ (bitErased | bitTomb), special: seq&(bitErased|bitTomb) != 0,
		time: at, raw: b[:size], subject: b[blockHead : blockHead+slen],
	}
	rest := b[blockHead+slen : int(size)-blockHash]
	if withHeader {
		if len(rest) < 4 {
			return blockRecord{}, errBlockRecord
		}
		n := binary.LittleEndian.Uint32(rest)
		if uint64(n) > uint64(len(rest)-4) {
			return blockRecord{}, errBlockRecord
		}
		rest = rest[4+n:]
	}
	r.payload = rest
	return r, nil
}

// blockHeader reads a record's fixed part.
func blockHeader(b []byte) (size uint32, seq uint64, at int64, subject int) {
	le := binary.LittleEndian
	return le.Uint32(b), le.Uint64(b[4:]), int64(le.Uint64(b[12:])), int(le.Uint16(b[20:])) //nolint:gosec // a time
}

// blockHasher checks records of one block file.
type blockHasher struct{ h hash.Hash }

func newBlockHasher(stream string, index int) (blockHasher, error) {
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", stream, index))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		return blockHasher{}, fmt.Errorf("block hash: %w", err)
	}
	return blockHasher{h}, nil
}

// sum is the hash of a record.
func (bh blockHasher) sum(raw []byte) []byte {
	size, _, _, slen := blockHeader(raw)
	start := blockHead + slen
	bh.h.Reset()
	_, _ = bh.h.Write(raw[4:20])
	_, _ = bh.h.Write(raw[blockHead:start])
	if size&bitHeader != 0 {
		start += 4
	}
	_, _ = bh.h.Write(raw[start : len(raw)-blockHash])
	return bh.h.Sum(nil)
}

// sound says whether r carries its own hash.
func (bh blockHasher) sound(r blockRecord) bool {
	return bytes.Equal(bh.sum(r.raw), r.raw[len(r.raw)-blockHash:])
}

// makeBlockRecord writes a record around a payload whose own was damaged.
func (bh blockHasher) makeBlockRecord(seq uint64, at int64, subject string, payload []byte) []byte {
	le := binary.LittleEndian
	size := blockHead + len(subject) + len(payload) + blockHash
	b := make([]byte, 0, size)
	b = le.AppendUint32(b, uint32(size)) //nolint:gosec // below blockMax
	b = le.AppendUint64(b, seq)
	b = le.AppendUint64(b, uint64(at))           //nolint:gosec // a time
	b = le.AppendUint16(b, uint16(len(subject))) //nolint:gosec // a subject of ours
	b = append(b, subject...)
	b = append(b, payload...)
	b = b[:size]
	copy(b[size-blockHash:], bh.sum(b))
	return b
}
