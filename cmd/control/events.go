package control

import (
	"net/http"
	"strconv"

	"github.com/headlessly/headlessly/connectors/graph"
)

// scoped lets answer act in the tenant's graph, as the key.
func (p *Plane) scoped(answer func(c call, sc *graph.Scope)) func(call) {
	return func(c call) {
		sc, err := p.scope(c)
		if err != nil {
			p.fail(c, err)
			return
		}
		answer(c, sc)
	}
}

// listEvents answers the entity events that the URL asks for, newest first,
// or from after on oldest first.
func (p *Plane) listEvents(c call, scope *graph.Scope, entity string) {
	q, err := eventQuery(c)
	if err == nil && entity != "" {
		q.Entity = entity
	}
	var events []*graph.Event
	if err == nil {
		q.Limit++ // one more tells whether there are more
		events, err = scope.Events(c.r.Context(), q)
	}
	if err != nil {
		p.fail(c, err)
		return
	}
	more := len(events) == q.Limit
	if more {
		events = events[:q.Limit-1]
	}
	if events == nil {
		events = []*graph.Event{}
	}
	out := map[string]any{"results": events, "hasMore": more}
	if more { // where the next page starts
		name := "before"
		if q.Ascending() {
			name = "after"
		}
		out["next"] = map[string]uint64{name: events[len(events)-1].Seq}
	}
	writeJSON(c.w, http.StatusOK, out)
}

// maxEvents bounds one answer: one below what the graph reads at once.
const maxEvents = graph.MaxEvents - 1

func eventQuery(c call) (q graph.EventQuery, err error) {
	v := c.r.URL.Query()
	q = graph.EventQuery{Type: v.Get("type"), Entity: v.Get("entity"), Actor: v.Get("actor"), Limit: defaultEvents}
	for _, m := range []struct {
		name string
		to   *graph.AsOf
	}{{"after", &q.After}, {"before", &q.Before}} {
		s := v.Get(m.name)
		if s == "" {
			continue
		}
		if s == "0" && m.name == "after" {
			q.Forward = true
			continue
		}
		if *m.to, err = asOf(s); err != nil {
			return q, badQuery(m.name, "must be an event's seq, or a time such as 2025-09-15T14:32:00Z")
		}
	}
	if s := v.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxEvents {
			return q, badQuery("limit", "must be 1 to "+strconv.Itoa(maxEvents))
		}
		q.Limit = n
	}
	return q, nil
}

const defaultEvents = 25
