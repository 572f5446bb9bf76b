package collector

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/headlessly/headlessly"
)

// Shape of a stream of lines.
const (
	lineBuffer     = 128 << 10      // also about how much goes into one append
	maxStreamLines = 1_000          // of one append
	maxToldLines   = maxStreamLines // refused lines told one by one, for each append: all, so that an upload can keep them
	busyTries      = 8              // waits for a log that is busy, doubling from busyWait
	busyWait       = 50 * time.Millisecond
	maxUploadName  = 100
)

// ndjson takes a stream of events, one a line, of any length: POST /e/ndjson.
// The answer is a stream of lines too. One that says {"line":n,…} means that
// everything up to line n is durable (or refused and told); a client that is
// cut off sends again from there, or all of it: events with a messageId are
// stored once. With ?upload=NAME, events without one get theirs from the name
// and the line's number.
func (c *Collector) ndjson(ctx *fasthttp.RequestCtx) {
	s, refusal := c.newLines(ctx)
	if refusal != nil {
		c.refuse(ctx, refusal)
		ctx.SetConnectionClose()
		return
	}
	// The first lines decide the status; a short upload ends here.
	s.step()
	if s.done && s.failed != nil && s.durable == 0 {
		reply := s.failed
		_ = s.Close()
		c.refuse(ctx, reply)
		return
	}
	ctx.SetStatusCode(fasthttp.StatusAccepted)
	ctx.Response.Header.SetContentType("application/x-ndjson")
	ctx.SetBodyStream(s, -1)
}

// lines is an upload under way. The server calls Read for the answer, from the
// request's goroutine; each Read takes some lines and tells how it went.
type lines struct {
	c      *Collector
	ctx    *fasthttp.RequestCtx
	who    caller
	policy Policy
	upload string
	body   *bufio.Reader
	batch  *batch
	out    bytes.Buffer

	line     int64 // read so far
	durable  int64 // line up to which everything is settled
	accepted int64
	repeated int64
	rejected int64
	told     int
	failed   *errorReply
	done     bool
}

func (c *Collector) newLines(ctx *fasthttp.RequestCtx) (*lines, *errorReply) {
	who, refusal := c.identify(ctx, face{})
	if refusal != nil {
		return nil, refusal
	}
	policy, refusal := c.admit(who, string(ctx.Request.Header.Peek(fasthttp.HeaderOrigin)))
	if refusal != nil {
		return nil, refusal
	}
	s := &lines{c: c, ctx: ctx, who: who, policy: policy, upload: string(ctx.QueryArgs().Peek("upload"))}
	if len(s.upload) > maxUploadName {
		return nil, newReply(400, codeTooLong, "upload", fmt.Sprintf("has %d bytes, at most %d are allowed", len(s.upload), maxUploadName))
	}
	r := ctx.RequestBodyStream()
	if r == nil {
		r = bytes.NewReader(ctx.PostBody())
	}
	r = &patientReader{r: r, ctx: ctx, wait: c.cfg.ReadTimeout, left: int64(ctx.Request.Header.ContentLength())}
	enc := strings.ToLower(view(ctx.Request.Header.Peek(fasthttp.HeaderContentEncoding)))
	if enc != "" && enc != "identity" {
		plain, err := c.decoders.stream(enc, r, c.cfg.MaxRatio)
		if err != nil {
			return nil, newReply(415, "unsupported_encoding", "Content-Encoding", "must be gzip, br, zstd or deflate")
		}
		r = plain
	}
	b := c.batches.get()
	if refusal := b.visit.enter(c.door, who.tenant); refusal != nil {
		c.batches.put(b)
		return nil, refusal
	}
	if refusal := b.visit.ask(c.door, netip.Addr{}, lineBuffer); refusal != nil {
		c.batches.put(b)
		return nil, refusal
	}
	if !b.visit.reserve(c.door, 2*lineBuffer) {
		c.batches.put(b)
		return nil, busyReply()
	}
	s.batch, s.body = b, bufio.NewReaderSize(r, lineBuffer)
	return s, nil
}

