package control

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/connectors/graph"
)

const (
	// keepAlive is how long a stream is silent at most, so that proxies keep
	// it and a dead peer is found.
	keepAlive = 15 * time.Second
	// sendTimeout bounds how long a receiver may take to take an event.
	sendTimeout = 30 * time.Second
	// streamAhead is how many events wait for one receiver.
	streamAhead = 64
)

// streamQuery is what a stream of events shows.
type streamQuery struct {
	after    uint64
	patterns []string
	entity   string
	actor    string
}

func (q *streamQuery) wants(e *graph.Event) bool {
	return (len(q.patterns) == 0 || graph.Match(q.patterns, e.Name)) && (q.entity == "" || q.entity == e.Target) && (q.actor == "" || q.actor == e.Actor)
}

// streamQuery reads where a stream starts and what it shows. Without a start it
// begins with the next event.
func (p *Plane) streamQuery(c call, scope *graph.Scope) (q streamQuery, err error) {
	v := c.r.URL.Query()
	q.entity, q.actor = v.Get("entity"), v.Get("actor")
	for _, t := range v["type"] {
		q.patterns = append(q.patterns, list(t)...)
	}
	if i := slices.IndexFunc(q.patterns, func(s string) bool { return !graph.ValidPattern(s) }); i >= 0 {
		return q, badQuery("type", strconv.Quote(q.patterns[i])+" is no pattern such as Deal.Closed, Deal.*, *.Created or *")
	}
	name, from := "after", v.Get("after")
	if last := c.r.Header.Get("Last-Event-ID"); last != "" {
		name, from = "Last-Event-ID", last
	}
	switch from {
	case "":
		q.after = p.cfg.Graph.Position()
		return q, nil
	case "0":
		return q, nil
	}
	at, err := asOf(from)
	if err != nil {
		return q, badQuery(name, "must be an event's seq, or a time such as 2025-09-15T14:32:00Z")
	}
	if at.Seq == 0 {
		q.after, err = scope.Moment(c.r.Context(), at)
		return q, err
	}
	if q.after = at.Seq; q.after > p.cfg.Graph.Position() {
		if err = p.cfg.Graph.Sync(c.r.Context()); err != nil {
			return q, &graph.Error{Code: graph.CodeUnavailable, Message: "the graph's log does not answer; try again", RetryAfter: time.Second, Err: err}
		}
		if last := p.cfg.Graph.Position(); q.after > last {
			return q, badQuery(name, fmt.Sprintf("is beyond the last event, %d; another graph's?", last))
		}
	}
	return q, nil
}

// item is one event on its way to a receiver, or how far the log has been
// looked through without one.
type item struct {
	seq  uint64
	data []byte // nil: nothing to show
	err  error
}

// follow reads events until ctx ends.
func (p *Plane) follow(ctx context.Context, tenant string, q streamQuery) <-chan item {
	out := make(chan item, streamAhead)
	go func() {
		defer close(out)
		for e, err := range p.cfg.Graph.Follow(ctx, tenant, q.after) {
			it := item{err: err}
			if err == nil {
				it.seq = e.Seq
				if q.wants(e) {
					it.data, it.err = json.Marshal(e)
				}
			}
			select {
			case out <- it:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// sse streams events as server-sent events. Each event's id is its seq: a
// client that comes back with Last-Event-ID misses nothing.
func (p *Plane) sse(c call, scope *graph.Scope) {
	q, err := p.streamQuery(c, scope)
	if err != nil {
		p.fail(c, err)
		return
	}
	ctx, end, ok := p.session(c)
	if !ok {
		return
	}
	defer end()
	h := c.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	c.w.WriteHeader(http.StatusOK)
	out := http.NewResponseController(c.w)
	send := func(format string, args ...any) bool {
		_ = out.SetWriteDeadline(headlessly.SystemClock().Add(sendTimeout))
		_, err := fmt.Fprintf(c.w, format, args...)
		return err == nil && out.Flush() == nil
	}
	if !send(": from %d\nid: %d\nretry: 1000\n\n", q.after, q.after) {
		return
	}
	events := p.follow(ctx, c.tenant, q)
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	at := q.after
	for {
		select {
		case it, more := <-events:
			if !more || it.err != nil {
				return // the client comes back and goes on where it was
			}
			at = it.seq
			if it.data != nil && !send("id: %d\ndata: %s\n\n", it.seq, it.data) {
				return
			}
		case <-tick.C: // an id alone moves where the client would go on
			if !send(": alive\nid: %d\n\n", at) {
				return
			}
		}
	}
}

// ws streams events over a WebSocket, one a text message. A client goes on with
// after=seq of the last one it has.
func (p *Plane) ws(c call, scope *graph.Scope) {
	q, err := p.streamQuery(c, scope)
	if err != nil {
		p.fail(c, err)
		return
	}
	if !strings.EqualFold(c.r.Header.Get("Upgrade"), "websocket") {
		c.w.Header().Set("Upgrade", "websocket")
		writeError(c.w, http.StatusUpgradeRequired, "upgrade_required", "", "connect with a WebSocket client; events/stream is the same over plain HTTP")
		return
	}
	ctx, end, ok := p.session(c)
	if !ok {
		return
	}
	defer end()
	conn, err := websocket.Accept(c.w, c.r, nil)
	if err != nil {
		return // Accept has answered
	}
	defer conn.CloseNow()                 //nolint:errcheck // closed with a reason below
	open := conn.CloseRead(c.r.Context()) // ends when the client goes, not with the key: the close says why
	events := p.follow(ctx, c.tenant, q)
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		select {
		case <-open.Done():
			return
		case it, more := <-events:
			switch {
			case !more && p.stopping():
				_ = conn.Close(websocket.StatusGoingAway, "the gateway stops; connect again")
				return
			case !more:
				_ = conn.Close(websocket.StatusPolicyViolation, "the key was revoked")
				return
			case it.err != nil:
				_ = conn.Close(websocket.StatusTryAgainLater, "reading the log failed; connect again")
				return
			case it.data == nil:
				continue
			}
			if !within(open, sendTimeout, func(ctx context.Context) error { return conn.Write(ctx, websocket.MessageText, it.data) }) {
				return
			}
		case <-tick.C:
			if !within(open, sendTimeout, conn.Ping) {
				return
			}
		}
	}
}

// stopping says whether the gateway is about to stop.
func (p *Plane) stopping() bool {
	select {
	case <-p.cfg.Ended:
		return true
	default:
		return false
	}
}

func within(ctx context.Context, d time.Duration, f func(context.Context) error) bool {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return f(ctx) == nil
}
