package collector

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// defaultRatio bounds how much larger a body may become by decompression: JSON
// of real events shrinks 5 to 30 times, bombs 1,000 times and more. Small bodies
// are exempt (ratioFloor).
const (
	defaultRatio = 200
	ratioFloor   = 256 << 10
)

// bodyLimits bound a decompressed body.
type bodyLimits struct{ size, ratio int }

var (
	errEncoding = errors.New("unknown content encoding")
	errTooLarge = errors.New("body too large")
	errCorrupt  = errors.New("body cannot be decompressed")
)

// decoders hold readers for reuse; each costs tens of KB to make.
type decoders struct {
	gzip, br, zstd sync.Pool
}

// decode decompresses body into the visit's unpacked memory, within limits. With
// an error that holds what came before the fault.
func (d *decoders) decode(v *visit, door *door, encoding string, body []byte, limits bodyLimits) error {
	inflate := func(r io.Reader) error { return v.inflate(door, r, len(body), limits) }
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
		return inflate(r)
	case "br":
		r, ok := d.br.Get().(*brotli.Reader)
		if !ok {
			r = brotli.NewReader(nil)
		}
		defer d.br.Put(r)
		if err := r.Reset(bytes.NewReader(body)); err != nil {
			return errCorrupt
		}
		return inflate(r)
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
		return inflate(r)
	case "deflate":
		// The name means zlib, but some clients send raw deflate.
		if r, err := zlib.NewReader(bytes.NewReader(body)); err == nil {
			return inflate(r)
		}
		return inflate(flate.NewReader(bytes.NewReader(body)))
	}
	return errEncoding
}

func (v *visit) inflate(d *door, r io.Reader, compressed int, limits bodyLimits) error {
	limit := min(limits.size, max(ratioFloor, compressed*limits.ratio))
	if !v.widen(d, &v.unpacked, freeBody) {
		return errBusy
	}
	for v.unpacked = v.unpacked[:0]; ; {
		n, err := r.Read(v.unpacked[len(v.unpacked):min(cap(v.unpacked), limit+1)])
		v.unpacked = v.unpacked[:len(v.unpacked)+n]
		switch {
		case len(v.unpacked) > limit:
			return errTooLarge
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return errCorrupt
		case len(v.unpacked) == cap(v.unpacked) && !v.widen(d, &v.unpacked, 2*cap(v.unpacked)):
			return errBusy
		}
	}
}

// stream gives a reader of a compressed body of any length.
func (d *decoders) stream(encoding string, r io.Reader, ratio int) (io.Reader, error) {
	in := &countingReader{r: r}
	b := bufio.NewReader(in)
	out := &ratioReader{in: in, ratio: int64(ratio)}
	switch encoding {
	case "gzip", "x-gzip":
		out.r = &lateReader{open: func() (io.Reader, error) { return gzip.NewReader(b) }}
	case "br":
		out.r = brotli.NewReader(b)
	case "zstd":
		out.r = &lateReader{open: func() (io.Reader, error) {
			return zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(16<<20), zstd.WithDecoderMaxWindow(8<<20))
		}}
	case "deflate":
		out.r = &lateReader{open: func() (io.Reader, error) {
			if h, err := b.Peek(2); err == nil && h[0]&15 == 8 && (int(h[0])<<8|int(h[1]))%31 == 0 {
				return zlib.NewReader(b)
			}
			return flate.NewReader(b), nil
		}}
	default:
		return nil, errEncoding
	}
	return out, nil
}

// lateReader opens its source at the first Read, because opening reads.
type lateReader struct {
	open func() (io.Reader, error)
	r    io.Reader
}

func (l *lateReader) Read(p []byte) (int, error) {
	if l.r == nil {
		r, err := l.open()
		if err != nil {
			return 0, err
		}
		l.r = r
	}
	return l.r.Read(p)
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// ratioReader ends a stream that grows too much.
type ratioReader struct {
	r     io.Reader
	in    *countingReader
	ratio int64
	n     int64
}

func (r *ratioReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.n += int64(n)
	switch {
	case r.n > max(ratioFloor, r.in.n*r.ratio):
		return n, errTooLarge
	case err != nil && !errors.Is(err, io.EOF):
		return n, errCorrupt
	}
	return n, err
}
