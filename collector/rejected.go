package collector

import (
	"context"
	"fmt"
	"strings"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fastjson"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/collector/enrich"
	"github.com/headlessly/headlessly/collector/jsontext"
)

// The rejected records that strangers can cause are bounded, so that garbage
// cannot fill the disk: above this rate a refusal is only answered and counted.
const (
	rejectedPerSecond = 100
	rejectedBurst     = 1_000
)

func (c *Collector) rejectedRecord(ctx *fasthttp.RequestCtx, tenant string, raw []byte, code, field, message string) *headlessly.Rejected {
	if !headlessly.ValidTenant(tenant) {
		tenant = ""
	}
	r := &headlessly.Rejected{
		Tenant: tenant, ReceivedAt: c.cfg.Clock().UnixMicro(), Reason: code, Field: field, Message: message,
		Path: string(ctx.Path()), ContentType: string(ctx.Request.Header.ContentType()),
		IP: enrich.TruncateIP(c.clientIP(ctx).String()), Raw: raw,
	}
	if len(raw) > headlessly.MaxRejectedBytes {
		r.Raw, r.Truncated = raw[:headlessly.MaxRejectedBytes], true
	}
	return r
}

// keepRejected stores a body that could not be used, with the reason that the
// client is told. Best effort: the client is refused whatever happens here,
// and what was not kept is counted.
func (c *Collector) keepRejected(ctx *fasthttp.RequestCtx, tenant string, raw []byte, why *errorReply) {
	if !c.rejectedLimit.Allow() {
		c.metrics.rejectedNotKept.Inc()
		return
	}
	data, err := c.rejectedRecord(ctx, tenant, raw, why.code, why.field, why.message).AppendBinary(nil)
	if err == nil {
		wait, cancel := context.WithTimeout(context.Background(), c.cfg.AppendTimeout)
		defer cancel()
		_, err = c.cfg.Log.Append(wait, headlessly.Record{Kind: headlessly.RecordRejected, Data: data})
	}
	if err != nil {
		c.metrics.rejectedNotKept.Inc()
		return
	}
	c.metrics.rejectedKept.Inc()
}

// rejectOne notes that event i of a batch was refused and keeps its JSON.
func (c *Collector) rejectOne(ctx *fasthttp.RequestCtx, b *batch, v *fastjson.Value, tenant string, i int, fault *headlessly.FieldError, prefix string) {
	field := fault.Field
	if prefix != "" || i > 0 {
		place := fmt.Sprintf("%s[%d]", prefix, i)
		if field != "" {
			place += "." + field
		}
		field = place
	}
	if field == "" {
		field = "event"
	}
	field = strings.Clone(field)
	b.rejected = append(b.rejected, rejection{i, fault.Code, field, fault.Message})
	c.metrics.rejected(fault.Code)
	c.keepOne(ctx, b, tenant, jsontext.Value(v), fault, field)
}

// keepOne adds a refused event's text to the batch, to be stored with it.
func (c *Collector) keepOne(ctx *fasthttp.RequestCtx, b *batch, tenant string, raw []byte, fault *headlessly.FieldError, field string) {
	if fault.Code == codeForgotten {
		return
	}
	if !c.rejectedLimit.Allow() {
		c.metrics.rejectedNotKept.Inc()
		return
	}
	r := c.rejectedRecord(ctx, tenant, raw, fault.Code, field, fault.Message)
	if data, err := r.AppendBinary(b.data); err == nil {
		b.data = data
		b.end(headlessly.RecordRejected)
		c.metrics.rejectedKept.Inc()
	}
}
