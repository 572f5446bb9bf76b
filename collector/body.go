package collector

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/headlessly/headlessly"
)

// maxRatio bounds how much larger a body may become by decompression: JSON of
// real events shrinks 5 to 30 times, bombs 1,000 times and more. Small bodies
// are exempt (ratioFloor).
const (
	maxRatio   = 200
	ratioFloor = 256 << 10
)

var (
	errEncoding = errors.New("unknown content encoding")
	errTooLarge = errors.New("body too large")
	errCorrupt  = errors.New("body cannot be decompressed")
)

// decoders hold readers for reuse; each costs tens of KB to make.
type decoders struct {
	gzip, br, zstd sync.Pool
	bodies         sync.Pool // *bytes.Buffer
}

// maxPooledBody keeps the buffer of a rare large body out of the pool.
const maxPooledBody = 512 << 10

func (d *decoders) buffer() *bytes.Buffer {
	if b, ok := d.bodies.Get().(*bytes.Buffer); ok {
		b.Reset()
		return b
	}
	return new(bytes.Buffer)
}

func (d *decoders) release(b *bytes.Buffer) {
	if b.Cap() <= maxPooledBody {
		d.bodies.Put(b)
	}
}

// decode decompresses body into dst, at most [headlessly.MaxBodyBytes] and
// [maxRatio] times its size. With errTooLarge or errCorrupt dst holds what came
// before the fault.
func (d *decoders) decode(dst *bytes.Buffer, encoding string, body []byte) error {
	switch encoding {
	case "gzip", "x-gzip":
		r, ok := d.gzip.Get().(*gzip.Reader)
		if !ok {
			r = new(gzip.Reader)
		}
		defer d.gzip.Put(r)
		if err := r.Reset(bytes.NewReader(body)); err != nil {
			return errCorrupt
		}
		return inflate(dst, r, len(body))
	case "br":
		r, ok := d.br.Get().(*brotli.Reader)
		if !ok {
			r = brotli.NewReader(nil)
		}
		defer d.br.Put(r)
		if err := r.Reset(bytes.NewReader(body)); err != nil {
			return errCorrupt
		}
		return inflate(dst, r, len(body))
	case "zstd":
		r, ok := d.zstd.Get().(*zstd.Decoder)
		if !ok {
			var err error
			r, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(16<<20), zstd.WithDecoderMaxWindow(8<<20))
			if err != nil {
				return err
			}
		}
		defer d.zstd.Put(r)
		if err := r.Reset(bytes.NewReader(body)); err != nil {
			return errCorrupt
		}
		return inflate(dst, r, len(body))
	case "deflate":
		// The name means zlib, but some clients send raw deflate.
		if r, err := zlib.NewReader(bytes.NewReader(body)); err == nil {
			return inflate(dst, r, len(body))
		}
		return inflate(dst, flate.NewReader(bytes.NewReader(body)), len(body))
	}
	return errEncoding
}

func inflate(dst *bytes.Buffer, r io.Reader, compressed int) error {
	limit := int64(headlessly.MaxBodyBytes)
	if byRatio := int64(compressed) * maxRatio; byRatio < limit && byRatio > ratioFloor {
		limit = byRatio
	} else if byRatio <= ratioFloor {
		limit = ratioFloor
	}
	n, err := dst.ReadFrom(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return errCorrupt
	case n > limit:
		return errTooLarge
	}
	return nil
}
