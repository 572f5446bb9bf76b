package sentry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
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

// Deliver implements forwarders.Destination.
func (d *Destination) Deliver(ctx context.Context, batch []forwarders.Item) []forwarders.Result {
	results := make([]forwarders.Result, len(batch))
	var wg sync.WaitGroup
	free := make(chan struct{}, parallel)
	for i := range batch {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			defer func() { // a panic here would end the process: make it this item's own
				if p := recover(); p != nil {
					results[i].Err = &headlessly.Permanent{Err: fmt.Errorf("event cannot be mapped: %T", p)}
				}
			}()
			results[i] = d.one(ctx, batch[i].Event)
		})
	}
	wg.Wait()
	return results
}

// item is one envelope's content.
type item struct {
	id       string // of an event, "" for a session
	kind     string
	category string // of rate limits
	payload  []byte
}

// encode maps an event onto an item.
func encode(e *headlessly.Event) (item, error) {
	if e.Type == headlessly.TypeSession {
		b, err := marshalSession(e)
		return item{kind: "session", category: "session", payload: b}, err
	}
	c := payload.ReadContext(e.Context)
	ev := build(e, c)
	b, err := marshal(ev, e, c)
	return item{id: string(ev.EventID), kind: "event", category: "error", payload: b}, err
}

// one sends one event.
func (d *Destination) one(ctx context.Context, e *headlessly.Event) forwarders.Result {
	now := d.deps.Clock()
	it, err := encode(e)
	if err != nil {
		return forwarders.Result{Err: &headlessly.Permanent{Err: fmt.Errorf("event cannot be encoded: %w", err)}}
	}
	if wait := d.limits.wait(it.category, now); wait > 0 {
		return forwarders.Result{Err: &headlessly.Temporary{
			After: wait, Throttled: it.category == "error", Err: errors.New("rate limited by sentry for " + wait.Round(time.Second).String()),
		}}
	}
	if len(it.payload) > maxEvent {
		return forwarders.Result{Err: &headlessly.Permanent{
			Status: http.StatusRequestEntityTooLarge, Err: fmt.Errorf("event of %d bytes is over sentry's limit of 1 MiB", len(it.payload)),
		}}
	}
	body, err := envelope(d.zip, it, now)
	if err != nil {
		return forwarders.Result{Err: &headlessly.Permanent{Err: err}}
	}
	answer, err := send.Do(ctx, d.deps.Client, &send.Request{
		URL: d.dsn.Endpoint, Body: body, Secrets: []string{d.dsn.Key},
		Header: http.Header{
			"Content-Type": {"application/x-sentry-envelope"}, "Content-Encoding": {"gzip"}, "User-Agent": {client},
			"X-Sentry-Auth": {"Sentry sentry_version=7, sentry_client=" + client + ", sentry_key=" + d.dsn.Key},
		},
	}, now)
	note := answer.Excerpt
	if why := answer.Header.Get("X-Sentry-Error"); why != "" {
		note = send.Clean(why, []string{d.dsn.Key})
	}
	if answer.Status != 0 {
		d.limits.read(answer.Status, answer.Header, now)
		var t *headlessly.Temporary
		if errors.As(err, &t) && t.Throttled {
			t.After = max(t.After, d.limits.wait(it.category, now))
			t.Throttled = d.limits.wait("error", now) > 0 // a limit on sessions does not hold the lane
		}
	}
	return forwarders.Result{Err: err, Status: answer.Status, Note: note}
}

// envelope frames one item. sent_at is written once, at the moment of sending.
func envelope(zip *payload.Gzip, it item, now time.Time) ([]byte, error) {
	fields := map[string]any{
		"sent_at": now.UTC().Format(time.RFC3339Nano), "sdk": map[string]string{"name": "headlessly", "version": "1"},
	}
	if it.id != "" {
		fields["event_id"] = it.id
	}
	head, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("encode envelope: %w", err)
	}
	line := "\n" + `{"type":"` + it.kind + `","length":` + strconv.Itoa(len(it.payload)) + "}\n"
	return zip.Compress(head, []byte(line), it.payload, []byte("\n"))
}
