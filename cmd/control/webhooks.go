package control

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/headlessly/headlessly/connectors/graph"
	"github.com/headlessly/headlessly/connectors/outbox"
	"github.com/headlessly/headlessly/connectors/slack"
	"github.com/headlessly/headlessly/connectors/webhook"
	"github.com/headlessly/headlessly/connectors/webhook/signature"
)

// Webhooks is what the control plane needs to answer below …/webhooks. A
// webhook is an Integration of provider webhook, or of provider slack; this is
// another way to it, and the way to its deliveries.
type Webhooks struct {
	Box     *outbox.Box
	Webhook *webhook.Connector
	Slack   *slack.Connector
	// Inbound is where an integration takes requests.
	Inbound func(tenant, id string) string
}

// webhookTable is what lies below /~{tenant}/webhooks.
func (p *Plane) webhookTable() []served {
	list := []served{
		plain(http.MethodGet, "/webhooks", p.listWebhooks),
		plain(http.MethodPost, "/webhooks", func(c call) { p.connectWebhook(c, "") }),
	}
	for route, answer := range map[string]func(c call, e *graph.Entity){
		"GET /webhooks/{id}":   p.showWebhook,
		"PUT /webhooks/{id}":   func(c call, e *graph.Entity) { p.connectWebhook(c, e.ID) },
		"PATCH /webhooks/{id}": func(c call, e *graph.Entity) { p.connectWebhook(c, e.ID) },
		"DELETE /webhooks/{id}": func(c call, e *graph.Entity) {
			p.do(c, graph.Op{Type: "Integration", Verb: "disconnect", ID: e.ID}, http.StatusOK)
		},
		"GET /webhooks/{id}/deliveries": func(c call, e *graph.Entity) { p.listDeliveries(c, e.ID) },
		"GET /webhooks/{id}/secret":     p.showSecret,
		"POST /webhooks/{id}/rotate":    p.rotate,
		"POST /webhooks/{id}/test":      p.testWebhook,
		"POST /webhooks/{id}/replay":    func(c call, e *graph.Entity) { p.replayRange(c, e.ID) },
	} {
		method, path, _ := strings.Cut(route, " ")
		list = append(list, one(method, path, func(c call, id string) {
			if e, ok := p.findWebhook(c, id); ok {
				answer(c, e)
			}
		}))
	}
	return append(
		list,
		served{http.MethodGet, "/webhooks/{id}/deliveries/{delivery}", func(c call, args []string) { p.showDelivery(c, args[0], args[1]) }},
		served{http.MethodPost, "/webhooks/{id}/deliveries/{delivery}/replay", func(c call, args []string) { p.replayDelivery(c, args[0], args[1]) }},
	)
}

// listWebhooks answers a page of the tenant's webhooks; limit and cursor are
// those of a find.
func (p *Plane) listWebhooks(c call) {
	q := graph.Query{Type: "Integration", Filter: map[string]any{"provider": map[string]any{"$in": []any{webhook.Provider, slack.Provider}}}, Limit: graph.MaxLimit}
	sc, err := p.cfg.Graph.Scope(c.tenant, c.key.ID)
	for _, name := range []string{"limit", "cursor"} {
		if v := c.r.URL.Query().Get(name); v != "" && err == nil {
			_, err = reserved(&q, name, v)
		}
	}
	if err != nil {
		p.fail(c, err)
		return
	}
	page, err := sc.Find(c.r.Context(), q)
	if err != nil {
		p.fail(c, err)
		return
	}
	writeJSON(c.w, http.StatusOK, page)
}

// showWebhook answers a webhook and how its deliveries stand.
func (p *Plane) showWebhook(c call, e *graph.Entity) {
	n, err := p.cfg.Webhooks.Box.Count(c.r.Context(), c.tenant, e.ID)
	if err != nil && !errors.Is(err, outbox.ErrNotFound) {
		p.fail(c, err)
		return
	}
	writeJSON(c.w, http.StatusOK, map[string]any{"integration": e, "deliveries": n, "inboundUrl": p.cfg.Webhooks.Inbound(c.tenant, e.ID)})
}

// showSecret answers what the two ends of a webhook share, to a key that may
// change it: who may only read must not be able to sign.
func (p *Plane) showSecret(c call, e *graph.Entity) {
	if !allows(c.key.Scopes, ScopeWrite, "Integration") {
		p.fail(c, outOfScope(ScopeWrite, "Integration"))
		return
	}
	writeJSON(c.w, http.StatusOK, p.secretsOf(c, e.ID))
}

