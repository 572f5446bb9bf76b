package eventlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/headlessly/headlessly"
)

// A pack is: version, log id, count (2 bytes), the items, CRC32C. See FORMAT.md.
// Tenant, destination and state are in its subject.

const (
	packVersion = 1
	packCount   = 1 + len(logID{})
	packHeader  = packCount + 2
	packCRC     = 4
)

var errPackShort = errors.New("pack of parked items is cut short")

// pack gathers items.
type pack struct {
	count int
	body  []byte
}

func (p *pack) size() int { return packHeader + len(p.body) + packCRC }

// itemSize is at least the stored size of an item.
func itemSize(it headlessly.ParkedItem) int {
	return len(it.Reason) + len(it.Event) + 6*binary.MaxVarintLen64
}

func (p *pack) add(it headlessly.ParkedItem) {
	b := p.body
	b = binary.AppendUvarint(b, uint64(max(it.Attempts, 0))) //nolint:gosec // not negative
	b = binary.AppendVarint(b, micros(it.NotUntil))
	b = binary.AppendVarint(b, micros(it.ParkedAt))
	b = binary.AppendVarint(b, it.LogSeq)
	b = binary.AppendUvarint(b, uint64(len(it.Reason)))
	b = append(b, it.Reason...)
	b = binary.AppendUvarint(b, uint64(len(it.Event)))
	b = append(b, it.Event...)
	p.body = b
	p.count++
}

func (p *pack) encode(id logID) []byte {
	b := make([]byte, 0, p.size())
	b = append(b, packVersion)
	b = append(b, id[:]...)
	b = binary.LittleEndian.AppendUint16(b, uint16(p.count)) //nolint:gosec // at most maxPackItems
	b = append(b, p.body...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodePack gives a pack's items without tenant, destination and state. Their
// bytes share memory with b.
func decodePack(b []byte) ([]headlessly.ParkedItem, error) {
	if len(b) < packHeader+packCRC {
		return nil, errPackShort
	}
	body, sum := b[:len(b)-packCRC], binary.LittleEndian.Uint32(b[len(b)-packCRC:])
	if crc32.Checksum(body, castagnoli) != sum {
		return nil, errChecksum
	}
	if body[0] != packVersion {
		return nil, fmt.Errorf("pack of parked items has version %d, this program knows %d", body[0], packVersion)
	}
	count := int(binary.LittleEndian.Uint16(body[packCount:]))
	if count > maxPackItems {
		return nil, fmt.Errorf("pack says it has %d items", count)
	}
	r := packReader{b: body[packHeader:]}
	items := make([]headlessly.ParkedItem, count)
	for i := range items {
		it := &items[i]
		it.Attempts = int(r.uvarint() & (1<<31 - 1)) //nolint:gosec // masked
		it.NotUntil = fromMicros(r.varint())
		it.ParkedAt = fromMicros(r.varint())
		it.LogSeq = r.varint()
		it.Reason = string(r.bytes())
		it.Event = r.bytes()
	}
	if r.err != nil {
		return nil, r.err
	}
	if len(r.b) > 0 {
		return nil, fmt.Errorf("pack of parked items has %d bytes behind its end", len(r.b))
	}
	return items, nil
}

// packReader reads fields until one is cut short.
type packReader struct {
	b   []byte
	err error
}

func (r *packReader) skip(n int) {
	if n <= 0 {
		r.err, r.b = errPackShort, nil
		return
	}
	r.b = r.b[n:]
}

func (r *packReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	r.skip(n)
	return v
}

func (r *packReader) varint() int64 {
	v, n := binary.Varint(r.b)
	r.skip(n)
	return v
}

func (r *packReader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.err, r.b = errPackShort, nil
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return headlessly.Time(us)
}
