package posthog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/send"
)

// DefaultHost is where projects of PostHog's US cloud send to.
const DefaultHost = "https://us.i.posthog.com"

const (
	maxItems = 250
	maxBytes = 4 << 20 // PostHog takes 20 MiB; its own libraries stay below 5
	// historical is the age from which PostHog wants events as a migration.
	historical = 48 * time.Hour
)

// Kind is the registry's entry for PostHog.
func Kind() forwarders.Kind {
	shared := new(writers) // by all tenants
	return forwarders.Kind{
		Name:      headlessly.DestinationPostHog,
		Aliases:   []string{"posthog"},
		Consent:   []string{"analytics", "statistics"},
		Connected: func(d headlessly.Destinations) bool { return d.PostHog != nil && d.PostHog.APIKey.Set() },
		Takes:     func(e *headlessly.Event) bool { return e.Type != headlessly.TypeSession },
		Rules:     func(d headlessly.Destinations) *headlessly.Rules { return d.PostHog.Rules },
		Build: func(d headlessly.Destinations, deps forwarders.Deps) (forwarders.Destination, error) {
			dest, err := New(*d.PostHog, deps)
			if err != nil {
				return nil, err
			}
			dest.zip = shared
			return dest, nil
		},
	}
}

// Destination is one PostHog project.
type Destination struct {
	key  string
	url  string
	zip  *writers
	deps forwarders.Deps
}

// New makes the destination for a project.
func New(c headlessly.PostHogDestination, deps forwarders.Deps) (*Destination, error) {
	host := c.Host
	if host == "" {
		host = DefaultHost
	}
	u, err := url.Parse(host)
	if err != nil || u.Host == "" || u.RawQuery != "" {
		return nil, errors.New("posthog host is not a URL such as https://eu.i.posthog.com")
	}
	return &Destination{key: c.APIKey.Reveal(), url: strings.TrimSuffix(u.String(), "/") + "/batch/", zip: new(writers), deps: deps}, nil
}

// Limits implements forwarders.Destination.
func (d *Destination) Limits() forwarders.Limits {
	return forwarders.Limits{Items: maxItems, Bytes: maxBytes, InFlight: 4, Timeout: 30 * time.Second, Idempotent: true}
}

// Deliver implements forwarders.Destination.
func (d *Destination) Deliver(ctx context.Context, batch []forwarders.Item) []forwarders.Result {
	results := make([]forwarders.Result, len(batch))
	now := d.deps.Clock()
	var fresh, old []message
	for i, it := range batch {
		m, err := encode(it.Event)
		if err != nil {
			results[i].Err = &headlessly.Permanent{Err: fmt.Errorf("event cannot be encoded: %w", err)}
			continue
		}
		m.index = i
		if now.Sub(headlessly.Time(it.Event.Timestamp)) >= historical {
			old = append(old, m)
		} else {
			fresh = append(fresh, m)
		}
	}
	d.send(ctx, fresh, false, results)
	d.send(ctx, old, true, results)
	return results
}

// message is one encoded event and its place in the batch.
type message struct {
	index int
	json  []byte
}

// send posts messages as one request, halving what is too big.
func (d *Destination) send(ctx context.Context, list []message, historical bool, results []forwarders.Result) {
	if len(list) == 0 {
		return
	}
	body, err := d.body(list, historical)
	var answer send.Answer
	if err == nil {
		answer, err = send.Do(ctx, d.deps.Client, &send.Request{
			URL: d.url, Body: body, Secrets: []string{d.key},
			Header: http.Header{
				"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"},
				"User-Agent": {"headlessly"},
			},
		}, d.deps.Clock())
	}
	if answer.Status == http.StatusRequestEntityTooLarge && len(list) > 1 {
		half := len(list) / 2
		d.send(ctx, list[:half], historical, results)
		d.send(ctx, list[half:], historical, results)
		return
	}
	if answer.Status == http.StatusBadRequest && len(list) > 1 {
		// One event may have spoiled the batch; alone, each answers for itself.
		half := len(list) / 2
		d.send(ctx, list[:half], historical, results)
		d.send(ctx, list[half:], historical, results)
		return
	}
	if err == nil {
		err = limited(answer.Body)
	}
	for _, m := range list {
		results[m.index] = forwarders.Result{Err: err, Status: answer.Status, Note: answer.Excerpt}
	}
}

// limited finds a quota in an answer that says 200.
func limited(body []byte) error {
	var a struct {
		QuotaLimited []string `json:"quota_limited"`
	}
	if !bytes.Contains(body, []byte("quota_limited")) || json.Unmarshal(body, &a) != nil || len(a.QuotaLimited) == 0 {
		return nil
	}
	for _, what := range a.QuotaLimited {
		if what == "events" {
			return &headlessly.Temporary{After: time.Hour, Throttled: true, Err: errors.New("quota of events is used up")}
		}
	}
	return nil
}

// writers keeps gzip writers: each has tables of several hundred kilobytes.
type writers struct{ pool sync.Pool }

func (w *writers) compress(parts ...[]byte) ([]byte, error) {
	var out bytes.Buffer
	z, _ := w.pool.Get().(*gzip.Writer)
	if z == nil {
		var err error
		if z, err = gzip.NewWriterLevel(&out, gzip.BestSpeed); err != nil {
			return nil, err
		}
	} else {
		z.Reset(&out)
	}
	for _, p := range parts {
		if _, err := z.Write(p); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	w.pool.Put(z)
	return out.Bytes(), nil
}

func (d *Destination) body(list []message, historical bool) ([]byte, error) {
	key, err := json.Marshal(d.key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	head := append([]byte(`{"api_key":`), key...)
	if historical {
		head = append(head, `,"historical_migration":true`...)
	}
	parts := [][]byte{append(head, `,"batch":[`...)}
	for i, m := range list {
		if i > 0 {
			parts = append(parts, []byte{','})
		}
		parts = append(parts, m.json)
	}
	return d.zip.compress(append(parts, []byte("]}"))...)
}