// Read implements io.Reader for the answer.
func (s *lines) Read(p []byte) (int, error) {
	for s.out.Len() == 0 {
		if s.done {
			return 0, io.EOF
		}
		s.step()
	}
	return s.out.Read(p)
}

// Close gives back what the upload held. The server calls it after the answer,
// also when the client is gone.
func (s *lines) Close() error {
	if s.batch != nil {
		s.c.batches.put(s.batch)
		s.batch = nil
	}
	return nil
}

// step takes the lines that have arrived, at most as many as fit in one
// append, waits until they are durable and writes what to tell.
func (s *lines) step() {
	end := s.settle()
	if s.failed != nil {
		s.done = true
		s.out.WriteString(`{"error":`)
		s.string(s.failed.code)
		s.out.WriteString(`,"message":`)
		s.string(s.why())
		s.member("line", s.durable)
		s.out.WriteString("}\n")
		s.c.metrics.refused(s.failed.code)
		return
	}
	s.done = end
	s.out.WriteString(`{"line":`)
	s.out.Write(strconv.AppendInt(s.out.AvailableBuffer(), s.durable, 10))
	s.member("accepted", s.accepted)
	s.member("duplicates", s.repeated)
	s.member("rejected", s.rejected)
	if end {
		s.out.WriteString(`,"done":true`)
	}
	s.out.WriteString("}\n")
}

// why says what ended the upload. What lines before were answered with stands:
// nothing of a whole request's refusal may deny that.
func (s *lines) why() string {
	why := strings.TrimSpace(s.failed.field + " " + s.failed.message)
	if s.durable == 0 {
		return why
	}
	for _, whole := range []string{"nothing was taken, ", "nothing was acknowledged, ", "nothing of this request was taken, "} {
		why = strings.Replace(why, whole, "", 1)
	}
	return why + fmt.Sprintf("; everything up to line %d is stored", s.durable)
}

// settle does one step's work. It says whether the upload is at its end. It
// runs outside of the handler too, so it catches its own panics.
func (s *lines) settle() (end bool) {
	defer func() {
		if p := recover(); p != nil {
			s.c.metrics.panics.Inc()
			s.c.cfg.Logger.Error("collector.panic", "panic", p)
			s.failed = newReply(500, "internal", "", "the gateway has a fault; send again from the line after the last one told")
		}
	}()
	_ = s.ctx.SetWriteDeadline(headlessly.SystemClock().Add(s.c.cfg.WriteTimeout + s.c.cfg.ReadTimeout))
	s.begin()
	defer s.batch.ids.Release()
	end = s.gather()
	if s.failed == nil {
		s.failed = s.commit()
	}
	return end
}

// begin readies the batch for the next append.
func (s *lines) begin() {
	b := s.batch
	b.reset()
	b.decoder.common.upload = s.upload
	s.told = 0
	b.request, b.forgotten = s.c.request(s.ctx, s.c.cfg.Clock(), &s.policy), s.policy.Forgotten
	b.span = spanned(s.ctx)
	if s.c.cfg.Dedupe != nil {
		s.c.cfg.Dedupe.Begin(&b.ids, s.who.tenant)
	}
}

// gather reads lines into the batch until it is full or no more have arrived.
// It says whether the upload is at its end.
func (s *lines) gather() (end bool) {
	for n := 0; n < maxStreamLines && len(s.batch.data) < lineBuffer; n++ {
		if n > 0 && s.body.Buffered() == 0 {
			return false
		}
		line, err := s.body.ReadSlice('\n')
		tooLong := errors.Is(err, bufio.ErrBufferFull)
		if tooLong { // its beginning is kept; reading on overwrites it
			line = bytes.Clone(line[:headlessly.MaxRejectedBytes+1])
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = s.body.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			s.failed = streamFault(err)
			return true
		}
		end = err != nil
		line = bytes.TrimSpace(line)
		if len(line) > 0 || tooLong || !end {
			s.line++
		}
		switch {
		case tooLong:
			s.refuse(&headlessly.FieldError{Code: codeTooLarge, Message: fmt.Sprintf("is longer than %d bytes", headlessly.MaxEventBytes)}, line)
		case len(line) > 0:
			if fault := s.take(line); fault != nil {
				s.refuse(fault, line)
			}
		}
		if end {
			return true
		}
	}
	return false
}

