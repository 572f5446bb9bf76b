package eventlog

import (
	"bytes"
	"testing"

	"github.com/headlessly/headlessly"
	"github.com/klauspost/compress/zstd"
)

// These tests reach for the codec itself, which has no exported face.

func testCodec(t testing.TB, over int) (*encoder, *decoder) {
	t.Helper()
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDecoder()
	if err != nil {
		t.Fatal(err)
	}
	return &encoder{id: logID{1, 2, 3}, compressOver: over, zstd: z}, d
}

// FuzzFrame makes a frame of the input's pieces: what is decoded is what was
// encoded, and any changed byte is noticed.
func FuzzFrame(f *testing.F) {
	f.Add([]byte("a|bc||def"), uint(7))
	f.Add(bytes.Repeat([]byte("same "), 400), uint(50))
	f.Fuzz(func(t *testing.T, in []byte, at uint) {
		for _, over := range []int{0, 64} {
			e, d := testCodec(t, over)
			fr := newFrame(nil, nil)
			parts := bytes.Split(in, []byte("|"))
			for i, p := range parts {
				fr.add(headlessly.Record{Kind: headlessly.RecordKind(i), Data: p})
			}
			b := bytes.Clone(e.encode(fr))
			got, err := d.decode(b)
			if err != nil || len(got) != len(parts) {
				t.Fatalf("decode: %d records, %v, want %d", len(got), err, len(parts))
			}
			for i, p := range parts {
				if got[i].Kind != headlessly.RecordKind(i) || !bytes.Equal(got[i].Data, p) {
					t.Fatalf("record %d: got %d %q, want %q", i, got[i].Kind, got[i].Data, p)
				}
			}
			b[at%uint(len(b))] ^= 1
			if _, err := d.decode(b); err == nil {
				t.Fatal("a changed byte is not noticed")
			}
		}
	})
}

// FuzzDecode gives the decoders rubbish, with a right checksum too.
func FuzzDecode(f *testing.F) {
	e, _ := testCodec(f, 0)
	fr := newFrame(nil, nil)
	fr.add(headlessly.Record{Kind: 1, Data: []byte("record")})
	f.Add(bytes.Clone(e.encode(fr)))
	p := pack{}
	p.add(headlessly.ParkedItem{Reason: "503", Event: []byte("event")})
	f.Add(p.encode(logID{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, d := testCodec(t, 0)
		records, err := d.decode(b)
		if err == nil && len(records) == 0 && len(b) != headerSize && b[offFlags] == 0 {
			t.Fatal("a frame without records has a body")
		}
		_, _ = decodePack(b)
		_, _ = decodeCursor(b)
		_, _ = decodeGone(b)
		if len(b) >= headerSize {
			c := bytes.Clone(b)
			copy(c, frameMagic)
			c[offVersion] = frameVersion
			putCRC(c)
			_, _ = d.decode(c)
		}
	})
}

func putCRC(b []byte) {
	n := frameCRC(b)
	b[offCRC], b[offCRC+1], b[offCRC+2], b[offCRC+3] = byte(n), byte(n>>8), byte(n>>16), byte(n>>24)
}

// FuzzRepair damages a block of frames: what is mended is sound, holds only
// frames that were there, and mending it again changes nothing.
func FuzzRepair(f *testing.F) {
	f.Add(uint(40), uint(3), byte(1))
	f.Add(uint(0), uint(500), byte(255))
	f.Fuzz(func(t *testing.T, at, n uint, x byte) {
		e, _ := testCodec(t, 0)
		names := makeNames("")
		h, err := newBlockHasher(names.events, 1)
		if err != nil {
			t.Fatal(err)
		}
		var block []byte
		frames := map[string]bool{}
		for i := range 8 {
			fr := newFrame(nil, nil)
			fr.add(headlessly.Record{Kind: 1, Data: bytes.Repeat([]byte{byte('a' + i)}, 20*i)})
			b := e.encode(fr)
			frames[string(b)] = true
			block = append(block, h.makeBlockRecord(uint64(i+1), int64(i), names.subject, b)...)
		}
		at %= uint(len(block))
		for i := at; i < min(at+n%2000, uint(len(block))); i++ {
			block[i] ^= x
		}
		mend := func(b []byte) repaired {
			r := repairer{hash: h, id: e.id, kind: names.kinds()[0], buf: b}
			return r.repair(0)
		}
		once := mend(block)
		for _, rec := range allRecords(once.data) {
			if !h.sound(rec) || !frames[string(rec.payload)] {
				t.Fatal("mended block holds a record that was not written")
			}
		}
		again := mend(once.data)
		if again.holes != 0 || !bytes.Equal(again.data, once.data) {
			t.Fatalf("mending twice: %d places, %d bytes, then %d", again.holes, len(once.data), len(again.data))
		}
	})
}