// connectWebhook connects a webhook, or changes one: the same as
// Integration.connect with provider webhook.
func (p *Plane) connectWebhook(c call, id string) {
	args := map[string]any{}
	if !c.read(&args) {
		return
	}
	if args["provider"] == nil {
		args["provider"] = webhook.Provider
	}
	if args["provider"] != webhook.Provider && args["provider"] != slack.Provider {
		writeError(c.w, http.StatusBadRequest, "validation_failed", "provider", "is webhook or slack here; connect others with Integration.connect")
		return
	}
	status := http.StatusCreated
	if id != "" {
		status = http.StatusOK
		delete(args, "id")
		delete(args, "$id")
	}
	p.do(c, graph.Op{Type: "Integration", Verb: "connect", ID: id, Args: args}, status)
}

// do performs a mutation of an Integration and answers it, with its secrets
// when it is a webhook that has been connected.
func (p *Plane) do(c call, op graph.Op, status int) {
	sc, err := p.cfg.Graph.Scope(c.tenant, c.key.ID)
	if err != nil {
		p.fail(c, err)
		return
	}
	r, err := sc.Do(c.r.Context(), op)
	if err != nil {
		p.fail(c, err)
		return
	}
	if op.Verb != "connect" || r.Entity.Text("provider") != webhook.Provider {
		writeJSON(c.w, status, map[string]any{"integration": r.Entity})
		return
	}
	out := p.secretsOf(c, r.Entity.ID)
	out["integration"] = r.Entity
	writeJSON(c.w, status, out)
}

// secretsOf gives what the two ends of a webhook share, for who sets up the
// other one.
func (p *Plane) secretsOf(c call, id string) map[string]any {
	out := map[string]any{"inboundUrl": p.cfg.Webhooks.Inbound(c.tenant, id)}
	secret, inbound := p.cfg.Webhooks.Webhook.Secrets(id)
	if secret.Set() {
		out["secret"] = secret.Reveal() // a secret key asks for it, to give it to the receiver
	}
	if inbound.Set() {
		out["webhookSecret"] = inbound.Reveal() // likewise, for the sender
	} else {
		delete(out, "inboundUrl")
	}
	return out
}

// findWebhook answers 404 for an integration that is none of the tenant's
// webhooks.
func (p *Plane) findWebhook(c call, id string) (*graph.Entity, bool) {
	sc, err := p.cfg.Graph.Scope(c.tenant, c.key.ID)
	if err != nil {
		p.fail(c, err)
		return nil, false
	}
	e, err := sc.Get(c.r.Context(), "Integration", id, graph.AsOf{})
	if err != nil {
		p.fail(c, err)
		return nil, false
	}
	if provider := e.Text("provider"); provider != webhook.Provider && provider != slack.Provider {
		writeError(c.w, http.StatusNotFound, "not_found", "id", "this integration is no webhook, but of provider "+provider)
		return nil, false
	}
	return e, true
}

// rotate gives a webhook another secret. The former one signs too, for
// overlapHours.
func (p *Plane) rotate(c call, e *graph.Entity) {
	args := map[string]any{}
	if c.r.ContentLength != 0 && !c.read(&args) {
		return
	}
	if e.Text("provider") != webhook.Provider {
		writeError(c.w, http.StatusBadRequest, "validation_failed", "provider", "Slack's webhooks carry no signature; connect the new webhook instead")
		return
	}
	op := graph.Op{Type: "Integration", Verb: "connect", ID: e.ID, Args: map[string]any{"provider": webhook.Provider, "secret": args["secret"]}}
	if args["secret"] == nil {
		op.Args["secret"] = signature.NewSecret()
	}
	if hours := args["overlapHours"]; hours != nil {
		op.Args["overlapHours"] = hours
	}
	p.do(c, op, http.StatusOK)
}

func (p *Plane) testWebhook(c call, e *graph.Entity) {
	if e.Text("provider") == slack.Provider {
		start := p.cfg.Clock()
		err := p.cfg.Webhooks.Slack.Test(c.r.Context(), e.ID)
		if errors.Is(err, slack.ErrNotConnected) {
			writeError(c.w, http.StatusConflict, "conflict", "status", "the integration is not connected; connect it first")
			return
		}
		t := webhook.Tested{Delivered: err == nil, DurationMs: p.cfg.Clock().Sub(start).Milliseconds()}
		if err != nil {
			t.Error = err.Error()
		}
		writeJSON(c.w, http.StatusOK, t)
		return
	}
	t, err := p.cfg.Webhooks.Webhook.Test(c.r.Context(), c.tenant, e.ID)
	if err != nil {
		writeError(c.w, http.StatusConflict, "conflict", "status", "the webhook is not connected, or has no url; connect it first")
		return
	}
	writeJSON(c.w, http.StatusOK, t)
}

// delivery is a delivery as clients see it.
type delivery struct {
	ID         string           `json:"id"`
	Event      string           `json:"event"`
	Entity     string           `json:"entity"`
	Seq        uint64           `json:"seq"`
	Timestamp  string           `json:"timestamp"`
	State      string           `json:"state"`
	Attempts   int              `json:"attempts"`
	NextAt     string           `json:"nextAt,omitempty"`
	LastAt     string           `json:"lastAt,omitempty"`
	DurationMs int64            `json:"durationMs"`
	Status     int              `json:"status,omitempty"`
	Answer     string           `json:"answer,omitempty"`
	Replays    int              `json:"replays,omitempty"`
	Failures   []map[string]any `json:"failures,omitempty"`
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timeFormat)
}

