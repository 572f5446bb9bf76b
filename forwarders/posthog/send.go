package posthog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/headlessly/headlessly"
	"github.com/headlessly/headlessly/forwarders"
	"github.com/headlessly/headlessly/forwarders/payload"
	"github.com/headlessly/headlessly/forwarders/send"
)

// part is what goes into one request: events and their places in the batch.
type part struct {
	events     []*headlessly.Event
	index      []int
	historical bool
	try        int
}

func (p part) halves() (a, b part) {
	n := len(p.events) / 2
	a, b = p, p
	a.events, a.index = p.events[:n], p.index[:n]
	b.events, b.index = p.events[n:], p.index[n:]
	return a, b
}

// send posts a part as one request. One that is too big, or spoilt by one of
// its events, is halved until the fault is alone.
func (d *Destination) send(ctx context.Context, p part, results []forwarders.Result) {
	if len(p.events) == 0 {
		return
	}
	v1, known := d.conf.Capture == "v1", d.conf.Capture != ""
	if !known {
		if v1, known = d.shared.hasV1(d.host); !known {
			v1 = true // ask
		}
	}
	answer, err := d.post(ctx, p, v1)
	if !known {
		switch has := answer.Status == http.StatusOK && bytes.Contains(answer.Body, []byte(`"results"`)); {
		case has:
			d.shared.learn(d.host, true)
		case answer.Status/100 == 2 || answer.Status/100 == 4 && answer.Status != http.StatusTooManyRequests && answer.Status != http.StatusRequestTimeout:
			// Not an answer of the newer interface: the older one has the last
			// word. An event taken twice is dropped by its uuid.
			v1 = false
			if answer, err = d.post(ctx, p, v1); err == nil {
				d.shared.learn(d.host, false)
			}
		}
	}
	if n := answer.Status; len(p.events) > 1 && (n == http.StatusRequestEntityTooLarge || n == http.StatusBadRequest) {
		a, b := p.halves()
		d.send(ctx, a, results)
		d.send(ctx, b, results)
		return
	}
	var own map[string]outcome
	if err == nil && v1 {
		own, err = outcomes(answer.Body)
	} else if err == nil {
		err = limited(answer.Body)
	}
	for i, e := range p.events {
		r := forwarders.Result{Err: err, Status: answer.Status, Note: answer.Excerpt}
		if own != nil {
			r.Note, r.Err = own[id(e.MessageID)].verdict(d.key)
		}
		results[p.index[i]] = r
	}
}

// post sends a part in the form of one of the interfaces.
func (d *Destination) post(ctx context.Context, p part, v1 bool) (send.Answer, error) {
	now := d.deps.Clock()
	body, err := d.body(p, v1, now)
	if err != nil {
		return send.Answer{}, &headlessly.Permanent{Err: err}
	}
	r := &send.Request{
		URL: d.host + "/batch/", Body: body, Secrets: []string{d.key}, NeedBody: v1,
		Header: http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}, "User-Agent": {library}},
	}
	if v1 {
		r.URL = d.host + "/i/v1/analytics/events"
		r.Header.Set("Authorization", "Bearer "+d.key)
		r.Header.Set("PostHog-Sdk-Info", library+"/1")
		r.Header.Set("PostHog-Attempt", strconv.Itoa(p.try))
		r.Header.Set("PostHog-Request-Id", uuid.NewSHA1(uuid.NameSpaceOID, body).String())
		r.Header.Set("PostHog-Request-Timestamp", now.UTC().Format(time.RFC3339Nano))
	}
	return send.Do(ctx, d.deps.Client, r, now)
}

// body is the request's, compressed. It holds no sent_at, by which PostHog
// would shift every timestamp.
func (d *Destination) body(p part, v1 bool, now time.Time) ([]byte, error) {
	b := make([]byte, 0, 1536*len(p.events)+256)
	if v1 {
		b = payload.AppendString(append(b, `{"created_at":`...), now.UTC().Format(time.RFC3339Nano))
	} else {
		b = payload.AppendString(append(b, `{"api_key":`...), d.key)
	}
	if p.historical {
		b = append(b, `,"historical_migration":true`...)
	}
	b = append(b, `,"batch":[`...)
	enc := &encoder{profiles: d.conf.Profiles, v1: v1}
	for i, e := range p.events {
		if i > 0 {
			b = append(b, ',')
		}
		b = enc.encode(b, e)
	}
	return d.shared.zip.Compress(append(b, "]}"...))
}

// limited finds a quota in an answer that says 200.
func limited(body []byte) error {
	var a struct {
		QuotaLimited []string `json:"quota_limited"`
	}
	if bytes.Contains(body, []byte("quota_limited")) {
		_ = json.Unmarshal(body, &a) // an answer that cannot be read names no quota
	}
	for _, what := range a.QuotaLimited {
		if what == "events" {
			return &headlessly.Temporary{After: time.Hour, Throttled: true, Err: errors.New("quota of events is used up")}
		}
	}
	return nil
}

// outcome is what the newer interface says of one event.
type outcome struct {
	Result  string `json:"result"`
	Details string `json:"details"`
}

// outcomes reads the answer of the newer interface.
func outcomes(body []byte) (map[string]outcome, error) {
	var a struct {
		Results map[string]json.RawMessage `json:"results"`
	}
	if err := json.Unmarshal(body, &a); err != nil || a.Results == nil {
		return nil, &headlessly.Unknown{Err: errors.New("answer has no results")}
	}
	out := make(map[string]outcome, len(a.Results))
	for id, raw := range a.Results {
		var o outcome
		if json.Unmarshal(raw, &o.Result) != nil { // a word, or an object with one
			_ = json.Unmarshal(raw, &o)
		}
		out[id] = o
	}
	return out, nil
}

// verdict turns PostHog's word into ours.
func (o outcome) verdict(key string) (note string, err error) {
	note = send.Clean(o.Result+" "+o.Details, []string{key})
	switch o.Result {
	case "ok", "warning":
		return note, nil
	case "drop":
		return note, &headlessly.Permanent{Status: http.StatusOK, Err: errors.New(note)}
	case "retry":
		return note, &headlessly.Temporary{Err: errors.New(note)}
	}
	return note, &headlessly.Unknown{Err: errors.New("answer does not speak of this event")}
}
