package stripe

import (
	"context"
	"encoding/json"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/headlessly/headlessly/connectors"
	"github.com/headlessly/headlessly/connectors/graph"
)

// eventsKept is how long Stripe keeps events, with a day to spare.
const eventsKept = 29 * 24 * time.Hour

// eventsOverlap is how far back events are read again when the one that a sync
// stood at is no longer kept.
const eventsOverlap = 5 * time.Minute

// pageSize is the most that Stripe gives at once.
const pageSize = "100"

// cursor is where a sync stands.
type cursor struct {
	Phase string `json:"phase"`           // what is being listed; events at the end
	After string `json:"after,omitempty"` // the last object that was listed
	// Event is the newest event that is dealt with; "" when there was none
	// when the listing began, at Since.
	Event string `json:"event,omitempty"`
	Since int64  `json:"since"` // s
	// Sweep says that the listing follows an earlier one: what was deleted
	// between the two has to be found.
	Sweep bool `json:"sweep,omitempty"`
}

// phase is one list of the first sync.
type phase struct {
	name, path string
	query      url.Values
	read       func(raw []byte) (connectors.Change, bool, error)
}

func known(f func([]byte) (connectors.Change, error)) func([]byte) (connectors.Change, bool, error) {
	return func(raw []byte) (connectors.Change, bool, error) { ch, err := f(raw); return ch, err == nil, err }
}

func listed(f func([]byte, bool) (connectors.Change, error)) func([]byte) (connectors.Change, bool, error) {
	return known(func(raw []byte) (connectors.Change, error) { return f(raw, false) })
}

const phaseEvents = "events"

// sweeps are the types whose objects can be deleted at Stripe. Each entity is
// asked for, one by one: lists do not tell what is missing.
func sweeps() []struct{ phase, typ, key string } {
	return []struct{ phase, typ, key string }{
		{"deleted customers", typeCustomer, keyCustomer}, {"deleted products", typeProduct, keyProduct}, {"deleted invoices", typeInvoice, keyInvoice},
	}
}

// afterLists is the phase behind the last list.
func afterLists(cur *cursor) string {
	if cur.Sweep {
		return sweeps()[0].phase
	}
	return phaseEvents
}

// phases are the lists of a first sync: what others refer to comes first.
func phases() []phase {
	return []phase{
		{"customers", "/v1/customers", url.Values{"expand[]": {"data.discount.source.coupon"}}, known(customer)},
		{"products", "/v1/products", nil, known(product)},
		{"prices", "/v1/prices", url.Values{"expand[]": {"data.tiers"}}, known(price)},
		{"subscriptions", "/v1/subscriptions", url.Values{"status": {"all"}, "expand[]": {"data.discounts.source.coupon"}}, listed(subscription)},
		{"invoices", "/v1/invoices", nil, listed(invoice)},
		{"payments", "/v1/payment_intents", url.Values{"expand[]": {"data.latest_charge"}}, listed(payment)},
		{"invoice payments", "/v1/invoice_payments", nil, invoicePayment},
	}
}

// Sync implements connectors.Syncer.
func (c *Connector) Sync(ctx context.Context, l *connectors.Link, saved json.RawMessage) iter.Seq2[connectors.Page, error] {
	return func(yield func(connectors.Page, error) bool) {
		a := newAPI(l)
		cur, err := c.begin(ctx, a, saved)
		if err != nil {
			yield(connectors.Page{}, err)
			return
		}
		stopped := false
		emit := func(changes []connectors.Change, name string) bool {
			raw, err := json.Marshal(cur)
			stopped = !yield(connectors.Page{Changes: changes, Cursor: raw, Phase: name}, err) || err != nil
			return !stopped
		}
		for _, step := range []func(context.Context, *client, *cursor, func([]connectors.Change, string) bool) error{c.list, c.sweep, c.events} {
			if err := step(ctx, a, &cur, emit); err != nil && !stopped {
				yield(connectors.Page{}, err)
				return
			}
			if stopped {
				return
			}
		}
	}
}

// begin reads a cursor, or starts anew: for a first sync, and when the last one
// is longer ago than Stripe keeps events.
func (c *Connector) begin(ctx context.Context, a *client, saved json.RawMessage) (cur cursor, err error) {
	if len(saved) > 0 {
		if err := json.Unmarshal(saved, &cur); err != nil {
			return cur, err
		}
		if cur.Phase != phaseEvents || a.l.Clock().Sub(time.Unix(cur.Since, 0)) < eventsKept {
			return cur, nil
		}
		cur = cursor{Sweep: true}
	}
	var newest listing
	at, err := a.get(ctx, "/v1/events", url.Values{"limit": {"1"}}, &newest)
	if err != nil {
		return cur, err
	}
	cur.Phase, cur.Since = phases()[0].name, at.Unix()
	if len(newest.Data) > 0 {
		cur.Event = idOf(newest.Data[0])
	}
	return cur, nil
}

