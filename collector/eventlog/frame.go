package eventlog

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/headlessly/headlessly"
	"github.com/klauspost/compress/zstd"
)

// The layout of a frame; see FORMAT.md.
const (
	frameMagic   = "\xF5HLF"
	frameVersion = 1

	offLogID   = 4
	offVersion = 12
	offFlags   = 13
	offCount   = 16
	offRaw     = 20
	offStored  = 24
	offCRC     = 28
	headerSize = 32

	entrySize = 5 // kind and end offset of one record

	flagZstd = 1
)

// maxRawBytes bounds what a frame may say it decompresses to, so that a wrong
// or hostile length costs no memory.
const maxRawBytes = 64 << 20

// logID marks the frames of one log. It is random and secret, so that bytes
// sent by a client can never pass for a frame when a damaged file is searched.
type logID [8]byte

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frame is one open or waiting frame. The committer owns it once it is sealed.
type frame struct {
	data  []byte // header and record bytes
	table []byte // one entry a record
	taken int    // bytes it adds to appender.waiting

	done chan struct{} // closed once seq and err are set
	seq  uint64
	err  error
}

func newFrame(data, table []byte) *frame {
	return &frame{
		data:  append(data[:0], make([]byte, headerSize)...),
		table: table[:0],
		done:  make(chan struct{}),
	}
}

func (f *frame) count() int { return len(f.table) / entrySize }

// size is how long the frame will be, uncompressed.
func (f *frame) size() int { return len(f.data) + len(f.table) }

// add copies one record in and gives its index.
func (f *frame) add(r headlessly.Record) int {
	f.data = append(f.data, r.Data...)
	f.taken += len(r.Data) + entrySize
	f.table = append(f.table, byte(r.Kind))
	f.table = binary.LittleEndian.AppendUint32(f.table, uint32(len(f.data)-headerSize)) //nolint:gosec // below maxPayload
	return f.count() - 1
}

// encoder turns a filled frame into the bytes that are stored. Not safe for
// concurrent use.
type encoder struct {
	id           logID
	compressOver int
	zstd         *zstd.Encoder
	buf          []byte
}

// encode finishes f in place and returns its bytes, valid until the next call.
func (e *encoder) encode(f *frame) []byte {
	count := f.count()
	out := append(f.data, f.table...)
	f.data = out
	raw, flags := len(out)-headerSize, byte(0)
	if e.compressOver > 0 && len(out) >= e.compressOver {
		e.buf = append(e.buf[:0], out[:headerSize]...)
		e.buf = e.zstd.EncodeAll(out[headerSize:], e.buf)
		if len(e.buf) < len(out)-len(out)/8 {
			out, flags = e.buf, flagZstd
		}
	}
	putHeader(out, e.id, flags, count, raw)
	return out
}

// putHeader writes the header of the frame b, whose body is in place.
func putHeader(b []byte, id logID, flags byte, count, raw int) {
	copy(b, frameMagic)
	copy(b[offLogID:], id[:])
	b[offVersion], b[offFlags], b[14], b[15] = frameVersion, flags, 0, 0
	le := binary.LittleEndian
	le.PutUint32(b[offCount:], uint32(count))              //nolint:gosec // at most MaxFrameRecords
	le.PutUint32(b[offRaw:], uint32(raw))                  //nolint:gosec // below maxPayload
	le.PutUint32(b[offStored:], uint32(len(b)-headerSize)) //nolint:gosec // below maxPayload
	le.PutUint32(b[offCRC:], frameCRC(b))
}

// frameCRC is the checksum of the whole frame b but the checksum's own place.
func frameCRC(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:offCRC], castagnoli), castagnoli, b[headerSize:])
}