func shownDelivery(d outbox.Delivery) delivery {
	out := delivery{
		ID: d.ID, Event: d.Event, Entity: d.Target, Seq: d.Seq, Timestamp: stamp(d.At), State: d.State, Attempts: d.Attempts,
		NextAt: stamp(d.Due), LastAt: stamp(d.Tried), DurationMs: d.Took.Milliseconds(), Status: d.Status, Answer: d.Note, Replays: d.Replays,
	}
	for _, a := range d.Failures {
		out.Failures = append(out.Failures, map[string]any{"number": a.Number, "at": stamp(a.At), "durationMs": a.Took.Milliseconds(), "status": a.Status, "answer": a.Note})
	}
	return out
}

func (p *Plane) listDeliveries(c call, id string) {
	in := c.r.URL.Query()
	q := outbox.Query{State: in.Get("state"), Event: in.Get("event"), Limit: 25}
	var err error
	if v := in.Get("limit"); v != "" {
		if q.Limit, err = strconv.Atoi(v); err != nil || q.Limit < 1 || q.Limit > 1000 {
			writeError(c.w, http.StatusBadRequest, "invalid_filter", "limit", "limit: want 1 to 1000")
			return
		}
	}
	if v := in.Get("before"); v != "" {
		if q.Before, err = strconv.ParseUint(v, 10, 63); err != nil {
			writeError(c.w, http.StatusBadRequest, "invalid_filter", "before", "before: want the seq of a delivery")
			return
		}
	}
	want := q.Limit
	q.Limit++
	list, err := p.cfg.Webhooks.Box.Deliveries(c.r.Context(), c.tenant, id, q)
	if err != nil && !errors.Is(err, outbox.ErrNotFound) {
		p.fail(c, err)
		return
	}
	more := len(list) > want
	results := []delivery{}
	for _, d := range list[:min(len(list), want)] {
		results = append(results, shownDelivery(d))
	}
	out := map[string]any{"results": results, "hasMore": more}
	if more {
		out["before"] = results[len(results)-1].Seq
	}
	writeJSON(c.w, http.StatusOK, out)
}

func (p *Plane) showDelivery(c call, id, event string) {
	d, err := p.cfg.Webhooks.Box.Delivery(c.r.Context(), c.tenant, id, event)
	if err != nil {
		p.noDelivery(c, err)
		return
	}
	writeJSON(c.w, http.StatusOK, shownDelivery(d))
}

func (p *Plane) replayDelivery(c call, id, event string) {
	if err := p.cfg.Webhooks.Box.Replay(c.r.Context(), c.tenant, id, event); err != nil {
		p.noDelivery(c, err)
		return
	}
	writeJSON(c.w, http.StatusAccepted, map[string]any{"replayed": 1})
}

func (p *Plane) noDelivery(c call, err error) {
	if errors.Is(err, outbox.ErrNotFound) {
		writeError(c.w, http.StatusNotFound, "not_found", "delivery", "there is no such delivery; …/deliveries lists what there is")
		return
	}
	if errors.Is(err, outbox.ErrDisconnected) {
		writeError(c.w, http.StatusConflict, "conflict", "status", "the webhook is disconnected, so nothing can be sent again; connect it first (PUT /webhooks/{id})")
		return
	}
	p.fail(c, err)
}

// replayRange sends a range again: the parked deliveries, or with all
// everything that matches.
func (p *Plane) replayRange(c call, id string) {
	var in struct {
		From, To *time.Time
		All      bool
	}
	if c.r.ContentLength != 0 && !c.read(&in) {
		return
	}
	sc, err := p.cfg.Graph.Scope(c.tenant, c.key.ID)
	if err != nil {
		p.fail(c, err)
		return
	}
	r := outbox.Range{All: in.All}
	for _, at := range []struct {
		t   *time.Time
		seq *uint64
		add uint64
	}{{in.From, &r.From, 1}, {in.To, &r.To, 0}} {
		if at.t == nil {
			continue
		}
		seq, err := sc.Moment(c.r.Context(), graph.AsOf{Time: *at.t})
		if err != nil {
			p.fail(c, err)
			return
		}
		*at.seq = seq + at.add
	}
	if in.To != nil && r.To == 0 { // nothing had happened by then
		writeJSON(c.w, http.StatusAccepted, map[string]any{"replayed": 0})
		return
	}
	n, err := p.cfg.Webhooks.Box.ReplayRange(c.r.Context(), c.tenant, id, r)
	if err != nil {
		p.noDelivery(c, err)
		return
	}
	writeJSON(c.w, http.StatusAccepted, map[string]any{"replayed": n})
}
