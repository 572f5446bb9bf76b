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
	// valueBytes is about what the parser needs for one JSON value.
	valueBytes = 104
)

// gzipMagic begins every gzip stream.
var gzipMagic = []byte{0x1f, 0x8b, 8}

// errBusy means that the memory for bodies is used up.
var errBusy = errors.New("too many large bodies at once")

func busyReply() *errorReply {
	return &errorReply{status: 503, code: codeOverloaded, message: "too many large bodies at once; nothing was acknowledged, send again later or in smaller batches"}
}

// errCrowded means that a request would take too long; unread, that its body is
// still on its way.
type errCrowded struct {
	reply  *errorReply
	unread bool
}

func (e errCrowded) Error() string { return e.reply.message }

// read reads a request's body, on account of the visit, unless it would take too
// long until it is served: that is asked before a large body is read, and again
// when it is there. A small one is in the server's memory already. The memory of
// a larger one doubles as it arrives, so a client that sends slowly holds little.
func (c *Collector) read(ctx *fasthttp.RequestCtx, v *visit) ([]byte, error) {
	stream, client := ctx.RequestBodyStream(), c.unnamedClient(ctx, v)
	size := ctx.Request.Header.ContentLength()
	if stream != nil && (size < 0 || size > freeBody) {
		if r := v.ask(c.door, client, max(size, freeBody)); r != nil {
			return nil, errCrowded{reply: r, unread: true}
		}
	}
	body, err := c.readAll(ctx, v, stream, size)
	if err == nil {
		if r := v.come(c.door, client, len(body)); r != nil {
			return nil, errCrowded{reply: r}
		}
	}
	return body, err
}

func (c *Collector) readAll(ctx *fasthttp.RequestCtx, v *visit, stream io.Reader, size int) ([]byte, error) {
	switch {
	case stream == nil:
		return ctx.PostBody(), nil
	case size == 0:
		return nil, nil
	}
	limit := c.cfg.MaxBodyBytes
	for v.raw = v.small[:0]; ; {
		end := min(cap(v.raw), limit+1)
		if size >= 0 {
			end = min(end, size)
		}
		n, err := stream.Read(v.raw[len(v.raw):end])
		v.raw = v.raw[:len(v.raw)+n]
		switch {
		case len(v.raw) > limit:
			drain(stream)
			return v.raw, errTooLarge
		case len(v.raw) == size:
			return v.raw, nil
		case errors.Is(err, io.EOF):
			if size >= 0 {
				err = io.ErrUnexpectedEOF
			} else {
				err = nil
			}
			return v.raw, err
		case err != nil:
			return v.raw, err
		case len(v.raw) == cap(v.raw) && !v.widen(c.door, &v.raw, 2*cap(v.raw)):
			return v.raw, errBusy
		}
	}
}

// drain reads on a little behind the limit, so that a client that is a little
// over gets its 413 and not a reset in the middle of sending.
func drain(r io.Reader) { _, _ = io.CopyN(io.Discard, r, bodySlack) }

// body reads and decompresses. The returned bytes are valid until the visit
// forgets them.
func (c *Collector) body(ctx *fasthttp.RequestCtx, v *visit, who caller) ([]byte, *errorReply) {
	body, err := c.read(ctx, v)
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
	defer func() { v.grew(len(v.unpacked) - len(body)) }()
	switch err = c.decoders.decode(v, c.door, enc, body, c.limits()); {
	case err == nil:
		return v.unpacked, nil
	case errors.Is(err, errTooLarge):
		r := &errorReply{status: 413, code: codeTooLarge, field: "body", message: fmt.Sprintf("is larger than %d bytes or %d times its compressed size; send smaller batches", c.cfg.MaxBodyBytes, c.cfg.MaxRatio)}
		v.pause()
		c.keepRejected(ctx, who.tenant, v.unpacked, r)
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
	var crowded errCrowded
	switch {
	case errors.As(err, &crowded):
		if crowded.unread {
			leaveUnread(ctx)
		}
		return crowded.reply
	case errors.Is(err, errBusy):
		return busyReply()
	case errors.Is(err, errTooLarge):
		return newReply(413, codeTooLarge, "body", fmt.Sprintf("is larger than %d bytes; send smaller batches", c.cfg.MaxBodyBytes))
	}
	ctx.SetConnectionClose()
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return newReply(408, "timeout", "", "the request took too long to arrive")
	}
	return newReply(400, "bad_request", "", "the request could not be read")
}

func (c *Collector) limits() bodyLimits { return bodyLimits{c.cfg.MaxBodyBytes, c.cfg.MaxRatio} }

// parseCost reserves the memory that parsing takes: the parser's values and its
// copy of the text, and about as much for the records.
func (v *visit) parseCost(d *door, s shape, body int) bool {
	return body <= freeBody || v.reserve(d, int64(s.values)*valueBytes+int64(body))
}
