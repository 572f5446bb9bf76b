package collector

import (
	"math"
	"strconv"

	"github.com/valyala/fasthttp"
)

// retrySeconds is what Retry-After says when the log cannot take more now: long
// enough that a crowd of clients does not come back at once (they add jitter).
const retrySeconds = 5

const contentJSON = "application/json"

// refuse answers a whole request with an error body.
func (c *Collector) refuse(ctx *fasthttp.RequestCtx, r *errorReply) {
	c.metrics.refused(r.code)
	ctx.SetStatusCode(r.status)
	ctx.Response.Header.SetContentType(contentJSON)
	if r.status == fasthttp.StatusServiceUnavailable || r.status == fasthttp.StatusTooManyRequests || r.status == fasthttp.StatusInsufficientStorage {
		wait := int64(retrySeconds)
		if r.retry > 0 {
			wait = max(1, int64(math.Ceil(r.retry.Seconds())))
		}
		h := &ctx.Response.Header
		setHeader(h, fasthttp.HeaderRetryAfter, strconv.FormatInt(wait, 10))
		if r.limit > 0 {
			h.Set("X-RateLimit-Limit", strconv.FormatInt(r.limit, 10))
			h.Set("X-RateLimit-Remaining", strconv.FormatInt(r.remaining, 10))
			h.Set("X-RateLimit-Reset", strconv.FormatInt(c.cfg.Clock().Unix()+wait, 10)) // as the control plane
		}
	}
	b := ctx.Response.Body()[:0]
	b = append(b, `{"error":`...)
	b = appendJSONString(b, r.code)
	b = append(b, `,"message":`...)
	msg := r.message
	if r.field != "" {
		msg = r.field + " " + r.message
	}
	b = appendJSONString(b, msg)
	if r.field != "" {
		b = append(b, `,"field":`...)
		b = appendJSONString(b, r.field)
	}
	ctx.SetBody(append(b, '}'))
}

// rejection is one event of a batch that was not taken.
type rejection struct {
	index                int
	code, field, message string
}

// answer tells what became of a batch: 202 when anything was taken or there
// was nothing to take, 400 when every event was refused.
func (c *Collector) answer(ctx *fasthttp.RequestCtx, f face, accepted int, rejected []rejection, first int64) {
	status := fasthttp.StatusAccepted
	switch failed := accepted == 0 && len(rejected) > 0; {
	case f.segment && !failed:
		c.answerSegment(ctx, accepted, rejected)
		return
	case f.image && !failed:
		answerPixel(ctx)
		return
	}
	b := append(ctx.Response.Body()[:0], '{')
	if accepted == 0 && len(rejected) > 0 {
		status = fasthttp.StatusBadRequest
		b = append(b, `"error":"validation_failed","message":`...)
		b = appendJSONString(b, rejected[0].field+" "+rejected[0].message)
		b = append(b, `,"field":`...)
		b = appendJSONString(b, rejected[0].field)
		b = append(b, ',')
	}
	b = append(b, `"accepted":`...)
	b = strconv.AppendInt(b, int64(accepted), 10)
	b = append(b, `,"rejected":`...)
	b = appendRejected(b, rejected)
	b = append(b, `,"id":"`...)
	b = strconv.AppendInt(b, first, 36)
	b = append(b, `"}`...)
	ctx.SetStatusCode(status)
	ctx.Response.Header.SetContentType(contentJSON)
	ctx.SetBody(b)
}

func appendRejected(b []byte, rejected []rejection) []byte {
	b = append(b, '[')
	for i, r := range rejected {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"index":`...)
		b = strconv.AppendInt(b, int64(r.index), 10)
		b = append(b, `,"error":`...)
		b = appendJSONString(b, r.code)
		b = append(b, `,"field":`...)
		b = appendJSONString(b, r.field)
		b = append(b, `,"message":`...)
		b = appendJSONString(b, r.message)
		b = append(b, '}')
	}
	return append(b, ']')
}