// list reads what is left of the lists.
func (c *Connector) list(ctx context.Context, a *client, cur *cursor, emit func([]connectors.Change, string) bool) error {
	all := phases()
	for {
		n := slices.IndexFunc(all, func(p phase) bool { return p.name == cur.Phase })
		if n < 0 {
			return nil
		}
		p := all[n]
		q := url.Values{"limit": {pageSize}}
		for k, v := range p.query {
			q[k] = v
		}
		if cur.After != "" {
			q.Set("starting_after", cur.After)
		}
		var page listing
		at, err := a.get(ctx, p.path, q, &page)
		if lost(err) && cur.After != "" { // the object that we stood at was deleted meanwhile
			cur.After = ""
			continue
		}
		if err != nil {
			return err
		}
		var changes []connectors.Change
		for _, raw := range page.Data {
			cur.After = idOf(raw)
			ch, ok, err := p.read(raw)
			if err != nil {
				a.l.Logger.Warn("stripe.object", "id", cur.After, "error", err)
				changes = append(changes, unreadable(err))
				continue
			}
			if ok {
				ch.At, ch.Fresh = at, true
				ch = c.again(a, ch)
				ch.Stale = ch.Type == typeSubscription && shortened(raw)
				changes = append(changes, ch)
			}
		}
		if !page.HasMore {
			if cur.After = ""; n+1 < len(all) {
				cur.Phase = all[n+1].name
			} else {
				cur.Phase = afterLists(cur)
			}
		}
		if !emit(changes, p.name) {
			return nil
		}
	}
}

// sweep asks for the entities whose objects may have been deleted while we did
// not hear of Stripe's events.
func (c *Connector) sweep(ctx context.Context, a *client, cur *cursor, emit func([]connectors.Change, string) bool) error {
	for i, each := range sweeps() {
		if cur.Phase != each.phase {
			continue
		}
		for {
			filter := map[string]any{"integration": a.l.ID, each.key: map[string]any{"$gt": cur.After}}
			if each.typ == typeInvoice {
				filter["status"] = "Draft" // others stay
			}
			page, err := a.l.Graph.Find(ctx, graph.Query{Type: each.typ, Filter: filter, Sort: []string{each.key}, Limit: graph.MaxLimit, NoTotal: true})
			if err != nil {
				return err
			}
			var changes []connectors.Change
			for _, e := range page.Results {
				cur.After = e.Text(each.key)
				ch := c.again(a, connectors.Change{Type: each.typ, Key: each.key, ID: cur.After, At: a.l.Clock(), Stale: true})
				changes = append(changes, ch)
			}
			if !page.HasMore {
				cur.After, cur.Phase = "", phaseEvents
				if i+1 < len(sweeps()) {
					cur.Phase = sweeps()[i+1].phase
				} else {
					cur.Sweep = false
				}
			}
			if !emit(changes, each.phase) {
				return nil
			}
			if !page.HasMore {
				break
			}
		}
	}
	return nil
}

// unreadable stands for an object that we could not read: the sync tells of it
// and goes on.
func unreadable(err error) connectors.Change {
	return connectors.Change{Type: typeCustomer, Key: keyCustomer, ID: "unreadable", Again: func(context.Context) (connectors.Change, error) { return connectors.Change{}, err }}
}

// events catches up with what has happened since the last event, oldest first.
func (c *Connector) events(ctx context.Context, a *client, cur *cursor, emit func([]connectors.Change, string) bool) error {
	for {
		q := url.Values{"limit": {pageSize}}
		if cur.Event != "" {
			q.Set("ending_before", cur.Event)
		} else {
			q.Set("created[gte]", strconv.FormatInt(cur.Since, 10))
		}
		page, at, err := c.eventPage(ctx, a, q, cur.Event == "")
		if lost(err) && cur.Event != "" { // nothing has happened for longer than Stripe keeps events
			cur.Event, cur.Since = "", cur.Since-int64(eventsOverlap/time.Second)
			continue
		}
		if err != nil {
			return err
		}
		cur.Since = at.Unix()
		if len(page) == 0 {
			emit(nil, phaseEvents)
			return nil
		}
		var changes []connectors.Change
		for _, raw := range page {
			more, err := c.event(a, raw)
			if err != nil {
				a.l.Logger.Warn("stripe.event", "id", idOf(raw), "error", err)
				changes = append(changes, unreadable(err))
			}
			changes = append(changes, more...)
			cur.Event = idOf(raw)
		}
		if !emit(changes, phaseEvents) {
			return nil
		}
	}
}

// eventPage gives the next events, oldest first. Without an event to stand at,
// the list is read back to its beginning, which is not long ago.
func (c *Connector) eventPage(ctx context.Context, a *client, q url.Values, all bool) (out []json.RawMessage, at time.Time, err error) {
	for {
		var page listing
		if at, err = a.get(ctx, "/v1/events", q, &page); err != nil {
			return nil, at, err
		}
		out = append(out, page.Data...)
		if !all || !page.HasMore || len(page.Data) == 0 {
			break
		}
		q.Set("starting_after", idOf(page.Data[len(page.Data)-1]))
	}
	slices.Reverse(out)
	return out, at, nil
}
