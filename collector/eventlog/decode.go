package eventlog

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/headlessly/headlessly"
	"github.com/klauspost/compress/zstd"
)

var (
	errNotFrame   = errors.New("not a frame")
	errFrameShort = errors.New("frame is cut short")
	errChecksum   = errors.New("frame fails its checksum")
)

// frameLen gives the length of the frame that starts at b, from its header
// alone: nothing but the bounds is checked.
func frameLen(b []byte) (int, error) {
	if len(b) < headerSize {
		return 0, errFrameShort
	}
	if string(b[:len(frameMagic)]) != frameMagic {
		return 0, errNotFrame
	}
	n := binary.LittleEndian.Uint32(b[offStored:])
	if n > maxRawBytes {
		return 0, fmt.Errorf("frame says it is %d bytes long", n)
	}
	return headerSize + int(n), nil
}

// checkFrame says whether b is one whole and sound frame of a version this
// code knows.
func checkFrame(b []byte) error {
	n, err := frameLen(b)
	switch {
	case err != nil:
		return err
	case n > len(b):
		return errFrameShort
	case n < len(b):
		return fmt.Errorf("frame has %d bytes behind its end", len(b)-n)
	case frameCRC(b) != binary.LittleEndian.Uint32(b[offCRC:]):
		return errChecksum
	case b[offVersion] != frameVersion:
		return fmt.Errorf("frame has version %d, this program knows %d", b[offVersion], frameVersion)
	case b[offFlags]&^flagZstd != 0:
		return fmt.Errorf("frame has unknown flags %#x", b[offFlags])
	}
	return nil
}

// decoder reads frames. Safe for concurrent use.
type decoder struct{ zstd *zstd.Decoder }

func newDecoder() (*decoder, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxRawBytes), zstd.WithDecoderConcurrency(0))
	if err != nil {
		return nil, fmt.Errorf("zstd reader: %w", err)
	}
	return &decoder{zstd: z}, nil
}

// decode gives the records of the frame b. They share memory with b unless the
// frame is compressed. A padding frame has none.
func (d *decoder) decode(b []byte) ([]headlessly.Record, error) {
	if err := checkFrame(b); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	count, raw := int(le.Uint32(b[offCount:])), int(le.Uint32(b[offRaw:]))
	if count > headlessly.MaxFrameRecords || raw > maxRawBytes {
		return nil, fmt.Errorf("frame says it has %d records in %d bytes", count, raw)
	}
	body := b[headerSize:]
	if b[offFlags]&flagZstd != 0 {
		var err error
		if body, err = d.zstd.DecodeAll(body, make([]byte, 0, raw)); err != nil {
			return nil, fmt.Errorf("decompress frame: %w", err)
		}
	}
	if len(body) != raw {
		return nil, fmt.Errorf("frame says %d bytes, has %d", raw, len(body))
	}
	return split(body, count)
}

// split cuts a frame's body, its records' data and then their table, into
// records that share its memory.
func split(body []byte, count int) ([]headlessly.Record, error) {
	if len(body) < count*entrySize {
		return nil, fmt.Errorf("frame has %d bytes for %d records", len(body), count)
	}
	data, table := body[:len(body)-count*entrySize], body[len(body)-count*entrySize:]
	records := make([]headlessly.Record, count)
	start := 0
	for i := range records {
		end := int(binary.LittleEndian.Uint32(table[i*entrySize+1:]))
		if end < start || end > len(data) {
			return nil, fmt.Errorf("frame record %d ends at %d, not in %d to %d", i, end, start, len(data))
		}
		records[i] = headlessly.Record{Kind: headlessly.RecordKind(table[i*entrySize]), Data: data[start:end:end]}
		start = end
	}
	if start != len(data) {
		return nil, fmt.Errorf("frame has %d bytes that belong to no record", len(data)-start)
	}
	return records, nil
}
