package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// LiveFilter chooses what a live tail shows; empty fields choose everything.
type LiveFilter struct {
	Event string // name or pattern, "Order *"
	Type  string
	User  string // user id or anonymous id
}

// live streams what arrives, as server-sent events: "event" for an event,
// "delivery" for an attempt at a destination, "lost" for what the viewer was
// too slow for.
func (p *Plane) live(c call) {
	q := c.r.URL.Query()
	out := http.NewResponseController(c.w)
	_ = out.SetWriteDeadline(time.Time{}) // a tail has no end
	started := false
	err := p.cfg.Live(c.r.Context(), c.tenant, LiveFilter{Event: q.Get("event"), Type: q.Get("type"), User: q.Get("user")}, func(kind string, v any) error {
		if !started {
			started = true
			c.w.Header().Set("Content-Type", "text/event-stream")
			c.w.WriteHeader(http.StatusOK)
		}
		data, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(c.w, "event: %s\ndata: %s\n\n", kind, data); err != nil {
			return err
		}
		return out.Flush()
	})
	var refused *QueryError
	if errors.As(err, &refused) && !started {
		writeError(c.w, refused.Status, refused.Code, "", refused.Message)
	}
}
