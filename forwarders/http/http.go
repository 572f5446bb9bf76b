package http

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/payload"
	"github.com/headlessly/headlessly/forwarders/send"
)

const (
	maxBatch   = 500
	parallel   = 8 // requests of one Deliver call at once
	maxHeaders = 32
)

// Kind is the registry's entry for generic HTTP endpoints.
func Kind() forwarders.Kind {
	return forwarders.Kind{
		Name:      headlessly.DestinationHTTP,
		Aliases:   []string{"http", "webhooks", "webhook"},
		Consent:   []string{"functional", "analytics"},
		Connected: func(d headlessly.Destinations) bool { return d.HTTP != nil && d.HTTP.URL.Set() },
		Takes:     func(*headlessly.Event) bool { return true },
		Rules:     func(d headlessly.Destinations) *headlessly.Rules { return d.HTTP.Rules },
		Forget:    forget(),
		Build: func(d headlessly.Destinations, deps forwarders.Deps) (forwarders.Destination, error) {
			return New(*d.HTTP, deps)
		},
	}
}

// Destination is one endpoint.
type Destination struct {
	url     template
	headers map[string]template
	body    *template // nil for the event as it is
	batch   int
	sign    []byte
	secrets []string
	deps    forwarders.Deps
}

// New makes the destination for an endpoint. Its errors name the setting at
// fault and never show it.
func New(c headlessly.HTTPDestination, deps forwarders.Deps) (*Destination, error) {
	d := &Destination{headers: map[string]template{}, batch: max(1, min(c.Batch, maxBatch)), deps: deps}
	var err error
	if d.url, err = parse(c.URL.Reveal()); err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	if u, err := url.Parse(d.url.fill(nil, inURL)); err != nil || u.Host == "" || strings.Contains(d.url.parts[0], "@") {
		return nil, errors.New("url is not an address such as https://host/path")
	}
	if !d.url.fixedHost() {
		return nil, errors.New("url: a placeholder may stand in the path or the query, not in the host")
	}
	d.secrets = secrets(c)
	if len(c.Headers) > maxHeaders {
		return nil, fmt.Errorf("headers: %d, limit %d", len(c.Headers), maxHeaders)
	}
	for name, v := range c.Headers {
		if d.headers[name], err = parse(v.Reveal()); err != nil {
			return nil, fmt.Errorf("headers.%s: %w", name, err)
		}
	}
	if c.Body != "" {
		t, err := parse(c.Body)
		if err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
		if !json.Valid([]byte(t.fill(nil, asJSON))) {
			return nil, errors.New("body is not JSON once its placeholders are filled; write {\"user\":{{userId}}}")
		}
		d.body = &t
	}
	if d.batch > 1 && (d.body != nil || len(d.url.paths) > 0) {
		return nil, errors.New("batch: a body of your own or a placeholder in the URL needs one event a request")
	}
	if c.Secret.Set() {
		key := strings.TrimPrefix(c.Secret.Reveal(), "whsec_")
		if d.sign, err = base64.StdEncoding.DecodeString(key); err != nil {
			return nil, errors.New("secret is not base64 behind whsec_")
		}
	}
	return d, nil
}

// secrets are the values that must show nowhere: the URL's query and path
// parts, headers, the signing key.
func secrets(c headlessly.HTTPDestination) []string {
	out := []string{c.URL.Reveal(), c.Secret.Reveal()}
	if u, err := url.Parse(c.URL.Reveal()); err == nil {
		for _, values := range u.Query() {
			out = append(out, values...)
		}
		for part := range strings.SplitSeq(u.Path, "/") {
			if len(part) >= 8 {
				out = append(out, part)
			}
		}
	}
	for _, v := range c.Headers {
		out = append(out, v.Reveal())
		if _, token, ok := strings.Cut(v.Reveal(), " "); ok { // Bearer …
			out = append(out, token)
		}
	}
	return out
}

// Limits implements forwarders.Destination.
func (d *Destination) Limits() forwarders.Limits {
	return forwarders.Limits{Items: max(64, d.batch), Bytes: 4 << 20, InFlight: 4, Timeout: 30 * time.Second, Idempotent: true}
}

// Deliver implements forwarders.Destination.
func (d *Destination) Deliver(ctx context.Context, batch []forwarders.Item) []forwarders.Result {
	results := make([]forwarders.Result, len(batch))
	var wg sync.WaitGroup
	free := make(chan struct{}, parallel)
	for from := 0; from < len(batch); from += d.batch {
		to := min(from+d.batch, len(batch))
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			d.post(ctx, batch[from:to], results[from:to])
		})
	}
	wg.Wait()
	return results
}

// post sends one request, halving one that the receiver finds at fault, so
// that an event costs only itself.
func (d *Destination) post(ctx context.Context, batch []forwarders.Item, results []forwarders.Result) {
	answer, err := d.request(ctx, batch)
	var permanent *headlessly.Permanent
	spoilt := answer.Status == http.StatusBadRequest || answer.Status == http.StatusRequestEntityTooLarge ||
		answer.Status == http.StatusUnprocessableEntity
	if errors.As(err, &permanent) && spoilt && len(batch) > 1 {
		half := len(batch) / 2
		d.post(ctx, batch[:half], results[:half])
		d.post(ctx, batch[half:], results[half:])
		return
	}
	for i := range results {
		results[i] = forwarders.Result{Err: err, Status: answer.Status, Note: answer.Excerpt}
	}
}

func (d *Destination) request(ctx context.Context, batch []forwarders.Item) (send.Answer, error) {
	first := payload.Document(batch[0].Event)
	body, err := d.encode(batch, first)
	if err != nil {
		return send.Answer{}, &headlessly.Permanent{Err: fmt.Errorf("event cannot be encoded: %w", err)}
	}
	now := d.deps.Clock()
	id := key(batch)
	header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"headlessly"}, "Idempotency-Key": {id}}
	for name, t := range d.headers {
		header.Set(name, t.fill(first, inHeader))
	}
	if d.sign != nil {
		stamp := strconv.FormatInt(now.Unix(), 10)
		mac := hmac.New(sha256.New, d.sign)
		_, _ = mac.Write([]byte(id + "." + stamp + ".")) // a hash takes everything
		_, _ = mac.Write(body)
		header.Set("webhook-id", id)
		header.Set("webhook-timestamp", stamp)
		header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return send.Do(ctx, d.deps.Client, &send.Request{
		URL: d.url.fill(first, inURL), Body: body, Header: header, Secrets: d.secrets,
	}, now)
}

func (d *Destination) encode(batch []forwarders.Item, first map[string]any) ([]byte, error) {
	if d.body != nil {
		return []byte(d.body.fill(first, asJSON)), nil
	}
	if d.batch == 1 {
		return json.Marshal(first)
	}
	docs := []map[string]any{first}
	for _, it := range batch[1:] {
		docs = append(docs, payload.Document(it.Event))
	}
	return json.Marshal(docs)
}

// key is what the receiver tells a repeat by: the event's id, or one made of
// all ids.
func key(batch []forwarders.Item) string {
	if len(batch) == 1 {
		if u, err := uuid.Parse(batch[0].Event.MessageID); err == nil {
			return u.String()
		}
	}
	var all strings.Builder
	for _, it := range batch {
		all.WriteString(it.Event.MessageID)
		all.WriteByte('\n')
	}
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(all.String())).String()
}
