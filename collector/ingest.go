package collector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fastjson"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/dedupe"
	"github.com/headlessly/headlessly/collector/enrich"
)

// batch is the work space of one request; it is pooled.
type batch struct {
	parser   fastjson.Parser
	decoder  decoder
	records  []headlessly.Record
	data     []byte // the records' bytes, one after the other
	ends     []int
	kinds    []headlessly.RecordKind
	rejected []rejection
	request  enrich.Request
	scratch  []byte
	ids      dedupe.Batch
	repeated int // events that are in the log already
}

// maxPooledBatch keeps the work space of a rare large batch out of the pool.
const maxPooledBatch = 1 << 20

func (b *batch) reset() {
	b.records, b.data, b.ends, b.kinds, b.rejected = b.records[:0], b.data[:0], b.ends[:0], b.kinds[:0], b.rejected[:0]
	b.decoder.common = common{}
	b.repeated = 0
	b.request = enrich.Request{}
}

type batchPool struct{ p sync.Pool }

func (p *batchPool) get() *batch {
	if b, ok := p.p.Get().(*batch); ok {
		b.reset()
		return b
	}
	return new(batch)
}

func (p *batchPool) put(b *batch) {
	if cap(b.data) <= maxPooledBatch {
		p.p.Put(b)
	}
}

// end closes the record whose bytes were appended to data last.
func (b *batch) end(kind headlessly.RecordKind) {
	b.ends = append(b.ends, len(b.data))
	b.kinds = append(b.kinds, kind)
}

// build cuts data into records, once it does not move any more.
func (b *batch) build() []headlessly.Record {
	start := 0
	for i, end := range b.ends {
		b.records = append(b.records, headlessly.Record{Kind: b.kinds[i], Data: b.data[start:end:end]})
		start = end
	}
	return b.records
}

// ingest takes a JSON body: POST /e and the Segment HTTP API.
func (c *Collector) ingest(ctx *fasthttp.RequestCtx, f face) {
	who, refusal := c.identify(ctx, f)
	if refusal != nil {
		c.refuse(ctx, refusal)
		return
	}
	if !acceptable(view(ctx.Request.Header.ContentType())) {
		c.refuse(ctx, &errorReply{415, "unsupported_media_type", "Content-Type", "must be application/json or text/plain"})
		return
	}
	body := ctx.PostBody()
	if enc := strings.ToLower(view(ctx.Request.Header.Peek(fasthttp.HeaderContentEncoding))); enc != "" && enc != "identity" {
		buf := c.decoders.buffer()
		defer c.decoders.release(buf)
		if refusal := c.decompress(ctx, buf, enc, body, who); refusal != nil {
			c.refuse(ctx, refusal)
			return
		}
		body = buf.Bytes()
	}
	b := c.batches.get()
	defer c.batches.put(b)
	c.take(ctx, b, f, who, body)
}

// acceptable says whether a content type is one that carries JSON here. None
// at all is taken as JSON.
func acceptable(ct string) bool {
	ct, _, _ = strings.Cut(ct, ";")
	ct = strings.ToLower(strings.TrimSpace(ct))
	switch ct {
	case "", "application/json", "text/plain", "application/x-www-form-urlencoded": // the last is what curl -d says
		return true
	}
	return false
}

func (c *Collector) decompress(ctx *fasthttp.RequestCtx, buf *bytes.Buffer, enc string, body []byte, who caller) *errorReply {
	err := c.decoders.decode(buf, enc, body)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errTooLarge):
		r := &errorReply{413, codeTooLarge, "body", fmt.Sprintf("is larger than %d bytes or %d times its compressed size; send smaller batches", headlessly.MaxBodyBytes, maxRatio)}
		c.keepRejected(ctx, who.tenant, buf.Bytes(), r)
		return r
	case errors.Is(err, errEncoding):
		return &errorReply{415, "unsupported_encoding", "Content-Encoding", "must be gzip, br, zstd or deflate"}
	default:
		r := &errorReply{400, "invalid_encoding", "body", "is not valid " + strings.Clone(enc)}
		c.keepRejected(ctx, who.tenant, body, r)
		return r
	}
}

