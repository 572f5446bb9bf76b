package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/headlessly/headlessly"
)

// LiveFilter chooses what a live tail shows; empty fields choose everything.
type LiveFilter struct {
	Event string // name or pattern, "Order *"
	Type  string
	User  string // user id or anonymous id
}

// live streams what arrives, as server-sent events: "event" for an event,
// "delivery" for an attempt at a destination, "lost" for what the viewer was
// too slow for. It ends with the viewer, its key and the gateway.
func (p *Plane) live(c call) {
	ctx, end, ok := p.session(c)
	if !ok {
		return
	}
	defer end()
	q := c.r.URL.Query()
	out := http.NewResponseController(c.w)
	started := false
	err := p.cfg.Live(ctx, c.tenant, LiveFilter{Event: q.Get("event"), Type: q.Get("type"), User: q.Get("user")}, func(kind string, v any) error {
		data, err := json.Marshal(v)
		if err != nil {
			return err
		}
		_ = out.SetWriteDeadline(headlessly.SystemClock().Add(sendTimeout)) // each message has an end;
		defer func() { _ = out.SetWriteDeadline(time.Time{}) }()            // a tail has none
		if !started {
			started = true
			c.w.Header().Set("Content-Type", "text/event-stream")
			c.w.WriteHeader(http.StatusOK)
		}
		if _, err := fmt.Fprintf(c.w, "event: %s\ndata: %s\n\n", kind, data); err != nil {
			return err
		}
		return out.Flush()
	})
	var refused *QueryError
	switch {
	case err == nil || started || ctx.Err() != nil: // the viewer sees the end
	case errors.As(err, &refused):
		writeError(c.w, refused.Status, refused.Code, "", refused.Message)
	default:
		p.fail(c, err)
	}
}
