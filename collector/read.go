package collector

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/valyala/fasthttp"
)

const (
	// freeBody is what every connection may hold: the server has read as much
	// before the handler starts.
	freeBody = 8 << 10
	// bodyStep is how the memory of a larger body is reserved at first; the step
	// doubles, so a client that sends slowly holds little.
	bodyStep = 16 << 10
	// valueBytes is about what the parser needs for one JSON value.
	valueBytes = 104
)

// gzipMagic begins every gzip stream.
var gzipMagic = []byte{0x1f, 0x8b, 8}

// errBusy means that the memory for bodies is used up.
var errBusy = errors.New("too many large bodies at once")

func busyReply() *errorReply {
	return &errorReply{status: 503, code: "overloaded", message: "too many large bodies at once; nothing was acknowledged, send again later or in smaller batches"}
}

// read reads a request's body. A small one is in the server's memory already;
// a larger one goes to buf as it arrives, on account of the visit.
func (c *Collector) read(ctx *fasthttp.RequestCtx, v *visit, buf *bytes.Buffer) ([]byte, error) {
	stream := ctx.RequestBodyStream()
	if stream == nil {
		return ctx.PostBody(), nil
	}
	size := int64(ctx.Request.Header.ContentLength())
	if size == 0 {
		return nil, nil
	}
	if size > 0 && size <= freeBody {
		buf.Grow(int(size))
		b := buf.AvailableBuffer()[:size]
		n, err := io.ReadFull(stream, b)
		return b[:n], err
	}
	limit := int64(c.cfg.MaxBodyBytes)
	room := int64(freeBody)
	for {
		n, err := buf.ReadFrom(io.LimitReader(stream, room-int64(buf.Len())))
		switch {
		case err != nil:
			return buf.Bytes(), err
		case int64(buf.Len()) > limit:
			drain(stream)
			return buf.Bytes(), errTooLarge
		case n == 0 || size >= 0 && int64(buf.Len()) == size:
			if size >= 0 && int64(buf.Len()) < size {
				return buf.Bytes(), io.ErrUnexpectedEOF
			}
			return buf.Bytes(), nil
		case int64(buf.Len()) < room:
			continue
		}
		step := min(max(bodyStep, room), limit+1-room)
		if step <= 0 {
			step = 1
		}
		if !v.reserve(c.door, step) {
			return buf.Bytes(), errBusy
		}
		room += step
	}
}

// drain reads on a little behind the limit, so that a client that is a little
// over gets its 413 and not a reset in the middle of sending.
func drain(r io.Reader) { _, _ = io.CopyN(io.Discard, r, bodySlack) }

// body reads and decompresses. The returned bytes are valid until the buffers
// are released.
func (c *Collector) body(ctx *fasthttp.RequestCtx, v *visit, raw, unpacked *bytes.Buffer, who caller) ([]byte, *errorReply) {
	body, err := c.read(ctx, v, raw)
	if err != nil {
		r := c.readReply(ctx, err)
		if r.status == fasthttp.StatusRequestEntityTooLarge {
			c.keepRejected(ctx, who.tenant, body, r)
		}
		return nil, r
	}
	enc := strings.ToLower(view(ctx.Request.Header.Peek(fasthttp.HeaderContentEncoding)))
	if enc == "" && bytes.HasPrefix(body, gzipMagic) {
		enc = "gzip" // a page that named it would cost the browser a preflight; no JSON begins like this
	}
	if enc == "" || enc == "identity" {
		return body, nil
	}
	if refusal := v.begin(c.door, c.unnamedClient(ctx, v), len(body)); refusal != nil {
		return nil, refusal
	}
	defer func() { v.grew(unpacked.Len() - len(body)) }()
	switch err = c.decoders.decode(unpacked, enc, body, c.limits(), v.meter(c.door)); {
	case err == nil:
		return unpacked.Bytes(), nil
	case errors.Is(err, errTooLarge):
		r := &errorReply{status: 413, code: codeTooLarge, field: "body", message: fmt.Sprintf("is larger than %d bytes or %d times its compressed size; send smaller batches", c.cfg.MaxBodyBytes, c.cfg.MaxRatio)}
		v.pause()
		c.keepRejected(ctx, who.tenant, unpacked.Bytes(), r)
		return nil, r
	case errors.Is(err, errBusy):
		return nil, busyReply()
	case errors.Is(err, errEncoding):
		return nil, &errorReply{status: 415, code: "unsupported_encoding", field: "Content-Encoding", message: "must be gzip, br, zstd or deflate"}
	default:
		r := &errorReply{status: 400, code: "invalid_encoding", field: "body", message: "is not valid " + strings.Clone(enc)}
		v.pause()
		c.keepRejected(ctx, who.tenant, body, r)
		return nil, r
	}
}

// readReply says why a body could not be read. What follows on the connection
// is not looked at any more.
func (c *Collector) readReply(ctx *fasthttp.RequestCtx, err error) *errorReply {
	if errors.Is(err, errTooLarge) {
		return newReply(413, codeTooLarge, "body", fmt.Sprintf("is larger than %d bytes; send smaller batches", c.cfg.MaxBodyBytes))
	}
	ctx.SetConnectionClose()
	var timeout net.Error
	switch {
	case errors.Is(err, errBusy):
		return busyReply()
	case errors.As(err, &timeout) && timeout.Timeout():
		return newReply(408, "timeout", "", "the request took too long to arrive")
	}
	return newReply(400, "bad_request", "", "the request could not be read")
}

func (c *Collector) limits() bodyLimits { return bodyLimits{c.cfg.MaxBodyBytes, c.cfg.MaxRatio} }

// meter charges what it reads to the visit, beyond what is free.
func (v *visit) meter(d *door) func(io.Reader) io.Reader {
	return func(r io.Reader) io.Reader { return &meteredReader{r: r, visit: v, door: d, room: freeBody} }
}

type meteredReader struct {
	r     io.Reader
	visit *visit
	door  *door
	room  int64
	count int64
}

func (m *meteredReader) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.count += int64(n)
	for m.count > m.room {
		if !m.visit.reserve(m.door, m.room) {
			return n, errBusy
		}
		m.room *= 2
	}
	return n, err
}

// parseCost reserves the memory that parsing takes.
func (v *visit) parseCost(d *door, s shape, body int) bool {
	return body <= freeBody || v.reserve(d, int64(s.values)*valueBytes)
}
