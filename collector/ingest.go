package collector

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fastjson"
	"go.opentelemetry.io/otel/attribute"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/enrich"
)

// ingest takes a JSON body: POST /e and the Segment HTTP API.
func (c *Collector) ingest(ctx *fasthttp.RequestCtx, f face) {
	who, refusal := c.identify(ctx, f)
	if refusal != nil {
		leaveUnread(ctx)
		c.refuse(ctx, refusal)
		return
	}
	if !acceptable(view(ctx.Request.Header.ContentType())) {
		leaveUnread(ctx)
		c.refuse(ctx, newReply(415, "unsupported_media_type", "Content-Type", "must be application/json or text/plain"))
		return
	}
	b := c.batches.get()
	defer c.batches.put(b)
	if refusal := b.visit.enter(c.door, who.tenant); refusal != nil {
		leaveUnread(ctx)
		c.refuse(ctx, refusal)
		return
	}
	body, refusal := c.body(ctx, &b.visit, who)
	if refusal != nil {
		c.refuse(ctx, refusal)
		return
	}
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

// take parses, checks, enriches and appends a JSON body and answers.
func (c *Collector) take(ctx *fasthttp.RequestCtx, b *batch, f face, who caller, body []byte) {
	if refusal := b.visit.begin(c.door, c.unnamedClient(ctx, &b.visit), len(body)); refusal != nil {
		c.refuse(ctx, refusal)
		return
	}
	root, sh, refusal := c.parse(b, body)
	if refusal != nil && refusal.status >= 500 {
		c.refuse(ctx, refusal)
		return
	}
	if refusal != nil {
		b.visit.pause()
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
		b.visit.pause()
		c.keepRejected(ctx, who.tenant, body, refusal)
		c.refuse(ctx, refusal)
		return
	}
	now := c.cfg.Clock()
	if refusal = b.visit.enter(c.door, who.tenant); refusal == nil {
		refusal = b.visit.tenant.spend(now, len(events), &policy)
	}
	if refusal != nil {
		c.refuse(ctx, refusal)
		return
	}
	b.request, b.forgotten = c.request(ctx, now, &policy), policy.Forgotten
	b.span = spanned(ctx)
	sentAt := int64(0)
	if root.Type() == fastjson.TypeObject && root.Exists("sentAt") {
		if fault := instant(&sentAt, root.Get("sentAt"), "sentAt"); fault != nil {
			sentAt = 0 // a broken clock reading only loses the correction
			c.metrics.badSentAt.Inc()
		}
	}
	strict := strictly(body, sh)
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
	b.encoded(c.door)
	first, err := c.append(b, 0)
	// Everyone of a frame wakes at once: who used least answers first.
	b.visit.goOn()
	if err != nil {
		c.refuse(ctx, logRefusal(err))
		return
	}
	c.count(b.visit.tenant, who.tenant, &policy, accepted-b.repeated, b.repeated)
	c.answer(ctx, f, accepted, b.rejected, first)
}

// request is what a request tells about all of its events.
func (c *Collector) request(ctx *fasthttp.RequestCtx, now time.Time, p *Policy) enrich.Request {
	return enrich.Request{
		ReceivedAt: now,
		IP:         c.clientIP(ctx),
		UserAgent:  view(ctx.Request.Header.UserAgent()),
		GPC:        !p.IgnoreGPC && view(ctx.Request.Header.Peek("Sec-GPC")) == "1",
		KeepIP:     p.KeepIP,
		Redact:     p.Redact,
	}
}

// strictly says whether an event's limits have to be looked at one by one: not
// where the body as a whole keeps them.
func strictly(body []byte, s shape) bool {
	return len(body) > headlessly.MaxEventBytes || s.keys > headlessly.MaxJSONKeys || !s.ascii && !utf8.Valid(body)
}

// append makes the batch's records durable. It returns once those of its
// events that other requests are appending are durable too. A log that is busy
// is asked again up to tries times.
func (c *Collector) append(b *batch, tries int) (first int64, err error) {
	ctx := c.deadlines.get()
	b.visit.pause()
	if len(b.ends) > 0 {
		records := b.build()
		first, err = c.put(ctx, b, records, tries == 0)
		for wait := busyWait; tries > 0 && errors.Is(err, headlessly.ErrLogBusy); tries-- {
			sleep(wait)
			wait *= 2
			first, err = c.put(ctx, b, records, false)
		}
	}
	if err == nil && len(b.records) > 0 && c.cfg.Tap.Watched() {
		c.cfg.Tap.Publish(first, b.records)
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

// copier is a log that says when it has its own copy of the records.
type copier interface {
	AppendCopied(ctx context.Context, copied func(), records ...headlessly.Record) (first int64, err error)
}

// put appends records in the tenant's turn. With once they are not appended
// again: those of a large batch are given back while they wait for the disk.
func (c *Collector) put(ctx context.Context, b *batch, records []headlessly.Record, once bool) (first int64, err error) {
	size := int64(len(b.data))
	if c.cfg.Tracer != nil {
		end := c.span(b.span, "append", attribute.Int("headlessly.records", len(records)), attribute.Int64("headlessly.bytes", size)) //nolint:contextcheck // the span belongs below the request's, ctx only bounds the append
		defer func() { end(err) }()
	}
	c.door.toLog.take(&b.visit.toLog, &b.visit.tenant.toLog, size, size)
	defer c.door.toLog.give(&b.visit.toLog)
	if l, ok := c.cfg.Log.(copier); ok && once && cap(b.data) > maxPooledData && !c.cfg.Tap.Watched() {
		return l.AppendCopied(ctx, func() { b.copied(c.door) }, records...)
	}
	return c.cfg.Log.Append(ctx, records...)
}

// parse checks a body's shape and parses it.
func (c *Collector) parse(b *batch, body []byte) (*fastjson.Value, shape, *errorReply) {
	if len(body) > c.cfg.MaxBodyBytes {
		return nil, shape{}, newReply(413, codeTooLarge, "body", fmt.Sprintf("has %d bytes, at most %d are allowed; send smaller batches", len(body), c.cfg.MaxBodyBytes))
	}
	s, err := inspect(body)
	if errors.Is(err, errTooDeep) {
		return nil, s, newReply(400, "too_deep", "body", fmt.Sprintf("is nested deeper than %d levels", headlessly.MaxJSONDepth))
	}
	if err == nil && !b.visit.parseCost(c.door, s, len(body)) {
		return nil, s, busyReply()
	}
	if err == nil {
		var v *fastjson.Value
		if v, err = b.space(c.door, len(body)).parser.ParseBytes(body); err == nil {
			return v, s, nil
		}
	}
	return nil, s, newReply(400, "invalid_json", "body", "is not JSON: "+clip(err.Error()))
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
			return b.only(root), "", nil
		}
		found := false
		for _, key := range [...]string{"events", "errors", "batch"} {
			v := root.Get(key)
			if v == nil {
				continue
			}
			if v.Type() != fastjson.TypeArray {
				return nil, "", newReply(400, "validation_failed", key, "must be an array of events")
			}
			if !found {
				events, prefix, found = v.GetArray(), key, true
			} else {
				events = append(events[:len(events):len(events)], v.GetArray()...)
			}
		}
		if !found {
			return b.only(root), "", nil
		}
		b.decoder.common.context = root.GetObject("context")
		b.decoder.common.integrations = root.GetObject("integrations")
	default:
		return nil, "", newReply(400, "validation_failed", "body", `must be {"events":[…]}, an array of events, or one event`)
	}
	if len(events) > headlessly.MaxBatchEvents {
		return nil, "", newReply(413, codeTooMany, prefix, fmt.Sprintf("has %d entries, at most %d are allowed", len(events), headlessly.MaxBatchEvents))
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
		text := v.MarshalTo(b.parsing.scratch[:0])
		b.parsing.scratch = text
		if n := len(text); n > headlessly.MaxEventBytes {
			return &headlessly.FieldError{Code: codeTooLarge, Message: fmt.Sprintf("has %d bytes, at most %d are allowed", n, headlessly.MaxEventBytes)}
		}
		if !utf8.Valid(text) {
			return &headlessly.FieldError{Code: codeBadUTF8, Field: badUTF8(v), Message: "is not valid UTF-8"}
		}
		if n := scan(text, headlessly.MaxJSONDepth).keys; n > headlessly.MaxJSONKeys {
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
	b.request.Cookieless = b.decoder.cookieless
	c.enricher.Apply(e, &b.request)
	if b.forgotten != nil && b.forgotten(e.UserID, e.AnonymousID) {
		return &headlessly.FieldError{Code: codeForgotten, Field: "userId", Message: "is of somebody whose data was deleted; nothing of theirs is taken any more"}
	}
	b.room(c.door)
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
		return newReply(507, "log_full", "", "the gateway's disk is full; nothing was taken, send again later")
	case errors.Is(err, headlessly.ErrLogFailed):
		return newReply(503, "log_failed", "", "the gateway cannot write its log; nothing was acknowledged, send again later")
	default:
		return newReply(503, "unavailable", "", "the gateway is overloaded; nothing was acknowledged, send again later")
	}
}