// take parses, checks, enriches and appends a JSON body and answers.
func (c *Collector) take(ctx *fasthttp.RequestCtx, b *batch, f face, who caller, body []byte) {
	root, sh, refusal := parse(&b.parser, body)
	if refusal != nil {
		c.keepRejected(ctx, who.tenant, body, refusal)
		c.refuse(ctx, refusal)
		return
	}
	events, prefix, refusal := b.unpack(root, f)
	if refusal == nil {
		who, refusal = c.fromBody(ctx, f, who, root)
	}
	var policy Policy
	if refusal == nil {
		policy, refusal = c.admit(who, string(ctx.Request.Header.Peek(fasthttp.HeaderOrigin)))
	}
	if refusal != nil {
		c.keepRejected(ctx, who.tenant, body, refusal)
		c.refuse(ctx, refusal)
		return
	}
	b.request = enrich.Request{
		ReceivedAt: c.cfg.Clock(),
		IP:         clientIP(ctx),
		UserAgent:  view(ctx.Request.Header.UserAgent()),
		GPC:        view(ctx.Request.Header.Peek("Sec-GPC")) == "1",
		KeepIP:     policy.KeepIP,
	}
	sentAt := int64(0)
	if root.Type() == fastjson.TypeObject && root.Exists("sentAt") {
		if fault := instant(&sentAt, root.Get("sentAt"), "sentAt"); fault != nil {
			sentAt = 0 // a broken clock reading only loses the correction
			c.metrics.badSentAt.Inc()
		}
	}
	// Limits of an event are looked at one by one only where the body as a
	// whole does not already keep them.
	strict := len(body) > headlessly.MaxEventBytes || sh.keys > headlessly.MaxJSONKeys || !utf8.Valid(body)
	if c.cfg.Dedupe != nil {
		c.cfg.Dedupe.Begin(&b.ids, who.tenant)
		defer b.ids.Release()
	}
	accepted := 0
	for i, v := range events {
		fault := c.one(b, v, who.tenant, sentAt, strict)
		if fault == nil {
			accepted++
			continue
		}
		c.rejectOne(ctx, b, v, who.tenant, i, fault, prefix)
	}
	first, err := c.append(b)
	if err != nil {
		c.refuse(ctx, logRefusal(err))
		return
	}
	c.metrics.accepted.Add(accepted - b.repeated)
	c.metrics.repeated.Add(b.repeated)
	c.answer(ctx, f, accepted, b.rejected, first)
}

// append makes the batch's records durable. It returns once those of its
// events that other requests are appending are durable too.
func (c *Collector) append(b *batch) (first int64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.AppendTimeout)
	defer cancel()
	if len(b.ends) > 0 {
		first, err = c.cfg.Log.Append(ctx, b.build()...)
	}
	if c.cfg.Dedupe == nil {
		return first, err
	}
	b.ids.Done(first, err)
	if err != nil {
		return 0, err
	}
	return first, b.ids.Wait(ctx)
}

// parse checks a body's shape and parses it.
func parse(p *fastjson.Parser, body []byte) (*fastjson.Value, shape, *errorReply) {
	if len(body) > headlessly.MaxBodyBytes {
		return nil, shape{}, &errorReply{413, codeTooLarge, "body", fmt.Sprintf("has %d bytes, at most %d are allowed; send smaller batches", len(body), headlessly.MaxBodyBytes)}
	}
	s := scan(body, headlessly.MaxJSONDepth)
	if s.depth > headlessly.MaxJSONDepth {
		return nil, s, &errorReply{400, "too_deep", "body", fmt.Sprintf("is nested deeper than %d levels", headlessly.MaxJSONDepth)}
	}
	err := fastjson.ValidateBytes(body) // the parser alone takes numbers such as 1.2.3
	if err == nil {
		var v *fastjson.Value
		if v, err = p.ParseBytes(body); err == nil {
			return v, s, nil
		}
	}
	return nil, s, &errorReply{400, "invalid_json", "body", "is not JSON: " + clip(err.Error())}
}

// clip keeps a parser's message short and printable: it may quote the input.
func clip(s string) string {
	if len(s) > 120 {
		s = s[:120] + "…"
	}
	return strings.ToValidUTF8(strings.Clone(s), "\uFFFD")
}

// unpack finds the events of a body: {"events":[…]} with "errors" and "batch"
// as other names, an array, or one event. prefix names the array in messages.
func (b *batch) unpack(root *fastjson.Value, f face) (events []*fastjson.Value, prefix string, refusal *errorReply) {
	b.decoder.common.kind, b.decoder.common.segment = f.kind, f.segment
	switch root.Type() {
	case fastjson.TypeArray:
		events = root.GetArray()
	case fastjson.TypeObject:
		if f.single {
			return []*fastjson.Value{root}, "", nil
		}
		found := false
		for _, key := range [...]string{"events", "errors", "batch"} {
			v := root.Get(key)
			if v == nil {
				continue
			}
			if v.Type() != fastjson.TypeArray {
				return nil, "", &errorReply{400, "validation_failed", key, "must be an array of events"}
			}
			if !found {
				events, prefix, found = v.GetArray(), key, true
			} else {
				events = append(events[:len(events):len(events)], v.GetArray()...)
			}
		}
		if !found {
			return []*fastjson.Value{root}, "", nil
		}
		b.decoder.common.context = root.GetObject("context")
		b.decoder.common.integrations = root.GetObject("integrations")
	default:
		return nil, "", &errorReply{400, "validation_failed", "body", `must be {"events":[…]}, an array of events, or one event`}
	}
	if len(events) > headlessly.MaxBatchEvents {
		return nil, "", &errorReply{413, codeTooMany, prefix, fmt.Sprintf("has %d entries, at most %d are allowed", len(events), headlessly.MaxBatchEvents)}
	}
	return events, prefix, nil
}

