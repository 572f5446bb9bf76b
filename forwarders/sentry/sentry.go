package sentry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/payload"
	"github.com/headlessly/headlessly/forwarders/send"
)

const (
	client   = "headlessly/1"
	parallel = 8 // requests of one batch at once: Sentry takes one event each
	maxItems = 64
	// maxSessions is how many sessions Sentry takes in one envelope.
	maxSessions = 100
	// maxEvent is Sentry's limit for an event item.
	maxEvent = 1 << 20
)

// Kind is the registry's entry for Sentry.
func Kind() forwarders.Kind {
	shared := new(payload.Gzip) // by all tenants
	return forwarders.Kind{
		Name:      headlessly.DestinationSentry,
		Aliases:   []string{"sentry"},
		Consent:   []string{"errors", "functional", "analytics"},
		Connected: func(d headlessly.Destinations) bool { return d.Sentry != nil && d.Sentry.DSN.Set() },
		Takes: func(e *headlessly.Event) bool {
			return e.Type == headlessly.TypeError || e.Type == headlessly.TypeMessage || hasSession(e)
		},
		Rules:  func(d headlessly.Destinations) *headlessly.Rules { return d.Sentry.Rules },
		Forget: forget(),
		Build: func(d headlessly.Destinations, deps forwarders.Deps) (forwarders.Destination, error) {
			dest, err := New(*d.Sentry, deps)
			if err != nil {
				return nil, err
			}
			dest.zip = shared
			return dest, nil
		},
	}
}

// Destination is one Sentry project.
type Destination struct {
	dsn    DSN
	deps   forwarders.Deps
	zip    *payload.Gzip
	limits limits
	lost   discarded
}

// New makes the destination for a project.
func New(c headlessly.SentryDestination, deps forwarders.Deps) (*Destination, error) {
	d, err := ParseDSN(c.DSN.Reveal())
	if err != nil {
		return nil, err
	}
	return &Destination{dsn: d, deps: deps, zip: new(payload.Gzip)}, nil
}

// Limits implements forwarders.Destination.
func (d *Destination) Limits() forwarders.Limits {
	return forwarders.Limits{Items: maxItems, Bytes: 4 << 20, InFlight: 4, Timeout: 30 * time.Second, Idempotent: true}
}

// unit is what goes into one envelope: an event, or up to a hundred sessions.
type unit struct {
	index []int // places in the batch
	items []item
}

// Deliver implements forwarders.Destination.
func (d *Destination) Deliver(ctx context.Context, batch []forwarders.Item) []forwarders.Result {
	results := make([]forwarders.Result, len(batch))
	units := make([]unit, 0, len(batch))
	sessions := unit{}
	for i := range batch {
		if batch[i].Event.Type != headlessly.TypeSession {
			units = append(units, unit{index: []int{i}})
			continue
		}
		it, err := encode(batch[i].Event)
		if err != nil {
			results[i].Err = &headlessly.Permanent{Err: fmt.Errorf("session cannot be encoded: %w", err)}
			continue
		}
		sessions.index, sessions.items = append(sessions.index, i), append(sessions.items, it)
	}
	for len(sessions.index) > 0 {
		n := min(len(sessions.index), maxSessions)
		units = append(units, unit{sessions.index[:n], sessions.items[:n]})
		sessions = unit{sessions.index[n:], sessions.items[n:]}
	}
	send.Each(len(units), parallel, func(n int) {
		u := units[n]
		defer func() { // a panic here would end the process: make it this unit's own
			if p := recover(); p != nil {
				set(results, u.index, forwarders.Result{Err: &headlessly.Permanent{Err: fmt.Errorf("event cannot be mapped: %T", p)}})
			}
		}()
		if u.items == nil {
			results[u.index[0]] = d.event(ctx, batch[u.index[0]].Event)
			return
		}
		d.sessions(ctx, u, results)
	})
	return results
}

func set(results []forwarders.Result, index []int, r forwarders.Result) {
	for _, i := range index {
		results[i] = r
	}
}

// item is one of an envelope's.
type item struct {
	id       string // of an event, "" for others
	kind     string
	category string // of rate limits, "" for what has none
	payload  []byte
}

// encode maps an event onto an item.
func encode(e *headlessly.Event) (item, error) {
	if e.Type == headlessly.TypeSession {
		b, err := marshalSession(e)
		return item{kind: "session", category: categorySession, payload: b}, err
	}
	c := payload.ReadContext(e.Context)
	ev := build(e, c)
	b, err := marshal(ev, e, c)
	return item{id: string(ev.EventID), kind: "event", category: categoryError, payload: b}, err
}

// slim encodes an event without what makes it large.
func slim(e *headlessly.Event) (item, error) {
	small := *e
	small.Properties = ""
	c := payload.ReadContext(e.Context)
	c.Breadcrumbs, c.Extra = nil, nil
	ev := build(&small, c)
	b, err := marshal(ev, &small, c)
	return item{id: string(ev.EventID), kind: "event", category: categoryError, payload: b}, err
}