func streamFault(err error) *errorReply {
	switch {
	case errors.Is(err, errTooLarge):
		return newReply(413, codeTooLarge, "body", "grows too much by decompression")
	case errors.Is(err, errCorrupt):
		return newReply(400, "invalid_encoding", "body", "cannot be decompressed")
	}
	return newReply(400, "bad_request", "body", "was cut off; send again from the line after the last one told")
}

// take puts one line's event into the batch.
func (s *lines) take(line []byte) *headlessly.FieldError {
	if len(line) > headlessly.MaxEventBytes {
		return &headlessly.FieldError{Code: codeTooLarge, Message: fmt.Sprintf("has %d bytes, at most %d are allowed", len(line), headlessly.MaxEventBytes)}
	}
	b := s.batch
	b.visit.beginAnyhow(s.c.door, netip.Addr{}, len(line))
	defer b.visit.pause()
	v, sh, refusal := s.c.parse(b, line)
	if refusal != nil {
		return &headlessly.FieldError{Code: refusal.code, Field: "", Message: refusal.message}
	}
	b.decoder.common.line = s.line
	if fault := s.c.one(b, v, s.who.tenant, 0, strictly(line, sh)); fault != nil {
		return fault
	}
	s.accepted++
	return nil
}

// refuse tells that a line was not taken, and keeps it.
func (s *lines) refuse(fault *headlessly.FieldError, line []byte) {
	s.rejected++
	s.c.metrics.rejected(fault.Code)
	s.c.keepOne(s.ctx, s.batch, s.who.tenant, line, fault, "line "+strconv.FormatInt(s.line, 10))
	if s.told++; s.told > maxToldLines {
		return
	}
	s.out.WriteString(`{"line":`)
	s.out.Write(strconv.AppendInt(s.out.AvailableBuffer(), s.line, 10))
	s.out.WriteString(`,"error":`)
	s.string(fault.Code)
	s.out.WriteString(`,"field":`)
	s.string(fault.Field)
	s.out.WriteString(`,"message":`)
	s.string(fault.Message)
	s.out.WriteString("}\n")
}

// commit makes the batch durable. A log that is busy, and a tenant that is over
// its rate, slow the upload down instead of ending it.
func (s *lines) commit() *errorReply {
	b := s.batch
	events := eventsIn(b)
	if events > 0 {
		for {
			over := b.visit.tenant.spend(s.c.cfg.Clock(), events, &s.policy)
			if over == nil {
				break
			}
			if over.code != codeRateLimited || over.retry > s.c.cfg.ReadTimeout {
				return over
			}
			sleep(over.retry)
		}
	}
	if _, err := s.c.append(b, busyTries); err != nil {
		return logRefusal(err)
	}
	s.durable = s.line
	s.repeated += int64(b.repeated)
	s.c.count(b.visit.tenant, s.who.tenant, &s.policy, events, b.repeated)
	return nil
}

func eventsIn(b *batch) int {
	n := 0
	for _, k := range b.kinds {
		if k == headlessly.RecordEvent {
			n++
		}
	}
	return n
}

func sleep(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	<-ctx.Done()
}

func (s *lines) string(v string) { s.out.Write(appendJSONString(s.out.AvailableBuffer(), v)) }

func (s *lines) member(name string, v int64) {
	s.out.WriteString(`,"` + name + `":`)
	s.out.Write(strconv.AppendInt(s.out.AvailableBuffer(), v, 10))
}

// patientReader gives each read of a long upload its own deadline, and tells
// an upload that was cut off from one that ended.
type patientReader struct {
	r    io.Reader
	ctx  *fasthttp.RequestCtx
	wait time.Duration
	left int64 // below 0 where the length is not known
}

func (p *patientReader) Read(b []byte) (int, error) {
	_ = p.ctx.SetReadDeadline(headlessly.SystemClock().Add(p.wait))
	n, err := p.r.Read(b)
	if p.left >= 0 {
		p.left -= int64(n)
		if errors.Is(err, io.EOF) && p.left > 0 {
			err = io.ErrUnexpectedEOF
		}
	}
	return n, err
}