// fromBody completes the caller from the body's tenant or writeKey.
func (c *Collector) fromBody(ctx *fasthttp.RequestCtx, f face, who caller, root *fastjson.Value) (caller, *errorReply) {
	if who.keyed || root.Type() != fastjson.TypeObject {
		return who, nil
	}
	key := string(root.GetStringBytes("writeKey"))
	if key == "" {
		key = string(root.GetStringBytes("key"))
	}
	if headlessly.KindOfKey(key) != "" {
		return c.withKey(key, len(ctx.Request.Header.Peek(fasthttp.HeaderOrigin)) > 0)
	}
	if f.segment && who.tenant == "" && headlessly.ValidTenant(key) {
		return caller{tenant: key}, nil // as in identify
	}
	// The body of a single event is the event: its tenant does not count.
	if who.tenant == "" && !f.single && (root.Exists("events") || root.Exists("errors") || root.Exists("batch")) {
		who.tenant = string(root.GetStringBytes("tenant"))
	}
	return who, nil
}

// one takes one event: its record is added to the batch, or the fault told.
func (c *Collector) one(b *batch, v *fastjson.Value, tenant string, sentAt int64, strict bool) *headlessly.FieldError {
	if strict {
		b.scratch = v.MarshalTo(b.scratch[:0])
		if n := len(b.scratch); n > headlessly.MaxEventBytes {
			return &headlessly.FieldError{Code: codeTooLarge, Message: fmt.Sprintf("has %d bytes, at most %d are allowed", n, headlessly.MaxEventBytes)}
		}
		if !utf8.Valid(b.scratch) {
			return &headlessly.FieldError{Code: codeBadUTF8, Field: badUTF8(v), Message: "is not valid UTF-8"}
		}
		if n := scan(b.scratch, headlessly.MaxJSONDepth).keys; n > headlessly.MaxJSONKeys {
			return &headlessly.FieldError{Code: codeTooMany, Message: fmt.Sprintf("has %d keys, at most %d are allowed", n, headlessly.MaxJSONKeys)}
		}
	}
	if fault := b.decoder.decode(v, tenant); fault != nil {
		return fault
	}
	e := &b.decoder.event
	// An id of our own making is new.
	if c.cfg.Dedupe != nil && b.decoder.rawID != "" && !b.ids.Add(e.MessageID) {
		b.repeated++
		return nil
	}
	if e.SentAt == 0 {
		e.SentAt = sentAt
	}
	c.enricher.Apply(e, &b.request)
	data, err := e.AppendBinary(b.data)
	if err != nil {
		return &headlessly.FieldError{Code: codeWrongType, Message: err.Error()}
	}
	b.data = data
	b.end(headlessly.RecordEvent)
	return nil
}

// badUTF8 names the first top-level field of an event that holds bad UTF-8.
func badUTF8(v *fastjson.Value) string {
	field := ""
	if o := v.GetObject(); o != nil {
		o.Visit(func(k []byte, v *fastjson.Value) {
			if field == "" && (!utf8.Valid(k) || !utf8.Valid(v.MarshalTo(nil))) {
				field = strings.ToValidUTF8(string(k), "\uFFFD")
			}
		})
	}
	return field
}

func logRefusal(err error) *errorReply {
	switch {
	case errors.Is(err, headlessly.ErrLogFull):
		return &errorReply{507, "log_full", "", "the gateway's disk is full; nothing was taken, send again later"}
	case errors.Is(err, headlessly.ErrLogFailed):
		return &errorReply{503, "log_failed", "", "the gateway cannot write its log; nothing was acknowledged, send again later"}
	default:
		return &errorReply{503, "unavailable", "", "the gateway is overloaded; nothing was acknowledged, send again later"}
	}
}

func clientIP(ctx *fasthttp.RequestCtx) netip.Addr {
	a, ok := netip.AddrFromSlice(ctx.RemoteIP())
	if !ok {
		return netip.Addr{}
	}
	return a.Unmap()
}