// event sends one event; one that is too large a second time without its
// breadcrumbs, properties and extra values.
func (d *Destination) event(ctx context.Context, e *headlessly.Event) forwarders.Result {
	it, err := encode(e)
	if err != nil {
		return forwarders.Result{Err: &headlessly.Permanent{Err: fmt.Errorf("event cannot be encoded: %w", err)}}
	}
	var r forwarders.Result
	for range 2 {
		if len(it.payload) > maxEvent {
			r = forwarders.Result{Err: &headlessly.Permanent{
				Status: http.StatusRequestEntityTooLarge, Err: fmt.Errorf("event of %d bytes is over sentry's limit of 1 MiB", len(it.payload)),
			}}
		} else if r = d.send(ctx, []item{it}); r.Status != http.StatusRequestEntityTooLarge {
			break
		}
		if it, err = slim(e); err != nil {
			break
		}
	}
	d.refused(r, categoryError, 1)
	return r
}

// sessions sends an envelope of sessions, in halves where it is too large.
func (d *Destination) sessions(ctx context.Context, u unit, results []forwarders.Result) {
	r := d.send(ctx, u.items)
	if n := len(u.items) / 2; n > 0 && r.Status == http.StatusRequestEntityTooLarge {
		d.sessions(ctx, unit{u.index[:n], u.items[:n]}, results)
		d.sessions(ctx, unit{u.index[n:], u.items[n:]}, results)
		return
	}
	d.refused(r, categorySession, len(u.items))
	set(results, u.index, r)
}

// refused counts what Sentry did not want.
func (d *Destination) refused(r forwarders.Result, category string, n int) {
	var no *headlessly.Permanent
	if errors.As(r.Err, &no) {
		d.lost.add(loss{reasonSend, category}, n, d.deps.Clock())
	}
}

// send sends items of one category, within Sentry's limits, and a report of
// what was discarded along with them.
func (d *Destination) send(ctx context.Context, items []item) forwarders.Result {
	now := d.deps.Clock()
	category := items[0].category
	if wait := d.limits.wait(category, now); wait > 0 {
		return forwarders.Result{Err: &headlessly.Temporary{
			After: wait, Throttled: category == categoryError, Err: errors.New("rate limited by sentry for " + wait.Round(time.Second).String()),
		}}
	}
	counts := d.lost.take()
	if len(counts) > 0 {
		if it, err := clientReport(counts, now); err == nil {
			items = append(items[:len(items):len(items)], it)
		}
	}
	answer, err := d.post(ctx, items, now)
	if err != nil && !unknown(err) {
		d.lost.back(counts, now)
	}
	note := answer.Excerpt
	if why := answer.Header.Get("X-Sentry-Error"); why != "" {
		note = send.Clean(why, []string{d.dsn.Key})
	}
	if answer.Status != 0 {
		d.limits.read(answer.Status, answer.Header, now)
		var t *headlessly.Temporary
		if errors.As(err, &t) && t.Throttled {
			t.After = max(t.After, d.limits.wait(category, now))
			t.Throttled = d.limits.wait(categoryError, now) > 0 // a limit on sessions does not hold the lane
		}
	}
	return forwarders.Result{Err: err, Status: answer.Status, Note: note}
}

func unknown(err error) bool {
	var lost *headlessly.Unknown
	return errors.As(err, &lost)
}

// post sends one envelope.
func (d *Destination) post(ctx context.Context, items []item, now time.Time) (send.Answer, error) {
	body, err := envelope(d.zip, items, now)
	if err != nil {
		return send.Answer{}, &headlessly.Permanent{Err: err}
	}
	return send.Do(ctx, d.deps.Client, &send.Request{
		URL: d.dsn.Endpoint, Body: body, Secrets: []string{d.dsn.Key},
		Header: http.Header{
			"Content-Type": {"application/x-sentry-envelope"}, "Content-Encoding": {"gzip"}, "User-Agent": {client},
			"X-Sentry-Auth": {"Sentry sentry_version=7, sentry_client=" + client + ", sentry_key=" + d.dsn.Key},
		},
	}, now)
}

// envelope frames items. sent_at is written once, at the moment of sending.
func envelope(zip *payload.Gzip, items []item, now time.Time) ([]byte, error) {
	fields := map[string]any{
		"sent_at": now.UTC().Format(time.RFC3339Nano), "sdk": map[string]string{"name": "headlessly", "version": "1"},
	}
	if items[0].id != "" {
		fields["event_id"] = items[0].id
	}
	head, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("encode envelope: %w", err)
	}
	parts := [][]byte{head}
	for _, it := range items {
		line := "\n" + `{"type":"` + it.kind + `","length":` + strconv.Itoa(len(it.payload)) + "}\n"
		parts = append(parts, []byte(line), it.payload)
	}
	return zip.Compress(append(parts, []byte("\n"))...)
}
